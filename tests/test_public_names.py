from __future__ import annotations

import subprocess
import sys

import pytest

import diffdenoise

NAMES = [
    "DiffDenoiseError",
    "Model",
    "Result",
    "Scan",
    "Settings",
    "__version__",
    "convert",
    "denoise",
    "evaluate",
    "info",
    "load",
    "simulate",
    "train",
]
SLOW = ("torch", "matplotlib", "skimage", "scipy")


def test_public_names_are_these():
    # A name taken away or added is a change for users: it belongs in the changelog.
    assert sorted(diffdenoise.__all__) == NAMES
    assert set(NAMES) <= set(dir(diffdenoise))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(diffdenoise, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = diffdenoise.nothing


def test_importing_the_package_loads_nothing_slow():
    code = (
        "import sys, diffdenoise; diffdenoise.__version__; diffdenoise.Settings; diffdenoise.Scan;"
        "diffdenoise.info; diffdenoise.convert; diffdenoise.Result;"
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

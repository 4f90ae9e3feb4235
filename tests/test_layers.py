"""The package keeps to its layers, has no import cycle, and starts without slow libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.layers import SLOW, breaches

PACKAGE = Path(__file__).parents[1] / "src" / "diffdenoise"


def made_up(folder: Path, files: dict[str, str]) -> list[str]:
    """Return the breaches of a made-up package of these files."""
    package = folder / "diffdenoise"
    for name, text in {"__init__.py": "", "scan/__init__.py": "", "cli/__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return breaches(package)


def test_the_package_keeps_to_its_layers() -> None:
    found = breaches(PACKAGE)
    assert not found, "\n" + "\n".join(found)


def test_starting_the_command_line_loads_nothing_slow() -> None:
    code = (
        "import sys, diffdenoise.api, diffdenoise.cli.app;"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not SLOW & set(loaded.split())


def test_a_clean_tree_has_no_breach(tmp_path: Path) -> None:
    files = {
        "errors.py": "",
        "scan/read.py": "from diffdenoise.errors import E\ndef f():\n    import scipy\n",
        "trust/__init__.py": "",
        "trust/figure.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import matplotlib\n",
        "networks/unet.py": "import torch\n",
        "cli/app.py": "from diffdenoise.scan import read\nfrom diffdenoise.trust.figure import show\n",
    }
    assert made_up(tmp_path, files) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from diffdenoise.cli.app import main",
        "from diffdenoise.cli import app",
        "import diffdenoise.cli.app",
        "def f():\n    from diffdenoise.cli import app",
        "if True:\n    import diffdenoise.cli.app as other",
    ],
)
def test_an_import_from_a_higher_layer_is_found(tmp_path: Path, statement: str) -> None:
    found = made_up(tmp_path, {"scan/read.py": statement, "cli/app.py": ""})
    line = 1 + statement.count("\n")
    assert found == [f"diffdenoise/scan/read.py:{line}: layer 1 imports diffdenoise.cli.app of layer 8"]


def test_an_import_of_the_package_itself_from_below_is_found(tmp_path: Path) -> None:
    assert made_up(tmp_path, {"scan/read.py": "import diffdenoise"}) == [
        "diffdenoise/scan/read.py:1: layer 1 imports diffdenoise of layer 7"
    ]


def test_a_cycle_is_found_once_with_its_way(tmp_path: Path) -> None:
    files = {
        "scan/a.py": "from diffdenoise.scan import b",
        "scan/b.py": "def f():\n    from diffdenoise.scan.c import g",
        "scan/c.py": "from diffdenoise.scan.a import h",
        "scan/d.py": "from diffdenoise.scan.a import h",
    }
    ring = " -> ".join(f"diffdenoise.scan.{letter}" for letter in "abca")
    assert made_up(tmp_path, files) == [f"import cycle: {ring}"]


@pytest.mark.parametrize("library", sorted(SLOW))
@pytest.mark.parametrize(
    "file", ["__init__.py", "config.py", "scan/read.py", "cli/show.py", "api.py", "model.py"]
)
def test_a_slow_library_in_a_light_file_is_found(tmp_path: Path, library: str, file: str) -> None:
    found = made_up(
        tmp_path, {file: f"try:\n    from {library}.part import x\nexcept ImportError:\n    pass\n"}
    )
    assert any(f"diffdenoise/{file}:2 imports {library};" in line for line in found), found


def test_a_slow_library_behind_another_module_is_found_with_its_way(tmp_path: Path) -> None:
    files = {
        "cli/app.py": "from diffdenoise.trust.figure import show\n",
        "trust/__init__.py": "",
        "trust/figure.py": "import numpy\nimport matplotlib.figure\n",
    }
    [line] = made_up(tmp_path, files)
    assert line.startswith("importing diffdenoise.cli.app is slow: diffdenoise/cli/app.py:1 imports")
    assert "diffdenoise/trust/figure.py:2 imports matplotlib" in line


def test_a_slow_library_in_a_folder_on_the_way_is_found(tmp_path: Path) -> None:
    files = {
        "scan/__init__.py": "import torch",
        "scan/read.py": "",
        "cli/app.py": "import diffdenoise.scan.read",
    }
    assert any("importing diffdenoise.cli.app is slow" in line for line in made_up(tmp_path, files))


def test_a_file_without_a_layer_is_found(tmp_path: Path) -> None:
    [line] = made_up(tmp_path, {"utils.py": ""})
    assert line.startswith("diffdenoise/utils: has no layer")


def test_a_relative_import_is_found(tmp_path: Path) -> None:
    found = made_up(tmp_path, {"scan/read.py": "from . import write", "scan/write.py": ""})
    assert found == ["diffdenoise/scan/read.py:1: relative import; write 'from diffdenoise...' in full"]

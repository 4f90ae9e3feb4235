"""What a trained model needs is loaded, and no more: neither torch nor what is slow beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import diffdenoise as dd
from tests.conftest import make_volume, tiny_settings
from tests.scan.dicom.files import slices

HEAVY = {"torch", "lightning", "torchmetrics", "skimage", "matplotlib"}
#: Calls and commands.
USES = [
    "dd.load('model')",
    "dd.load('model').denoise('scan.nii.gz')",
    "dd.denoise('scan.nii.gz', model='model')",
    "dd.info('scan.nii.gz')",
    "dd.evaluate('scan.nii.gz', 'scan.nii.gz')",
    "dd.simulate('scan.nii.gz')",
    "dd.convert('series', 'from-python.nii.gz')",
    "diffdenoise denoise scan.nii.gz -o denoised.nii.gz --model model",
    "diffdenoise info scan.nii.gz",
    "diffdenoise evaluate scan.nii.gz scan.nii.gz",
    "diffdenoise convert series -o converted.nii.gz",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, a model of it, and a DICOM series."""
    folder = tmp_path_factory.mktemp("imports")
    nibabel.save(nibabel.Nifti1Image(make_volume(), np.diag([1.0, 1.0, 4.0, 1.0])), folder / "scan.nii.gz")
    dd.train(folder / "scan.nii.gz", folder / "model", settings=tiny_settings())
    slices(folder / "series")
    return folder


@pytest.mark.parametrize("use", USES)
def test_no_torch_is_loaded_by(folder: Path, use: str) -> None:
    program, *words = use.split()
    if program == "diffdenoise":
        use = f"from diffdenoise.cli.app import app; app({words!r})"
    tell = "print(*{name.partition('.')[0] for name in sys.modules})"
    code = f"import atexit, sys, diffdenoise as dd; atexit.register(lambda: {tell}); {use}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not HEAVY & loaded
    # Nor what runs a model, where none is run.
    assert ("onnxruntime" in loaded) == ("denoise(" in use or "'denoise'" in use)

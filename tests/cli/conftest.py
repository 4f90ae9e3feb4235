"""Small scans, and a way to run a command in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from diffdenoise.cli.app import app
from diffdenoise.work.journal import JOURNAL

#: Settings under which a training takes a moment.
TINY = [
    *("--threads", "1"),
    *("--set", "stage1.width=8", "--set", "stage2.width=8", "--set", "stage3.width=8"),
    *("--set", "data.patch=16", "--set", "data.batch=2"),
    *("--set", "sampling.nodes=2", "--set", "stage3.draws=1"),
    *("--set", "schedule.blind-spot.steps=3", "--set", "schedule.diffusion.steps=3"),
    *("--set", "schedule.targets.steps=1", "--set", "schedule.student.steps=3"),
    *("--set", "schedule.refine.steps=2"),
]


class Outcome:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it must be."""
        return dict(json.loads(self.out))


@pytest.fixture
def run() -> Callable[..., Outcome]:
    """Run `diffdenoise` with these arguments."""

    def _run(*words: str | Path) -> Outcome:
        result = CliRunner().invoke(app, [str(word) for word in words], prog_name="diffdenoise")
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return _run


@pytest.fixture
def calm() -> NDArray[np.int16]:
    """int16 (160, 150, 3): smooth shapes from 100 to 900 with next to no noise."""
    x, y = np.meshgrid(np.linspace(0, 6, 160), np.linspace(0, 6, 150), indexing="ij")
    smooth = 500 + 400 * np.sin(x) * np.cos(y) + np.random.default_rng(0).normal(0, 1, (3, 160, 150))
    return np.rint(np.moveaxis(smooth, 0, 2)).astype(np.int16)


@pytest.fixture
def phantom() -> NDArray[np.int16]:
    """int16 (64, 60, 5): smooth shapes with values from 0 to about 1000."""
    x, y, z = np.meshgrid(
        np.linspace(-1, 1, 64), np.linspace(-1, 1, 60), np.linspace(-1, 1, 5), indexing="ij"
    )
    inside = x**2 + y**2 + 0.3 * z**2 < 0.8
    shape = inside * (600 + 250 * np.cos(5 * x) * np.sin(4 * y)) + 150 * ((x - 0.2) ** 2 + y**2 < 0.1)
    return np.asarray(shape, dtype=np.int16)


def save_nifti(path: Path, data: NDArray[Any]) -> Path:
    """Write a NIfTI file with 1 x 1 x 4 mm voxels."""
    nibabel.save(nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 4.0, 1.0])), path)
    return path


@pytest.fixture
def clean(tmp_path: Path, phantom: NDArray[np.int16]) -> Path:
    """A clean scan."""
    return save_nifti(tmp_path / "clean.nii.gz", phantom)


@pytest.fixture
def noisy(tmp_path: Path, phantom: NDArray[np.int16]) -> Path:
    """A scan with Gaussian noise of std 60."""
    noise = np.random.default_rng(1).normal(0, 60, phantom.shape)
    return save_nifti(tmp_path / "noisy.nii.gz", np.rint(phantom + noise).astype(np.int16))


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file and the name of every folder below a folder, without a journal."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in folder.rglob("*")
        if path.name != JOURNAL
    }


def results_in(folder: Path) -> list[Path]:
    """Return what lies in an output folder, sorted, without the journal."""
    return sorted(path for path in folder.iterdir() if path.name != JOURNAL)

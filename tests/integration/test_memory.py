"""What `info` and `denoise --model` take of memory grows little with the scan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.memory import measure
from bench.scans import write_header
from diffdenoise.method.train import train
from diffdenoise.scan.read import from_array
from tests.conftest import make_volume, tiny_settings

SOURCE = Path(__file__).parents[2] / "src"
SIDE = 256
#: Slices of the small scan and of the large one; voxels that the large one has more.
FEW, MANY = 100, 500
MORE = SIDE * SIDE * (MANY - FEW)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="resident sets are told by Unix only")


def scan(path: Path, count: int) -> Path:
    """A scan most slices of which are blank: these cost no network's time, but their memory."""
    random = np.random.default_rng(0)
    blank = bytes(2 * SIDE * SIDE)
    with path.open("wb") as stream:
        write_header(stream, (SIDE, SIDE, count))
        for number in range(count):
            noisy = np.rint(random.normal(500, 40, (SIDE, SIDE))).astype(np.int16)
            stream.write(noisy.tobytes() if number % (count // 25) == 0 else blank)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a small scan and a large one."""
    folder = tmp_path_factory.mktemp("memory")
    train([from_array(make_volume((40, 36, 5)))], tiny_settings(), folder / "model", threads=1)
    scan(folder / f"{FEW}.nii", FEW)
    scan(folder / f"{MANY}.nii", MANY)
    for name in (FEW, MANY):
        subprocess.run(["gzip", "-1", "-k", str(folder / f"{name}.nii")], check=True)
    return folder


def growth(folder: Path, words: list[str], suffix: str) -> float:
    """Bytes a voxel that a command takes more for the large scan than for the small one."""
    peaks = []
    for count in (FEW, MANY):
        said = [word.format(folder=folder, scan=f"{count}{suffix}") for word in words]
        peaks.append(measure(said, SOURCE)[0])
    return (peaks[1] - peaks[0]) / MORE


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_info_takes_no_memory_for_voxels_that_it_only_counts(folder, suffix):
    # Held in its stored type, a scan takes 2.
    assert growth(folder, ["info", "{folder}/{scan}"], suffix) < 1


def test_denoising_holds_the_result_alone(folder):
    words = ["denoise", "{folder}/{scan}", "-o", "{folder}/out-{scan}", "--model", "{folder}/model"]
    # 4 of the result, and 1.6 or 2.4 of what the allocator keeps of the slices that pass through; the scan in
    # memory would take 2 more, real values 8.
    assert growth(folder, [*words, "--force", "--threads", "1", "--quiet"], ".nii") < 7

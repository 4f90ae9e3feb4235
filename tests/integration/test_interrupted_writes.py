"""A full disk or a killed process leaves the old state or the whole new file, in every format."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from diffdenoise.errors import OutputError
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan
from tests.scan.dicom.files import pixels, slices

_DISK_KB = 96
SUFFIXES = (
    ".nii",
    ".nii.gz",
    ".png",
    ".tif",
    ".npy",
    ".npz",
    ".nrrd",
    ".mha",
    ".mgz",
    ".mat",
    ".h5",
    ".zarr",
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and sys.platform == "linux"
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_KB}k", "tmpfs", str(place)]
    if not mounted or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted as root on Linux")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def noise(side: int = 300) -> np.ndarray:
    """Values that don't compress, more of them than the disk holds."""
    return np.random.default_rng(0).integers(0, 2**16, (side, side)).astype(np.uint16)


def content(path: Path) -> dict[str, bytes]:
    """All bytes of a file, or of the files of a store."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return {str(each): each.read_bytes() for each in files}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_what_was_there(suffix: str, small_disk: Path) -> None:
    if suffix == ".h5":
        pytest.importorskip("h5py")
    target = small_disk / f"a{suffix}"
    small = np.arange(400, dtype=np.int32 if suffix == ".mgz" else np.uint16).reshape(20, 20)
    volume = suffix == ".mgz"
    write_scan(from_array(small[..., None] if volume else small), target)
    before = content(target)
    large = noise().astype(small.dtype)
    with pytest.raises(OutputError, match=r"(disk is full|stopped short|No space)"):
        write_scan(from_array(large[..., None] if volume else large), target, overwrite=True)
    assert content(target) == before
    assert [path.name for path in small_disk.iterdir()] == [target.name]


def test_a_full_disk_keeps_the_files_of_a_series_that_were_written(small_disk: Path, tmp_path: Path) -> None:
    slices(tmp_path / "in", values=pixels(8, 100, 100))
    scan = read_scan(tmp_path / "in")
    with pytest.raises(OutputError, match="disk is full"):
        write_scan(scan, small_disk / "out")
    written = list((small_disk / "out").iterdir())
    assert 0 < len(written) < 8
    for path in written:
        assert read_scan(path).data.shape == (100, 100)


@pytest.mark.parametrize("kind", ["nifti", "dicom", "zarr"])
def test_a_killed_process_leaves_whole_files(kind: str, tmp_path: Path) -> None:
    if kind == "dicom":
        slices(tmp_path / "in", values=pixels(20, 64, 64), count=20)
        source, target = tmp_path / "in", tmp_path / "out"
    elif kind == "zarr":
        source, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
        write_scan(from_array(noise()), source)
    else:
        source, target = tmp_path / "in.nii.gz", tmp_path / "out.nii.gz"
        data = np.random.default_rng(0).integers(0, 1000, (60, 60, 40)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), source)
    code = (
        "import sys\n"
        "from diffdenoise.scan.read import read_scan\n"
        "from diffdenoise.scan.write import write_scan\n"
        "scan = read_scan(sys.argv[1]); print('ready', flush=True)\n"
        "while True: write_scan(scan, sys.argv[2], overwrite=True)"
    )
    expected = read_scan(source).data
    for attempt in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(source), str(target)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.15 + 0.11 * attempt)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        files = [target] if kind != "dicom" else list(target.iterdir()) if target.exists() else []
        whole = [path for path in files if path.exists() and not path.name.startswith(".partial-")]
        for path in whole:
            assert read_scan(path).data.shape == ((64, 64) if kind == "dicom" else expected.shape)
    assert whole

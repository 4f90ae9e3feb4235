from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from diffdenoise.errors import FormatError
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import make, values


def test_several_arrays_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", first=values((9, 11), np.uint8), second=values((9, 11), np.uint8))
    with pytest.raises(FormatError, match=r"2 arrays \(first, second\); expected one"):
        read_scan(tmp_path / "a.npz")


def test_an_archive_without_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz")
    with pytest.raises(FormatError):
        read_scan(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_pickled_objects_are_never_loaded(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    objects = np.array([[print, 1]] * 9, dtype=object)
    (np.save if suffix == ".npy" else np.savez)(path, objects, allow_pickle=True)
    with pytest.raises(FormatError):
        read_scan(path)


@pytest.mark.parametrize("case", ["npz", "npz-compressed", "npz-awkward-key"])
def test_the_key_is_kept(case, tmp_path):
    path = make(case, tmp_path)
    with np.load(path) as archive:
        (before,) = archive.files
    write_scan(read_scan(path), path, overwrite=True)
    with np.load(path) as archive:
        assert archive.files == [before]


def test_npy_and_npz_may_be_exchanged(tmp_path):
    scan = read_scan(make("npy-int16", tmp_path))
    write_scan(scan, tmp_path / "b.npz")
    assert np.array_equal(read_scan(tmp_path / "b.npz").data, scan.data)


@pytest.mark.parametrize("zipped", [False, True])
def test_an_absurd_size_is_refused(zipped, tmp_path):
    header = io.BytesIO()
    stated = {"descr": "<f8", "fortran_order": False, "shape": (2**20, 2**20)}
    np.lib.format.write_array_header_1_0(header, stated)
    path = tmp_path / ("a.npz" if zipped else "a.npy")
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.npy", header.getvalue() + bytes(99))
    else:
        path.write_bytes(header.getvalue() + bytes(99))
    with pytest.raises(FormatError, match="damaged"):
        read_scan(path)


def test_a_damaged_archive_is_noticed_by_its_checksum(tmp_path):
    path = make("npz", tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_scan(path)

"""One behaviour, every format."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdenoise.errors import DiffDenoiseError, FormatError, OutputError
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.registry import format_named
from diffdenoise.scan.write import write_scan

from .files import FILES, make

SUFFIXES = (".nii", ".nii.gz", ".png", ".tif", ".npy", ".npz")
#: Files whose voxels are stored as real numbers, or as integers with a slope.
REAL = {case for case in FILES if "float" in case or "scaled" in case} | {
    "nifti2-gz-big-endian",
    "npy-fortran",
    "npy-big-endian",
}
every_file = pytest.mark.parametrize("case", FILES)
#: One of each format and compression, for the tests that damage bytes.
KINDS = (
    "nifti1-int16",
    "nifti1-gz-uint8",
    "nifti2-int32",
    "png-8",
    "png-16",
    "tiff-pages",
    "tiff-deflate",
    "tiff-lzw",
    "tiff-imagej",
    "npy-int16",
    "npz",
    "npz-compressed",
)


@every_file
def test_write_then_read_gives_the_same_scan(case, tmp_path, capfd):
    path = make(case, tmp_path)
    scan = read_scan(path)
    target = tmp_path / f"out{''.join(path.suffixes)}"
    write_scan(scan, target)
    again = read_scan(target)
    assert again.data.dtype == scan.data.dtype
    assert again.data.shape == scan.data.shape
    assert np.array_equal(again.data, scan.data)
    assert again.stored_dtype == scan.stored_dtype
    assert again.spacing_mm == scan.spacing_mm
    assert again.slice_axis == scan.slice_axis
    assert again.header == scan.header or case.startswith("nifti")
    assert (again.affine is None) == (scan.affine is None)
    if scan.affine is not None:
        assert np.array_equal(again.affine, scan.affine)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, target.name])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("case", sorted(FILES.keys() - REAL))
def test_integers_are_rounded_half_to_even_and_clipped(case, tmp_path):
    path = make(case, tmp_path)
    scan = read_scan(path)
    limits = np.iinfo(scan.stored_dtype)
    asked = np.zeros(scan.data.shape)
    asked.flat[:8] = [-1e30, 1e30, 0.5, 1.5, 2.5, 3.49, 3.51, -0.4]
    write_scan(scan.with_data(asked), path, overwrite=True)
    found = read_scan(path).data
    assert found.dtype == scan.data.dtype
    assert int(found.flat[0]) == limits.min
    # The largest float64 under 2^63 or 2^64 stands for a limit that has no float64.
    assert float(found.flat[1]) == pytest.approx(float(limits.max), rel=1e-15)
    assert found.flat[2:8].tolist() == [0, 2, 2, 3, 4, 0]


@every_file
def test_float32_is_stored_or_refused(case, tmp_path):
    path = make(case, tmp_path)
    scan = read_scan(path)
    real = scan.with_data(np.linspace(-2.75, 9.25, scan.data.size).reshape(scan.data.shape))
    fmt = format_named(scan.format)
    assert fmt is not None
    before = path.read_bytes() if path.is_file() else None
    if not fmt.holds_float:
        with pytest.raises(OutputError, match="integers only"):
            write_scan(real, path, float32=True, overwrite=True)
        assert path.read_bytes() == before
        return
    write_scan(real, path, float32=True, overwrite=True)
    again = read_scan(path)
    assert again.stored_dtype.newbyteorder("=") == np.float32
    assert again.data.dtype == np.float32
    assert np.array_equal(again.data, real.data.astype(np.float32))


@every_file
def test_data_are_in_native_byte_order_for_torch(case, tmp_path):
    assert read_scan(make(case, tmp_path)).data.dtype.isnative


@pytest.mark.parametrize(
    ("case", "suffix"),
    [(case, suffix) for case in KINDS for suffix in SUFFIXES if FILES[case][0].lower() != f"a{suffix}"],
)
def test_another_suffix_is_refused(case, suffix, tmp_path, capfd):
    path = make(case, tmp_path)
    misnamed = tmp_path / f"misnamed{suffix}"
    misnamed.write_bytes(path.read_bytes())
    with pytest.raises(FormatError) as caught:
        read_scan(misnamed)
    assert str(misnamed) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"x", b"just some text\n" * 100, bytes(1000)])
def test_content_that_is_no_image_is_refused(suffix, content, tmp_path, capfd):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="empty" if not content else "damaged"):
        read_scan(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("case", KINDS)
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused_or_whole(case, share):
    with tempfile.TemporaryDirectory() as folder:
        path = make(case, Path(folder))
        whole, content = read_scan(path).data, path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        try:
            data = read_scan(path).data
        except FormatError:
            return
        # A cut behind the last pixel (a PNG's end mark) does no harm.
        assert np.array_equal(data, whole)


def test_a_tiff_cut_within_its_last_tags_is_damaged(tmp_path):
    path = make("tiff-lzw", tmp_path)
    content = path.read_bytes()
    # The last page's list of tags is the file's end: here it begins, and none of it is there.
    path.write_bytes(content[:-20])
    with pytest.raises(FormatError, match="damaged"):
        read_scan(path)


@pytest.mark.parametrize("case", KINDS)
@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_byte_gives_no_other_error_than_ours(case, where, value):
    with tempfile.TemporaryDirectory() as folder:
        path = make(case, Path(folder))
        content = bytearray(path.read_bytes())
        # Headers are what readers trip over: half of the damage goes there.
        reach = 600 if value % 2 else len(content)
        content[int(where * min(reach, len(content)))] = value
        path.write_bytes(content)
        with suppress(DiffDenoiseError):
            assert read_scan(path).data.dtype.isnative

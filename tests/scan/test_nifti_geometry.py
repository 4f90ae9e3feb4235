"""NIfTI headers whose orientation is rounded, unset or no number: placed rightly, or refused by field."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diffdenoise.errors import FormatError
from diffdenoise.scan.formats.nifti import from_nibabel, to_nibabel
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import AFFINE, values

CASES = Path(__file__).parents[1] / "cases" / "nifti-quaternion-sum-above-1"
SQUARE = np.array([[0.0, -2, 0, 5], [2, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])


def header_with(sform: int = 0, qform: int = 0, **fields: object) -> nib.Nifti1Header:
    """A header of 9 x 11 x 4 voxels that is placed by SQUARE both ways, then changed."""
    image = nib.Nifti1Image(values((9, 11, 4), np.int16), SQUARE)
    image.set_sform(SQUARE, sform)
    image.set_qform(SQUARE, qform)
    header = image.header
    header["scl_slope"], header["scl_inter"] = 1, 0
    for name, value in fields.items():
        header[name] = value
    return header


def file_of(header: nib.Nifti1Header, path: Path) -> Path:
    content = values((9, 11, 4), np.int16).tobytes(order="F")
    header.set_data_offset(352)
    path.write_bytes(header.binaryblock + bytes(4) + content)
    return path


@pytest.mark.parametrize("name", ["bold.nii.gz", "bold_with_sform.nii.gz"])
def test_a_quaternion_that_rounding_made_too_long_is_read_and_its_bytes_are_kept(name, tmp_path):
    scan = read_scan(CASES / name)
    header = nib.Nifti1Header(gzip.decompress((CASES / name).read_bytes())[:348])
    part = np.array([header[f"quatern_{each}"] for each in "bcd"], np.float64)
    assert 1 < part @ part < 1 + 1e-6
    # A half turn about `part`, by the formula of Rodrigues.
    turn = 2 * np.outer(part, part) / (part @ part) - np.eye(3)
    expected = turn * header["pixdim"][1:4] if name == "bold.nii.gz" else header.get_sform()[:3, :3]
    assert np.allclose(scan.affine[:3, :3], expected, atol=1e-6)
    write_scan(scan, tmp_path / name)
    assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress((CASES / name).read_bytes())


@pytest.mark.parametrize("excess", [4.6e-7, 5e-6, 9e-4])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_half_turn_stays_one_however_it_was_rounded(axis, excess, tmp_path):
    long = np.sqrt(1 + excess)
    parts = {f"quatern_{'bcd'[number]}": long * (number == axis) for number in range(3)}
    scan = read_scan(file_of(header_with(qform=1, **parts), tmp_path / "a.nii"))
    turn = -np.ones(3)
    turn[axis] = 1
    assert np.allclose(scan.affine[:3, :3], np.diag(turn * [2, 2, 3]), atol=1e-6)
    assert np.allclose(to_nibabel(scan).affine, scan.affine)


def test_a_quaternion_that_is_no_rotation_is_refused_by_name(tmp_path):
    path = file_of(header_with(qform=1, quatern_b=1.2), tmp_path / "a.nii")
    with pytest.raises(FormatError, match="quatern_b/quatern_c/quatern_d are no rotation"):
        read_scan(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_sform_without_numbers_or_volume_gives_way_to_the_qform(value, tmp_path):
    rows = {f"srow_{axis}": value for axis in "xyz"}
    scan = read_scan(file_of(header_with(sform=1, qform=1, **rows), tmp_path / "a.nii"))
    assert np.allclose(scan.affine, SQUARE, atol=1e-6)
    write_scan(scan.with_data(scan.data // 2), tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes()[:348] == (tmp_path / "a.nii").read_bytes()[:348]
    assert np.allclose(to_nibabel(scan).affine, SQUARE, atol=1e-6)


def test_an_sform_counts_whatever_the_qform_holds(tmp_path):
    fields = {"quatern_b": np.nan, "qoffset_x": np.inf}
    scan = read_scan(file_of(header_with(sform=2, qform=1, **fields), tmp_path / "a.nii"))
    assert np.array_equal(scan.affine, SQUARE)
    write_scan(scan, tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes() == (tmp_path / "a.nii").read_bytes()


@pytest.mark.parametrize(
    ("codes", "fields", "named"),
    [
        ({"sform": 1}, {"srow_y": np.nan}, "srow_x/srow_y/srow_z"),
        ({"sform": 1, "qform": 1}, {"srow_x": np.inf, "quatern_c": np.nan}, "srow_x/srow_y/srow_z"),
        ({"qform": 1}, {"quatern_c": np.nan}, "quatern_b"),
        ({"qform": 1}, {"qoffset_z": np.inf}, "qoffset_z"),
        ({"qform": 1}, {"pixdim": [1, np.nan, 2, 3, 1, 1, 1, 1]}, "pixdim"),
        ({}, {"pixdim": [1, 2, np.inf, 3, 1, 1, 1, 1]}, "pixdim"),
    ],
)
def test_what_places_the_voxels_and_is_no_number_is_named(codes, fields, named, tmp_path):
    path = file_of(header_with(**codes, **fields), tmp_path / "a.nii")
    with pytest.raises(FormatError, match=named) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)


def test_voxel_sizes_that_are_unset_or_not_numbers_come_from_the_sform(tmp_path):
    fields = {"pixdim": [1, np.nan, 0, 3, 1, 1, 1, 1]}
    scan = read_scan(file_of(header_with(sform=1, **fields), tmp_path / "a.nii"))
    assert scan.spacing_mm == pytest.approx((2, 2, 3))


def test_voxel_sizes_never_set_are_no_geometry_and_are_written_back(tmp_path):
    path = file_of(header_with(pixdim=[1, 0, 0, 0, 0, 0, 0, 0]), tmp_path / "a.nii")
    scan = read_scan(path)
    assert (scan.affine, scan.spacing_mm) == (None, None)
    write_scan(scan, tmp_path / "b.nii")
    assert (tmp_path / "b.nii").read_bytes() == path.read_bytes()


def test_an_image_in_memory_whose_affine_is_no_number_is_refused():
    image = nib.Nifti1Image(values((9, 11, 4), np.int16), AFFINE)
    image.affine[0, 3] = np.nan
    with pytest.raises(FormatError, match="its affine holds NaN"):
        from_nibabel(image)


@pytest.mark.parametrize(("slope", "expected"), [(1.0, 1.0), (0.5, 0.5), (0.0, 1.0), (np.nan, 1.0)])
@pytest.mark.parametrize("inter", [np.nan, np.inf])
def test_an_intercept_that_is_no_number_adds_nothing_and_stays(slope, expected, inter, tmp_path):
    path = file_of(header_with(sform=1, scl_slope=slope, scl_inter=inter), tmp_path / "a.nii")
    scan = read_scan(path)
    assert np.array_equal(scan.data, values((9, 11, 4), np.int16) * expected)
    write_scan(scan, tmp_path / "b.nii")
    again = read_scan(tmp_path / "b.nii")
    assert np.array_equal(again.data, scan.data)
    if slope in (1.0, 0.5):
        assert (tmp_path / "b.nii").read_bytes() == path.read_bytes()


def test_a_size_of_nothing_and_an_absurd_offset_are_refused(tmp_path):
    none = header_with()
    none["dim"][2] = 0
    with pytest.raises(FormatError, match="a size of 0"):
        read_scan(file_of(none, tmp_path / "a.nii"))
    content = bytearray(file_of(header_with(), tmp_path / "a.nii").read_bytes())
    content[108:112] = np.float32(1e18).tobytes()  # vox_offset
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(FormatError, match="more than the file's"):
        read_scan(tmp_path / "a.nii")

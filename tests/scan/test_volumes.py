"""Formats that nibabel reads and that are written as NIfTI; the files are nibabel's own, or made by it."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diffdenoise.errors import DiffDenoiseError, FormatError, InputError, OutputError
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

from .files import AFFINE, values

DATA = Path(nib.__file__).parent / "tests" / "data"


def nibabels(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"nibabel was installed without its test file {name}")
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair, nib.Spm99AnalyzeImage, nib.AnalyzeImage])
def test_a_pair_is_one_scan_and_is_written_as_nifti(kind, tmp_path):
    data = values((9, 11, 4), np.int16)
    nib.save(kind(data, AFFINE), tmp_path / "a.img")
    expected = nib.load(tmp_path / "a.hdr").affine
    (found,) = find_scans([tmp_path]).scans
    assert found.name == "a.hdr"
    for name in ("a.hdr", "a.img"):
        scan = read_scan(tmp_path / name)
        assert np.array_equal(scan.data, data)
        assert scan.stored_dtype == np.int16
        assert np.allclose(scan.affine, expected)
    write_scan(scan, tmp_path / "b.nii.gz")
    again = nib.load(tmp_path / "b.nii.gz")
    assert np.array_equal(np.asanyarray(again.dataobj), data)
    assert np.allclose(again.affine, expected)
    with pytest.raises(OutputError, match="suffix"):
        write_scan(scan, tmp_path / "b.img")
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"second file, a\.img, is missing"):
        read_scan(tmp_path / "a.hdr")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("tiny.mnc", (10, 20, 20)),
        ("minc2_1_scale.mnc", (10, 20, 20)),
        ("minc1_4d.mnc", (10, 20, 20, 2)),
        ("example4d+orig.HEAD", (33, 41, 25, 3)),
        ("phantom_EPI_asc_CLEAR_2_1.PAR", (64, 64, 9, 3)),
    ],
)
def test_values_and_geometry_are_those_that_nibabel_gives(name, shape, tmp_path):
    path = nibabels(name)
    scan, image = read_scan(path), nib.load(path)
    assert scan.data.shape == shape
    expected = np.asanyarray(image.dataobj)
    assert np.array_equal(scan.data, np.moveaxis(expected, 0, 3) if name == "minc1_4d.mnc" else expected)
    assert np.allclose(scan.affine, image.affine)
    write_scan(scan, tmp_path / "b.nii")
    again = nib.load(tmp_path / "b.nii")
    assert np.allclose(again.get_fdata(), scan.data, rtol=1e-6)
    assert np.allclose(again.affine, image.affine, atol=1e-4)


def test_damaged_files_are_refused(tmp_path):
    nib.save(nib.MGHImage(values((9, 11, 4), np.int16), AFFINE), tmp_path / "a.mgh")
    whole = (tmp_path / "a.mgh").read_bytes()
    for cut in (0, 3, 100, 500):
        (tmp_path / "a.mgh").write_bytes(whole[:cut])
        with pytest.raises(DiffDenoiseError):
            read_scan(tmp_path / "a.mgh")
    absurd = bytearray(whole)
    absurd[4:16] = np.array([30000, 30000, 30000], ">i4").tobytes()
    (tmp_path / "a.mgh").write_bytes(absurd)
    with pytest.raises(FormatError, match="damaged"):
        read_scan(tmp_path / "a.mgh")
    (tmp_path / "b.par").write_text("# nothing\n")
    (tmp_path / "b.rec").write_bytes(bytes(100))
    with pytest.raises(FormatError, match="damaged or of a kind"):
        read_scan(tmp_path / "b.par")


@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
def test_tags_of_mgh_are_kept(name, tmp_path):
    data = values((9, 11, 4), np.float32)
    content = nib.MGHImage(data, AFFINE).to_bytes()
    # TAG_CMDLINE (3), its length in eight bytes, and the words.
    words = b"mri_convert in.mgz out.mgz\0"
    tags = (3).to_bytes(4, "big") + len(words).to_bytes(8, "big") + words
    whole = content + tags
    (tmp_path / name).write_bytes(gzip.compress(whole) if name == "a.mgz" else whole)
    scan = read_scan(tmp_path / name)
    assert np.array_equal(scan.data, data)
    for target in ("b.mgh", "b.mgz"):
        write_scan(scan, tmp_path / target)
        found = (tmp_path / target).read_bytes()
        assert (gzip.decompress(found) if target == "b.mgz" else found) == whole
        assert np.array_equal(nib.load(tmp_path / target).get_fdata(), data)
    write_scan(scan.with_data(scan.data * 2), tmp_path / "c.mgh", float32=True)
    assert (tmp_path / "c.mgh").read_bytes().endswith(tags)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["delta", "Mdc", "Pxyz_c"])
def test_geometry_of_mgh_that_is_no_number_is_refused_by_field(field, number, tmp_path):
    image = nib.MGHImage(values((9, 11, 4), np.int16), AFFINE)
    header = image.header.copy()
    header[field].flat[0] = number
    whole = image.to_bytes()
    (tmp_path / "a.mgh").write_bytes(bytes(header.binaryblock[:90]) + whole[90:])
    with pytest.raises(FormatError, match=f"its {field} holds NaN or infinity"):
        read_scan(tmp_path / "a.mgh")


def test_voxel_sizes_of_nothing_are_no_geometry(tmp_path):
    image = nib.MGHImage(values((9, 11, 4), np.int16), AFFINE)
    header = image.header.copy()
    header["delta"] = 0
    whole = bytes(header.binaryblock[:90]) + image.to_bytes()[90:]
    (tmp_path / "a.mgh").write_bytes(whole)
    scan = read_scan(tmp_path / "a.mgh")
    assert (scan.affine, scan.spacing_mm) == (None, None)
    write_scan(scan, tmp_path / "b.mgh")
    assert (tmp_path / "b.mgh").read_bytes() == whole


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_geometry_of_a_pair_that_is_no_number_is_refused(number, tmp_path):
    image = nib.Nifti1Pair(values((9, 11, 4), np.int16), AFFINE)
    nib.save(image, tmp_path / "a.img")
    head = bytearray((tmp_path / "a.hdr").read_bytes())
    head[280:284] = np.float32(number).tobytes()  # srow_x
    (tmp_path / "a.hdr").write_bytes(head)
    with pytest.raises(FormatError, match="srow, quatern or qoffset holds NaN or infinity"):
        read_scan(tmp_path / "a.hdr")


def test_an_analyze_pair_without_voxel_sizes_is_written_as_nifti(tmp_path):
    nib.save(nib.AnalyzeImage(values((9, 11, 4), np.int16), np.eye(4)), tmp_path / "a.img")
    head = bytearray((tmp_path / "a.hdr").read_bytes())
    head[76:108] = bytes(32)  # pixdim
    (tmp_path / "a.hdr").write_bytes(head)
    scan = read_scan(tmp_path / "a.hdr")
    assert np.allclose(scan.affine, nib.load(tmp_path / "a.hdr").affine)
    write_scan(scan, tmp_path / "b.nii")
    assert np.array_equal(read_scan(tmp_path / "b.nii").data, scan.data)

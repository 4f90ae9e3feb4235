"""Formats that nibabel reads and that are written as NIfTI; the files are nibabel's own, or made by it."""

from __future__ import annotations

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

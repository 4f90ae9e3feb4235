"""Awkward files: each is read rightly, or refused in one line; the tables say which, and why.

nibabel's come with its package (MIT licence). Those of DICOM's working group 4 and of dwv aren't ours to
ship: `DIFFDENOISE_DATA` names the folder that holds them, and their tests are skipped without.
"""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from diffdenoise.errors import DiffDenoiseError
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.read import read_scan

NIBABEL = Path(nib.__file__).parent
SMALL = "at least 8x8"
NO_VOXELS = "second file, .*, is missing"
NOT_KNOWN = "is not known"
#: Images by their shape, others by the reason. PAR files that aren't named come without their voxels.
NIBABELS = {
    "tests/data/0.dcm": (256, 256),
    "tests/data/1.dcm": (256, 256),
    "tests/data/analyze.hdr": NO_VOXELS,
    "tests/data/anatomical.nii": (33, 41, 25),
    "tests/data/bad_attribute+orig.HEAD": NO_VOXELS,
    "tests/data/bad_datatype+orig.HEAD": NO_VOXELS,
    "tests/data/example4d+orig.BRIK.gz": (33, 41, 25, 3),
    "tests/data/example4d+orig.HEAD": (33, 41, 25, 3),
    "tests/data/example4d.nii.gz": (128, 96, 24, 2),
    "tests/data/example_nifti2.nii.gz": (32, 20, 12, 2),
    "tests/data/functional.nii": (17, 21, 3, 20),
    "tests/data/minc1-no-att.mnc": (10, 20, 20),
    "tests/data/minc1_1_scale.mnc": (10, 20, 20),
    "tests/data/minc1_4d.mnc": (10, 20, 20, 2),
    "tests/data/minc2-4d-d.mnc": (16, 16, 16, 5),
    "tests/data/minc2-no-att.mnc": (10, 20, 20),
    "tests/data/minc2_1_scale.mnc": (10, 20, 20),
    "tests/data/minc2_4d.mnc": (10, 20, 20, 2),
    "tests/data/minc2_baddim.mnc": (10, 10, 10),
    "tests/data/nifti1.hdr": NO_VOXELS,
    "tests/data/nifti2.hdr": NO_VOXELS,
    "tests/data/phantom_EPI_asc_CLEAR_2_1.PAR": (64, 64, 9, 3),
    "tests/data/phantom_EPI_asc_CLEAR_2_1.REC": (64, 64, 9, 3),
    "tests/data/phantom_truncated.PAR": "damaged or of a kind that is not read",
    "tests/data/phantom_truncated.REC": "damaged or of a kind that is not read",
    "tests/data/phantom_varscale.PAR": (64, 64, 9, 3),
    "tests/data/phantom_varscale.REC": (64, 64, 9, 3),
    "tests/data/reoriented_anat_moved.nii": (21, 26, 22),
    # NaN where the resampled volume has nothing.
    "tests/data/resampled_anat_moved.nii": (17, 21, 3),
    # CIFTI: a matrix of brain regions.
    "tests/data/row_major.dconn.nii": "6 axes",
    "tests/data/scaled+tlrc.BRIK": (47, 54, 43),
    "tests/data/scaled+tlrc.HEAD": (47, 54, 43),
    "tests/data/small.mnc": (18, 28, 29),
    "tests/data/standard.nii.gz": SMALL,
    "tests/data/test.mgz": SMALL,
    "tests/data/tiny.mnc": (10, 20, 20),
    # Tracts and a PET format.
    "tests/data/empty.trk": NOT_KNOWN,
    "tests/data/simple.tck": NOT_KNOWN,
    "tests/data/tinypet.v": NOT_KNOWN,
    "nicom/tests/data/0.dcm": (256, 256),
    "nicom/tests/data/1.dcm": (256, 256),
    "nicom/tests/data/csa2_zero_len.bin.gz": NOT_KNOWN,
    "nicom/tests/data/csa_slice_norm.dcm": "no pixel data",
    "nicom/tests/data/decimal_rescale.dcm": "real part",
    "nicom/tests/data/philips_mprage.dcm.gz": NOT_KNOWN,
    "nicom/tests/data/siemens_dwi_0.dcm.gz": NOT_KNOWN,
    "nicom/tests/data/siemens_dwi_1000.dcm.gz": NOT_KNOWN,
    "nicom/tests/data/slicethickness_empty_string.dcm": "projection",
}
NIBABELS |= {
    f"tests/data/{path.name}": NO_VOXELS
    for path in (NIBABEL / "tests" / "data").glob("*.PAR")
    if f"tests/data/{path.name}" not in NIBABELS
}
DWV = {
    # It names 1600 files of a disc.
    "DICOMDIR": "names a file that is missing",
    "bbmri.zip": (256, 256, 2),
    "dwv-test-anonymise.dcm": (32, 32),
    "dwv-test-sequence.dcm": (32, 32),
    "dwv-test-simple.dcm": (32, 32),
    "dwv-test_bad.zip": (32, 32),
    "dwv-test_no-number-rows.dcm": "without Rows or Columns",
    "gdcm-US-RGB-8-esopecho.dcm": "colour image",
    "leadtools-8BitsJpegLossyGrayScale.dcm": (535, 800),
    "nema-ct1_j2ki.dcm": (512, 512),
    "nema-nm1_j2kr.dcm": (1024, 256),
    "nema-nm1_jpll.dcm": (1024, 256),
    "nema-nm1_jply.dcm": (1024, 256),
    "nema-us1_j2ki.dcm": "colour image",
    "osirix-cerebrix.dcm": (224, 176),
    "osirix-toutatix-100.dcm": (512, 512),
    "osirix-toutatix-101.dcm": (512, 512),
}
#: Copies of one CT and one MR image, and the most that a stored value of the image proper may be off by.
SYNTAXES = {"RLE": 0, "JPLL": 0, "JLSL": 0, "J2KR": 0, "JLSN": 4, "J2KI": None, "JPLY": None}


def _check(path: Path, expected: tuple[int, ...] | str) -> None:
    if isinstance(expected, tuple):
        scan = read_scan(path)
        check_scan(scan)
        assert scan.data.shape == expected
    else:
        with pytest.raises(DiffDenoiseError, match=expected) as caught:
            check_scan(read_scan(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NIBABELS)
def test_files_of_nibabel(name, capfd):
    path = NIBABEL / name
    if not path.is_file():
        pytest.skip(f"nibabel was installed without its test file {name}")
    _check(path, NIBABELS[name])
    assert capfd.readouterr() == ("", "")


def _shared(folder: str, name: str) -> Path:
    data = os.environ.get("DIFFDENOISE_DATA")
    if not data:
        pytest.skip("DIFFDENOISE_DATA names no folder of awkward files")
    path = Path(data) / folder / name
    if not path.is_file():
        pytest.skip(f"{folder}/{name} is not in the folder that DIFFDENOISE_DATA names")
    return path


@pytest.mark.parametrize("name", DWV)
def test_files_of_dwv(name, capfd):
    _check(_shared("awkward-dicom-dwv", name), DWV[name])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("image", ["CT1", "MR4"])
def test_one_image_in_many_transfer_syntaxes(image, syntax):
    folder = "awkward-dicom-wg04-syntaxes"
    expected = read_scan(_shared(folder, f"{image}_J2KR.dcm"))
    scan = read_scan(_shared(folder, f"{image}_{syntax}.dcm"))
    assert scan.data.shape == (512, 512)
    assert scan.spacing_mm == expected.spacing_mm
    most = SYNTAXES[syntax]
    if most == 0:
        assert np.array_equal(scan.data, expected.data)
        return
    # Outside of the image proper the lossy ones have lost their padding.
    inside = expected.data > np.percentile(expected.data, 50)
    values, true = scan.data[inside].astype(float), expected.data[inside].astype(float)
    if most is None:
        assert np.corrcoef(values, true)[0, 1] > 0.95
    else:
        slope = float(np.diff(np.unique(expected.data)).min())
        assert np.abs(values - true).max() <= 1.001 * most * slope

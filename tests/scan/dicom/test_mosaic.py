"""Siemens mosaics: nibabel's diffusion images (MIT licence), with values in their blanked pixels."""

from __future__ import annotations

import gzip
import warnings
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import write_scan

DATA = Path(nib.__file__).parent / "nicom" / "tests" / "data"
NAMES = ("siemens_dwi_0", "siemens_dwi_1000")
SLICES, SIDE = 48, 128


def mosaics(folder: Path) -> Path:
    """Two volumes of 48 slices of 128x128; the first row of a slice is its number, but in the blank tile."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for volume, name in enumerate(NAMES):
        packed = DATA / f"{name}.dcm.gz"
        if not packed.is_file():
            pytest.skip(f"nibabel was installed without its test file {packed.name}")
        made = pydicom.dcmread(BytesIO(gzip.decompress(packed.read_bytes())))
        pixels = rng.integers(100, 4000, (7 * SIDE, 7 * SIDE)).astype(np.uint16)
        for number in range(SLICES):
            row, column = divmod(number, 7)
            pixels[row * SIDE, column * SIDE : (column + 1) * SIDE] = number + 1000 * volume
        pixels[6 * SIDE :, 6 * SIDE :] = 0
        made.PixelData = pixels.tobytes()
        made.save_as(folder / f"{name}.dcm")
    return folder


def test_slices_lie_where_nibabel_says(tmp_path):
    folder = mosaics(tmp_path / "in")
    scan = read_scan(folder)
    assert scan.data.shape == (SIDE, SIDE, SLICES, 2)
    assert scan.spacing_mm == pytest.approx((1.796875, 1.796875, 3.0), abs=1e-4)
    assert scan.header.layout.notices == ()
    assert "2 volumes of 48 slices of 128x128" in scan.header.title
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom import dicomwrappers

        theirs = dicomwrappers.wrapper_from_file(folder / f"{NAMES[1]}.dcm")
        data, affine = theirs.get_data(), np.diag([-1, -1, 1, 1]) @ theirs.affine
    # Its axes are rows, columns, slices in the mosaic's order.
    places = np.array([[i, j, k, 1] for i in (0, 5) for j in (0, 7) for k in (0, 40)]).T
    ours = np.linalg.inv(scan.affine) @ (affine @ places)
    assert np.allclose(ours[:3], np.rint(ours[:3]), atol=1e-3)
    found = scan.data[(*np.rint(ours[:3]).astype(int), 1)]
    assert found.tolist() == data[tuple(places[:3])].tolist()
    assert sorted(scan.data[5, 0, :, 0].tolist()) == list(range(SLICES))
    assert sorted(scan.data[5, 0, :, 1].tolist()) == list(range(1000, 1000 + SLICES))


@pytest.mark.parametrize("shift_mm", [0.02, 0.7, 3.0])
def test_volumes_that_follow_a_head_stay_volumes(shift_mm, tmp_path):
    folder = mosaics(tmp_path)
    still = read_scan(folder)
    path = folder / f"{NAMES[1]}.dcm"
    made = pydicom.dcmread(path)
    made.ImagePositionPatient[2] += shift_mm
    made.save_as(path)
    scan = read_scan(folder)
    assert np.array_equal(scan.data, still.data)
    assert np.array_equal(scan.affine, still.affine)
    (notice,) = scan.header.layout.notices
    assert notice == f"volumes lie up to {shift_mm:.2g} mm apart; the affine is that of the first"


def test_one_mosaic_is_a_volume(tmp_path):
    scan = read_scan(mosaics(tmp_path) / f"{NAMES[0]}.dcm")
    assert scan.data.shape == (SIDE, SIDE, SLICES)
    assert scan.slice_axis == 2
    assert scan.header.title == "series 12 (MR, 48 slices of 128x128)"


@pytest.mark.parametrize("compression", ["none", "jpeg-ls"])
def test_a_mosaic_is_written_as_one(tmp_path, compression):
    folder = mosaics(tmp_path / "in")
    scan = read_scan(folder)
    write_scan(
        scan.with_data(scan.data + 1), tmp_path / "out", derivation=Derivation(compression=compression)
    )
    for name in NAMES:
        old = pydicom.dcmread(folder / f"{name}.dcm").pixel_array
        new = pydicom.dcmread(tmp_path / "out" / f"{name}.dcm")
        blank = np.zeros(old.shape, bool)
        blank[6 * SIDE :, 6 * SIDE :] = True
        assert np.array_equal(new.pixel_array, np.where(blank, old, old + 1))
        assert new.ImageType[-1] == "MOSAIC"
    again = read_scan(tmp_path / "out")
    assert np.array_equal(again.data, scan.data + 1)
    assert np.array_equal(again.affine, scan.affine)


def test_a_mosaic_without_its_private_elements_is_one_image(tmp_path):
    folder = mosaics(tmp_path)
    for path in folder.iterdir():
        made = pydicom.dcmread(path)
        made.remove_private_tags()
        made.save_as(path)
    scan = read_scan(folder)
    assert scan.data.shape == (7 * SIDE, 7 * SIDE, 1, 2)
    assert scan.affine is None
    assert scan.header.layout.notices == ("holds mosaics of slices: each is read as one image",)


@pytest.mark.parametrize("element", [(0x0029, 0x1010), (0x0019, 0x100A)])
@pytest.mark.parametrize("content", [b"", b"SV10", b"\xff" * 200])
def test_damaged_private_elements_are_as_good_as_none(tmp_path, element, content):
    path = mosaics(tmp_path) / f"{NAMES[0]}.dcm"
    made = pydicom.dcmread(path)
    made.add_new(element, "OB", content)
    made.save_as(path)
    assert read_scan(path).data.shape in ((7 * SIDE, 7 * SIDE), (SIDE, SIDE, SLICES))

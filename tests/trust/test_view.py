"""Slices are turned as radiologists read them, with the right letters, proportions and scale."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.scan.formats.nifti import from_nibabel
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.scan import Scan
from diffdenoise.trust.marks import scale_mm
from diffdenoise.trust.view import view_of
from tests.scan.dicom.files import DX, dataset, pixels, save


def scan(data: NDArray[np.float64], affine: NDArray[np.float64] | None = None) -> Scan:
    spacing = None if affine is None else tuple(np.sqrt((affine[:3, :3] ** 2).sum(axis=0))[: data.ndim])
    return Scan(data, "array", data.dtype, spacing_mm=spacing, affine=affine)


def head() -> NDArray[np.float64]:
    """A (right, front, up) volume (20, 30, 10), bright where x is right, y front and z up."""
    data = np.zeros((20, 30, 10))
    data[15:] += 1
    data[:, 25:] += 10
    data[:, :, 8:] += 100
    return data


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "ILA"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slices_are_shown_as_radiologists_read_them(codes: str, plane: str) -> None:
    orientation = nibabel.orientations.axcodes2ornt(codes)
    back = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), orientation)
    stored = nibabel.orientations.apply_orientation(head(), back)
    affine = np.diag([1.0, 2.0, 4.0, 1.0]) @ nibabel.orientations.inv_ornt_aff(back, head().shape)
    letters = {"axial": "SI", "coronal": "AP", "sagittal": "RL"}[plane]
    axis = next(index for index, code in enumerate(codes) if code in letters)
    view = view_of(scan(stored, affine), axis)
    shown = view.of(stored)
    rows, columns = shown.shape
    left, right = shown[rows // 2, 0], shown[rows // 2, -1]
    top, bottom = shown[0, columns // 2], shown[-1, columns // 2]
    expected = {
        "axial": ("RLAP", (1, 10), (2.0, 1.0)),
        "coronal": ("RLSI", (1, 100), (4.0, 1.0)),
        "sagittal": ("APSI", (10, 100), (4.0, 2.0)),
    }[plane]
    assert ("".join(view.directions), (left - right, top - bottom), view.pixel_mm) == expected
    assert view.aspect == expected[2][0] / expected[2][1]


def tilted(degrees: float) -> NDArray[np.float64]:
    """An affine of axial slices, tipped about the left-right axis: the front of a slice moves up."""
    angle = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return affine


@pytest.mark.parametrize(
    ("degrees", "letters"),
    [
        (10, ("R", "L", "A", "P")),
        (30, ("R", "L", "AS", "PI")),
        (60, ("R", "L", "SA", "IP")),
        # Tipped further than to the coronal plane: its front side is still the upper one, but that is up.
        (85, ("R", "L", "S", "I")),
    ],
)
def test_oblique_slices_have_letters_of_two(degrees: float, letters: tuple[str, ...]) -> None:
    view = view_of(scan(np.zeros((9, 10, 11)), tilted(degrees)), 2)
    assert view.directions == letters


def test_the_slice_asked_for_is_shown() -> None:
    data = np.zeros((20, 30, 10)) + np.arange(10)
    for affine in (np.diag([1.0, 1, 3, 1]), np.diag([1.0, 1, -3, 1]), None):
        assert (view_of(scan(data, affine), 2, 7).of(data) == 7).all()
    with pytest.raises(ShapeError, match="slice 10"):
        view_of(scan(data), 2, 10)
    series = np.stack([data, data + 100], axis=-1)
    assert (view_of(scan(series), 2, 7, volume=1).of(series) == 107).all()


def test_images_without_geometry_are_shown_as_stored() -> None:
    image = np.arange(600.0).reshape(20, 30)
    view = view_of(scan(image))
    assert np.array_equal(view.of(image), image)
    assert (view.aspect, view.directions, view.pixel_mm) == (1.0, ("", "", "", ""), None)
    volume = np.arange(20.0 * 30 * 9).reshape(20, 30, 9)
    assert np.array_equal(view_of(scan(volume), 2, 4).of(volume), volume[..., 4])


@pytest.mark.parametrize(("code", "letters"), [(0, ""), (1, "RLAP")])
def test_a_nifti_file_that_states_no_orientation_has_no_letters(code: int, letters: str) -> None:
    image = nibabel.Nifti1Image(head(), np.diag([-1.0, 1, 1, 1]))
    image.set_qform(image.affine, code)
    image.set_sform(image.affine, code)
    assert "".join(view_of(from_nibabel(image), 2).directions) == letters


def test_a_series_with_missing_slices_is_upright_and_lettered(tmp_path: Path) -> None:
    values = pixels(5, rows=12, columns=10)
    for number in (0, 1, 2, 4):
        # Sagittal: rows run back, columns down.
        made = dataset(
            values[number],
            ImagePositionPatient=[3.0 * number, 0, 0],
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        )
        save(made, tmp_path / "in" / f"{number}.dcm")
    found = read_scan(tmp_path / "in")
    assert found.affine is None
    view = view_of(found, 2, 0)
    assert view.directions == ("A", "P", "S", "I")
    assert any(np.array_equal(view.of(found.data), each) for each in values)
    assert view.pixel_mm == (0.75, 0.5)
    # Of cuts across the rows, one direction isn't known.
    assert view_of(found, 0, 3).directions == ("", "", "", "")


def test_a_single_dicom_slice_is_upright_and_lettered(tmp_path: Path) -> None:
    values = pixels(1, rows=12, columns=10)[0]
    # Rows run up, columns to the front: lying on the back of the head.
    made = dataset(values, ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[0, 0, 1, 0, -1, 0])
    found = read_scan(save(made, tmp_path / "one.dcm"))
    view = view_of(found)
    assert view.directions == ("A", "P", "S", "I")
    assert np.array_equal(view.of(found.data), values.T[::-1, ::-1])
    assert view.pixel_mm == (0.5, 0.75)


@pytest.mark.parametrize(
    ("stated", "letters"),
    [
        (["L", "F"], ("R", "L", "S", "I")),
        (["A", "F"], ("P", "A", "S", "I")),
        (["LA", "FP"], ("RP", "LA", "SA", "IP")),
        (["X", "F"], ("", "", "", "")),
        (None, ("", "", "", "")),
    ],
)
def test_a_radiograph_has_the_letters_that_it_states(
    tmp_path: Path, stated: list[str] | None, letters: tuple[str, ...]
) -> None:
    values = pixels(1, rows=12, columns=10, dtype=np.uint16)[0]
    more = {} if stated is None else {"PatientOrientation": stated}
    made = dataset(
        values, sop_class=DX, modality="DX", PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.1], **more
    )
    found = read_scan(save(made, tmp_path / "one.dcm"))
    view = view_of(found)
    assert np.array_equal(view.of(found.data), values)
    assert view.directions == letters
    assert view.pixel_mm == (0.2, 0.1)
    assert view.display.is_at_detector


@pytest.mark.parametrize(("width", "length"), [(240.0, 50), (51.2, 10), (17, 5), (7, 2), (3.2, 0.5)])
def test_a_scale_is_a_round_length(width: float, length: float) -> None:
    assert scale_mm(width) == pytest.approx(length)

"""The comparison picture: written whole or not at all, turned the right way."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffdenoise.errors import OutputError, ShapeError
from diffdenoise.scan.scan import Scan
from diffdenoise.trust import figure
from diffdenoise.trust.figure import _detail, check_picture, save_comparison, view_of
from diffdenoise.trust.metrics import evaluate


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
    view = view_of(scan(stored, affine), axis, None)
    rows, columns = view.pixels.shape
    left, right = view.pixels[rows // 2, 0], view.pixels[rows // 2, -1]
    top, bottom = view.pixels[0, columns // 2], view.pixels[-1, columns // 2]
    if plane == "axial":
        assert view.directions == "RLAP"
        assert (left - right, top - bottom) == (1, 10)
        assert view.aspect == pytest.approx(2)
    elif plane == "coronal":
        assert view.directions == "RLSI"
        assert (left - right, top - bottom) == (1, 100)
        assert view.aspect == pytest.approx(4)
    else:
        assert view.directions == "APSI"
        assert (left - right, top - bottom) == (10, 100)
        assert view.aspect == pytest.approx(2)


def test_images_without_geometry_are_shown_as_stored() -> None:
    image = np.arange(600.0).reshape(20, 30)
    view = view_of(scan(image), None, None)
    assert np.array_equal(view.pixels, image)
    assert (view.aspect, view.directions) == (1.0, "")


def test_the_slice_asked_for_is_shown() -> None:
    data = np.zeros((20, 30, 10)) + np.arange(10)
    assert (view_of(scan(data, np.diag([1.0, 1, 3, 1])), 2, 7).pixels == 7).all()
    assert (view_of(scan(data, np.diag([1.0, 1, -3, 1])), 2, 7).pixels == 7).all()
    with pytest.raises(ShapeError, match="slice 10"):
        view_of(scan(data), 2, 10)


def test_the_detail_is_where_the_structure_is() -> None:
    image = np.zeros((90, 80))
    image[45:75, 8:35] = np.random.default_rng(0).normal(size=(30, 27))
    rows, columns = _detail(image)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (27, 24)
    assert 43 <= rows.start < rows.stop <= 77
    assert 6 <= columns.start < columns.stop <= 37


@pytest.mark.parametrize("shape", [(12, 12), (17, 40), (40, 17, 3), (16, 18, 3, 2)])
@pytest.mark.parametrize("with_reference", [False, True])
def test_a_png_is_written(tmp_path: Path, shape: tuple[int, ...], with_reference: bool) -> None:
    rng = np.random.default_rng(0)
    noisy, denoised = scan(rng.normal(size=shape)), scan(rng.normal(size=shape))
    path = tmp_path / "picture.png"
    save_comparison(path, noisy, denoised, denoised if with_reference else None, title="a [title] $x")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
    assert [entry.name for entry in tmp_path.iterdir()] == ["picture.png"]


def test_scores_are_written_above_the_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noisy, denoised = rng.normal(size=(20, 20)), rng.normal(size=(20, 20))
    found = evaluate(denoised, noisy * 0.5, noisy=noisy)
    views = {"noisy": view_of(scan(noisy), None, None), "denoised": view_of(scan(denoised), None, None)}
    drawn = figure._draw(views, found, None)
    titles = [axes.get_title() for axes in drawn.axes[::2]]
    assert f"PSNR {found.denoised.psnr_db:.2f} dB" in titles[1]
    assert found.noisy is not None
    assert f"SSIM {found.noisy.ssim:.3f}" in titles[0]
    bound = 3 * (noisy - denoised).std()
    assert f"±{bound:.3g}" in titles[2]
    assert drawn.axes[0].images[0].get_clim() == drawn.axes[2].images[0].get_clim()
    assert drawn.axes[4].images[0].get_clim() == pytest.approx((-bound, bound))


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = scan(np.random.default_rng(0).normal(size=(20, 20)))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OutputError, match="disk is full"):
        save_comparison(tmp_path / "picture.png", image, image)
    assert list(tmp_path.iterdir()) == []


def test_wrong_places_for_a_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "folder.png").mkdir()
    for name, words in [
        ("p.jpg", ".png"),
        ("old.png/p.png", "not a folder"),
        ("old.png", "exists"),
        ("folder.png", "is a folder"),
    ]:
        with pytest.raises(OutputError, match=words):
            check_picture(tmp_path / name)
    check_picture(tmp_path / "old.png", overwrite=True)
    with pytest.raises(OutputError):
        check_picture(tmp_path / "folder.png", overwrite=True)


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="denoised"):
        save_comparison(tmp_path / "p.png", scan(np.ones((20, 20))), scan(np.ones((20, 21))))

"""Pictures are upright, of the right slices, on fixed scales, and always fit; scans are never held whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.page.html import report_page
from diffdenoise.page.pictures import PICTURE_BYTES, chosen, make_tiles
from diffdenoise.page.tiles import Tiles
from diffdenoise.page.tones import ZERO
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Computed
from diffdenoise.trust.evidence import Place
from diffdenoise.types import Array
from tests.page.made import PROVENANCE, evidence, opened, scans


def place(slice_: int = 2, row: int = 10, column: int = 20, volume: int = 0) -> Place:
    return Place(volume, slice_, row, column, 6.0, 8.0, 2.0)


def values_in(found: Tiles, index: int, kind: str) -> NDArray[np.float64]:
    """Values that a picture's tones stand for."""
    tones = opened(found.pictures[index].images[kind]).astype(float)
    if kind == "residual":
        return np.asarray((tones - ZERO) / ZERO * found.bound)
    if kind == "uncertainty":
        return np.asarray(tones / 255 * found.top)
    return np.asarray(np.interp(tones, found.tones.tones, found.tones.values))


def test_values_read_back_from_the_pictures_are_those_of_the_scans() -> None:
    noisy, denoised = scans()
    doubt = np.random.default_rng(1).uniform(0, 50, noisy.shape)
    found = make_tiles(noisy, denoised, 60.0, doubt)
    assert (found.bound, found.top, found.quality, found.factor) == (240.0, 60.0, None, 1)
    assert [each.slice for each in found.pictures] == [0, 1, 2, 3, 4]
    residual = noisy.data - denoised.data
    low, high = found.tones.values[0], found.tones.values[-1]
    for index in range(5):
        assert (
            np.abs(values_in(found, index, "residual") - np.clip(residual[..., index], -240, 240)).max() < 1
        )
        assert np.abs(values_in(found, index, "uncertainty") - doubt[..., index]).max() < 0.2
        for kind, scan in (("noisy", noisy), ("denoised", denoised)):
            expected = np.clip(scan.data[..., index], low, high)
            assert np.abs(values_in(found, index, kind) - expected).max() < 5


def test_without_a_noise_level_the_residuals_own_is_the_scale() -> None:
    noisy, denoised = scans()
    found = make_tiles(noisy, denoised, None)
    assert found.noise_std is None
    assert found.bound == pytest.approx(4 * 60, rel=0.1)
    assert "uncertainty" not in found.pictures[0].images


@pytest.mark.parametrize("way", ["LPS", "RAS", "PIR", "SAL"])
def test_pictures_and_marks_are_upright(way: str) -> None:
    import nibabel

    # A right-handed look at the patient: x to the right, y to the front; bright at the patient's right front.
    upright = np.zeros((20, 30, 4))
    upright[11:14, 24:27] = 100
    axes = nibabel.orientations
    back = axes.ornt_transform(axes.axcodes2ornt("RAS"), axes.axcodes2ornt(way))
    stored = axes.apply_orientation(upright, back)
    affine = np.diag([1.0, 1, 4, 1]) @ axes.inv_ornt_aff(back, upright.shape)
    noisy = Scan(stored, spacing_mm=tuple(np.linalg.norm(affine[:3, :3], axis=0)), affine=affine)
    axis = next(index for index, code in enumerate(way) if code in "SI")
    spot = np.argwhere(stored > 0).mean(axis=0).round().astype(int)
    row, column = (int(at) for index, at in enumerate(spot) if index != axis)
    found = make_tiles(noisy, noisy, 1.0, None, [place(int(spot[axis]), row, column)], axis=axis)
    picture = next(each for each in found.pictures if each.marks)
    tones = opened(picture.images["noisy"])
    bright = np.argwhere(tones > tones.min() + 50).mean(axis=0)
    # The patient's right is on the left, the front on top.
    assert found.view.directions == ("R", "L", "A", "P")
    assert tones.shape == (30, 20)
    assert bright.tolist() == [30 - 1 - 25, 20 - 1 - 12]
    assert (picture.marks[0].y - 0.5, picture.marks[0].x - 0.5) == pytest.approx(tuple(bright), abs=1)
    assert picture.marks[0].radius == 3


def test_the_slices_of_places_are_shown_among_evenly_spaced_ones() -> None:
    assert chosen((3, 30), 1, [], 10) == [(0, each) for each in (3, 6, 9, 12, 15, 18, 21, 24, 27, 30)]
    found = chosen(
        (0, 99), 1, [place(41), place(41), place(77), *(place(each) for each in range(50, 60))], 10
    )
    assert 9 <= len(found) <= 10
    assert {(0, each) for each in (41, 77, 50, 51, 52)} <= set(found)
    assert {(0, 0), (0, 99)} <= set(found)
    assert chosen((4, 4), 1, [], 10) == [(0, 4)]
    assert (5, 7) in chosen((0, 14), 6, [], 10)
    assert (3, 2) in chosen((0, 14), 6, [place(2, volume=3)], 10)


def test_empty_ends_of_a_volume_are_not_shown() -> None:
    data = np.random.default_rng(0).normal(0, 1, (32, 32, 60))
    data[8:24, 8:24, 20:40] += 50
    noisy = Scan(data)
    shown = [each.slice for each in make_tiles(noisy, noisy, 1.0).pictures]
    assert 19 <= shown[0] <= 22
    assert 37 <= shown[-1] <= 40


def noise(shape: tuple[int, ...], std: float = 40) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(500, std, shape).astype(np.float32)


@pytest.mark.parametrize("is_worst", [False, True])
@pytest.mark.parametrize(
    ("shape", "factor"),
    [((512, 512, 80), 1), ((3000, 2500), 2), ((128, 128, 12, 5), 1), ((300, 200), 1), ((40, 3000), 1)],
)
def test_a_page_of_any_scan_is_under_three_megabytes(
    shape: tuple[int, ...], factor: int, is_worst: bool
) -> None:
    values = noise(shape)
    noisy, plain = Scan(values), np.full_like(values, 500)
    spots = [place(each, 20, 20) for each in range(0, shape[2], 7)] if len(shape) > 2 else [place(0)]
    # Noise compresses least of all: that of a result that is as noisy as the scan.
    denoised, doubt = (values + np.float32(20), values - 480) if is_worst else (plain, plain / 20)
    found = make_tiles(noisy, Scan(denoised), 40.0, doubt, spots, axis=2 if len(shape) > 2 else None)
    spent = sum(4 * -(-len(image) // 3) for each in found.pictures for image in each.images.values())
    assert spent <= PICTURE_BYTES
    assert len(found.pictures) >= (6 if len(shape) > 2 else 1)
    page = report_page(evidence(places=tuple(spots)), found, PROVENANCE, "", [], "large")
    assert len(page.encode()) < 3_000_000
    assert all(each.marks for each in found.pictures if each.slice == 7 and each.volume == 0)
    # Slices are not made smaller than they need be.
    assert is_worst or found.factor == factor


def test_smaller_pictures_are_means_and_marks_follow() -> None:
    values = noise((400, 400)).astype(np.float64)
    values[100:120, 200:220] += 2000
    found = make_tiles(Scan(values), Scan(values), 40.0, None, [place(0, 110, 210)], budget=30_000)
    picture = found.pictures[0]
    assert found.factor > 1
    assert (picture.height, picture.width) == (400 // found.factor, 400 // found.factor)
    mark, bright = picture.marks[0], np.argwhere(opened(picture.images["noisy"]) > 230).mean(axis=0)
    assert (mark.y, mark.x) == pytest.approx(tuple(bright + 0.5), abs=1)
    assert mark.radius == pytest.approx(3 / found.factor)


def test_scans_are_never_held_whole() -> None:
    values, most = noise((128, 128, 300)), 0

    class Watched(Computed):
        def whole(self) -> Array:
            raise AssertionError("all values were asked for")

    def read(volume: int, first: int, last: int) -> NDArray[Any]:
        nonlocal most
        most = max(most, last - first)
        return np.moveaxis(values, 2, 0)[first:last]

    def lazy() -> Watched:
        return Watched(values.shape, values.dtype, 2, read)

    noisy = Scan(lazy(), slice_axis=2)
    found = make_tiles(noisy, noisy.with_data(lazy()), 40.0, lazy(), [place(100)], axis=2)
    assert 100 in [each.slice for each in found.pictures]
    # Slabs take up to 8 MiB, of 19.
    assert most < 150


def test_a_scan_that_holds_nothing_is_shown_too() -> None:
    for fill in (0.0, np.nan):
        values = np.full((20, 20, 3), fill)
        found = make_tiles(Scan(values), Scan(values), None)
        assert len(found.pictures) == 3
        assert found.bound > 0


def test_missing_values_are_no_residual() -> None:
    noisy, denoised = scans()
    data = noisy.data.copy()
    data[:10] = np.nan
    found = make_tiles(noisy.with_data(data), denoised, 60.0)
    assert (opened(found.pictures[2].images["residual"])[:10] == ZERO).all()
    assert (opened(found.pictures[2].images["noisy"])[:10] == 0).all()


def test_other_shapes_are_refused() -> None:
    noisy, denoised = scans()
    with pytest.raises(ShapeError, match="uncertainty"):
        make_tiles(noisy, denoised, 1.0, np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="denoised"):
        make_tiles(noisy, replace(denoised, voxels=Scan(np.zeros((9, 9))).voxels), 1.0)

"""The slice that most was taken off, and the part of it where that had structure."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from diffdenoise.trust.choice import choose_part, choose_slice, object_of


def object_in_air(shape: tuple[int, int] = (100, 90), seed: int = 0) -> NDArray[np.float64]:
    """An ellipse of 1000 on 0."""
    y, x = (np.linspace(-1, 1, side) for side in shape)
    return 1000.0 * (np.hypot(*np.meshgrid(x, y)) < 0.9)


def volume(slices: int = 7) -> NDArray[np.float64]:
    """The object in all slices but the first and the last."""
    data = np.repeat(object_in_air((40, 36))[..., None], slices, axis=2)
    data[..., [0, -1]] = 0
    return data


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("index", [1, 4])
def test_the_slice_is_that_which_most_was_taken_off(axis: int, index: int) -> None:
    clean = volume()
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    noise[..., index] *= 2
    # More was taken off of an empty slice.
    noise[..., 0] *= 9
    turned = np.moveaxis(clean, 2, axis)
    assert choose_slice(turned + np.moveaxis(noise, 2, axis), turned, axis) == (index, 0)


def test_the_volume_is_that_which_most_was_taken_off() -> None:
    clean = np.repeat(volume()[..., None], 3, axis=3)
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    noise[:, :, 5, 2] *= 2
    assert choose_slice(clean + noise, clean, 2) == (5, 2)


def test_what_is_no_data_does_not_choose_the_slice() -> None:
    clean = volume()
    residual = np.random.default_rng(0).normal(0, 20, clean.shape)
    residual[..., 2] *= 2
    residual[:10, :, 4] = 5000
    residual[0, 0, 5] = np.nan
    known = np.ones(clean.shape, bool)
    known[:10] = False
    assert choose_slice(clean + residual, clean, 2, known) == (2, 0)
    assert choose_slice(clean, clean, 2) == (3, 0)


def framed(part: tuple[slice, slice], rows: slice, columns: slice) -> bool:
    """Whether a part holds the middle of what was planted."""
    y, x = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    return part[0].start <= y < part[0].stop and part[1].start <= x < part[1].stop


def residual_with_strong_noise() -> NDArray[np.float64]:
    """White noise, five times as strong in a corner of the object."""
    noise = np.random.default_rng(1).normal(0, 20, (100, 90))
    noise[15:50, 12:45] *= 5
    return noise


def test_a_lost_lesion_is_framed_and_not_strong_noise() -> None:
    clean, residual = object_in_air(), residual_with_strong_noise()
    # A patch that the denoiser wiped out: nothing of it is left in the denoised image.
    residual[62:74, 55:67] += 30 * gaussian_filter(np.pad(np.ones((6, 6)), 3), 1.5)
    part = choose_part(clean + residual, clean, object_of(clean))
    assert (part[0].stop - part[0].start, part[1].stop - part[1].start) == (30, 27)
    assert framed(part, slice(62, 74), slice(55, 67))


def test_in_a_large_image_too() -> None:
    shape = (2000, 1501)
    clean, residual = object_in_air(shape), np.random.default_rng(0).normal(0, 20, shape)
    residual[300:1000, 200:700] *= 5
    residual[1240:1300, 900:960] += 20
    part = choose_part(clean + residual, clean, object_of(clean))
    assert (part[0].stop - part[0].start, part[1].stop - part[1].start) == (600, 450)
    assert framed(part, slice(1240, 1300), slice(900, 960))


def test_smeared_edges_are_framed_and_not_strong_noise() -> None:
    clean, residual = object_in_air(), residual_with_strong_noise()
    block = np.zeros_like(clean)
    block[62:82, 48:70] = 200
    smeared = clean + gaussian_filter(block, 1.5)
    part = choose_part(clean + block + residual, smeared, object_of(clean))
    assert framed(part, slice(62, 82), slice(48, 70))


def test_a_bias_that_was_undone_is_no_structure() -> None:
    clean, residual = object_in_air(), residual_with_strong_noise()
    lesion = 45 * gaussian_filter(np.pad(np.ones((6, 6)), 3), 1.5)
    residual[62:74, 55:67] += lesion
    # Rician noise lifts the air: its border is the steepest step in the residual.
    residual[clean == 0] += 200
    part = choose_part(clean + residual, clean, object_of(clean))
    assert framed(part, slice(62, 74), slice(55, 67))


def test_padding_and_air_are_not_framed() -> None:
    clean = object_in_air()
    residual = np.random.default_rng(0).normal(0, 20, clean.shape)
    residual[clean == 0] = 100 * gaussian_filter(residual, 4)[clean == 0]
    residual[:, :30] = np.linspace(0, 5000, 30)
    known = np.ones(clean.shape, bool)
    known[:, :30] = False
    part = choose_part(clean + residual, clean, object_of(clean, known), known)
    share = (clean > 0) & known
    assert share[part].mean() > 0.8


def test_where_nothing_was_taken_off_the_finest_detail_is_framed() -> None:
    image = np.zeros((90, 80))
    image[45:75, 8:35] = np.random.default_rng(0).normal(size=(30, 27))
    rows, columns = choose_part(image, image, -np.inf)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (27, 24)
    assert 43 <= rows.start < rows.stop <= 77
    assert 6 <= columns.start < columns.stop <= 37


@pytest.mark.parametrize("shape", [(8, 8), (8, 100), (9, 13)])
def test_tiny_images_have_a_part(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(size=shape)
    part = choose_part(image + 1, image, object_of(image))
    assert image[part].size > 0
    assert all(side.start >= 0 and side.stop <= length for side, length in zip(part, shape, strict=True))


def test_the_object_is_told_from_air_hot_spots_or_not() -> None:
    image = object_in_air() + np.random.default_rng(0).normal(0, 30, (100, 90))
    assert 60 < object_of(image) < 940
    image[50, 50] = 1e6
    image[0, 0] = np.nan
    assert 60 < object_of(image) < 940
    assert object_of(np.full((9, 9), 4)) == -np.inf

"""Noise held against what neighbouring tissues differ by."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.contrast import find_object, tissue_contrast, value_step
from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.simulate import gaussian
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from tests.noise.test_evenness import circles

#: HU of soft tissue is where `circles` has 0.62; air where it has 0, bone where it has 1.
_HU = ((0.0, -1000.0), (0.1, -850.0), (0.3, -100.0), (0.55, 20.0), (0.62, 40.0), (0.65, 60.0), (0.7, 120.0))


def ct(std, *, clipped=True, padding=None, size=128):
    """A CT-like scan with white noise of so many HU, outside of a round field of view padded."""
    from scipy.ndimage import gaussian_filter

    levels, hu = (*zip(*_HU, strict=True),)
    clean = gaussian_filter(np.interp(circles(8, size), [*levels, 1.0], [*hu, 700.0]), (0, 0.7, 0.7))
    noisy = clean + std * np.random.default_rng(0).standard_normal(clean.shape)
    stored = np.rint(noisy.clip(-1024) if clipped else noisy).astype(np.int16)
    if padding is not None:
        down, right = np.indices((size, size)) - (size - 1) / 2
        stored[:, np.hypot(down, right) > size / 2] = padding
    return from_array(stored)


@pytest.mark.parametrize("std", [8, 25])
@pytest.mark.parametrize(
    ("clipped", "padding"), [(False, None), (True, None), (True, -1024), (True, -2000), (True, -3024)]
)
def test_noise_of_a_ct_is_read_and_taken_off_whatever_surrounds_the_body(std, clipped, padding):
    found = diagnose(ct(std, clipped=clipped, padding=padding), 0)
    assert found.std == pytest.approx(std, rel=0.15)
    assert not found.diagnosis.is_clean(0.1)


def test_noise_of_2_hu_is_left():
    assert diagnose(ct(2, padding=-1024), 0).diagnosis.is_clean(0.1)


def contrast_of(picture, std=0.0, correlation=WHITE):
    seen = find_object([picture.astype(np.float32)])
    return None if seen is None else tissue_contrast(seen, std, correlation)


def test_the_range_says_nothing_of_contrast():
    picture = circles()
    contrast = contrast_of(picture)
    assert contrast is not None
    hot = picture.copy()
    hot[:, 60:64, 60:64] = 30
    assert contrast_of(hot) == pytest.approx(contrast, rel=0.1)


@pytest.mark.parametrize("width_px", [0.0, 0.8])
def test_noise_adds_nothing_to_contrast(width_px):
    correlation = Correlation.gaussian(width_px)
    flat = gaussian(
        np.full((6, 96, 96), 0.5), 0.05, correlation_px=width_px, axis=0, rng=np.random.default_rng(0)
    )
    found = contrast_of(flat, 0.05, correlation)
    assert found is not None
    assert found < 0.01


def test_nothing_is_told_of_a_small_image():
    assert contrast_of(np.zeros((1, 20, 20))) is None


def test_noise_below_the_step_of_stored_values_is_rounding():
    fine = gaussian(circles(), 0.004, rng=np.random.default_rng(0))
    coarse = np.rint(100 * fine) / 100
    assert value_step([coarse.astype(np.float32)]) == pytest.approx(0.01, rel=1e-3)
    assert value_step([fine.astype(np.float32)]) < 1e-3
    assert diagnose(from_array(np.rint(100 * fine).astype(np.uint8)), 0).diagnosis.is_clean(1e-6)

"""Noise told from anatomy by how evenly it lies."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.evenness import is_noise, least_level
from diffdenoise.noise.simulate import gaussian
from tests.noise.test_level import smooth_stack


def fine_anatomy(slices=6, size=96, seed=0, sign=1):
    """Structures a few pixels wide everywhere, strong ones and weak ones, as in a coarse scan."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    detail = gaussian_filter(rng.standard_normal((slices, size, size)), (0, 2, 2))
    where = gaussian_filter(rng.standard_normal((slices, size, size)), (0, 8, 8))
    strength = np.clip(sign * where / where.std(), 0, None)
    return (0.5 + 0.25 * strength * detail / detail.std()).astype(np.float32)


@pytest.mark.parametrize("width_px", [0.0, 0.6, 1.2])
def test_noise_scatters_as_noise(width_px):
    clean = smooth_stack(6, 160, 160)
    noisy = gaussian(clean, 0.05, correlation_px=width_px, axis=0, rng=np.random.default_rng(0))
    correlation = Correlation.gaussian(width_px)
    assert is_noise([noisy.astype(np.float32)], correlation, adjacent=True)
    assert not diagnose_stacks([noisy.astype(np.float32)], [0.0]).is_upper_bound


def test_fine_anatomy_is_not_taken_for_noise():
    clean = fine_anatomy()
    noisy = gaussian(clean, 0.01, rng=np.random.default_rng(1)).astype(np.float32)
    assert not is_noise([noisy], WHITE, adjacent=True)
    found = diagnose_stacks([noisy], [0.0])
    assert found.is_upper_bound
    assert found.correlation.is_white
    assert 0.008 < found.std < 0.02
    assert found.as_dict()["is_upper_bound"]
    # Taking off that much might take off anatomy.
    assert found.is_clean(0.01)
    assert not found.is_clean(0.004)


def test_a_scan_of_fine_anatomy_without_noise_is_clean():
    found = diagnose_stacks([fine_anatomy()], [0.0])
    assert found.is_clean(0.01)


def test_the_least_level_is_that_of_noise_where_there_is_nothing_else():
    noisy = gaussian(smooth_stack(6, 160, 160), 0.05, rng=np.random.default_rng(0)).astype(np.float32)
    point = least_level([noisy], adjacent=True)
    assert point is not None
    assert point.std == pytest.approx(0.05, rel=0.1)


def test_nothing_is_said_of_an_image_too_small_for_patches():
    tiny = np.random.default_rng(0).random((1, 10, 10)).astype(np.float32)
    assert is_noise([tiny], WHITE, adjacent=False)
    assert least_level([tiny], adjacent=False) is None

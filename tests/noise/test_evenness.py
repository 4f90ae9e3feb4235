"""Noise told from anatomy by how evenly it lies."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.curve import noise_curve
from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.evenness import least_level, only_noise
from diffdenoise.noise.patches import calm_levels, find_patches
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


def everywhere(slices=6, size=96, seed=0):
    """Structures with sharp edges, strong ones and weak ones, and no calm place between."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    sign = np.sign(gaussian_filter(rng.standard_normal((slices, size, size)), (0, 1.2, 1.2)))
    strength = np.exp(gaussian_filter(rng.standard_normal((slices, size, size)), (0, 4, 4)) * 12)
    return (0.5 + 0.05 * np.clip(strength, 0.3, 4) * sign).astype(np.float32)


@pytest.mark.parametrize("width_px", [0.0, 0.6, 1.2])
def test_noise_scatters_as_noise(width_px):
    clean = smooth_stack(6, 160, 160)
    noisy = gaussian(clean, 0.05, correlation_px=width_px, axis=0, rng=np.random.default_rng(0))
    correlation = Correlation.gaussian(width_px)
    curve = noise_curve([noisy.astype(np.float32)], correlation, adjacent=True)
    kept = only_noise([noisy.astype(np.float32)], curve, correlation, adjacent=True)
    assert sum(point.patches for point in kept) > 0.9 * sum(point.patches for point in curve)
    assert not diagnose_stacks([noisy.astype(np.float32)], [0.0]).is_upper_bound


def test_fine_anatomy_is_not_taken_for_noise():
    noisy = gaussian(fine_anatomy(), 0.01, rng=np.random.default_rng(1)).astype(np.float32)
    found = diagnose_stacks([noisy], [0.0])
    assert found.correlation.is_white
    assert found.std == pytest.approx(0.01, rel=0.1)


def test_no_more_than_a_bound_is_told_where_anatomy_is_everywhere():
    noisy = gaussian(everywhere(), 0.01, rng=np.random.default_rng(1)).astype(np.float32)
    curve = noise_curve([noisy], WHITE, adjacent=True)
    assert only_noise([noisy], curve, WHITE, adjacent=True) == []
    found = diagnose_stacks([noisy], [0.0])
    assert found.is_upper_bound
    assert found.correlation.is_white
    assert 0.008 < found.std < 0.03
    assert found.as_dict()["is_upper_bound"]


def circles(slices=6, size=128, seed=0):
    """Round structures of many brightnesses in a body, some of them met by their edges alone."""
    rng = np.random.default_rng(seed)
    down, right = np.indices((size, size))
    picture = np.where(((down - 64) / 50) ** 2 + ((right - 64) / 56) ** 2 < 1, 0.62, 0.0)
    for _ in range(14):
        top, left, radius = rng.uniform(30, 98), rng.uniform(26, 102), rng.uniform(3, 9)
        inside = (down - top) ** 2 + (right - left) ** 2 < radius**2
        picture[inside] = rng.choice([0.1, 0.3, 0.55, 0.65, 0.7, 1.0])
    return np.repeat(picture[None], slices, 0)


@pytest.mark.parametrize("std", [0.005, 0.02])
def test_brightnesses_that_only_edges_have_tell_no_level(std):
    noisy = gaussian(circles(), std, rng=np.random.default_rng(1)).astype(np.float32)
    found = diagnose_stacks([noisy], [0.0])
    assert not found.is_upper_bound
    assert found.correlation.is_white
    assert found.std == pytest.approx(std, rel=0.1)
    assert all(level == pytest.approx(std, rel=0.2) for level in found.noise.stds)


def test_small_patches_tell_anatomy_that_scatters_like_noise():
    # Everywhere alike, but smooth over a few pixels: large patches hold far more of it.
    rng = np.random.default_rng(0)
    texture = gaussian(np.full((6, 128, 128), 0.5), 0.1, correlation_px=2.5, axis=0, rng=rng)
    noisy = gaussian(texture, 0.01, rng=rng).astype(np.float32)
    curve = noise_curve([noisy], WHITE, adjacent=True)
    assert only_noise([noisy], curve, WHITE, adjacent=True) == []


def test_anatomy_that_is_alike_everywhere_grows_with_the_patch():
    # Of a period of 9 px, so that all patches of 8 px hold as much of it, and those of 4 px less.
    rows, columns = np.indices((128, 128))
    waves = 0.03 * np.sin(2 * np.pi * rows / 9) * np.sin(2 * np.pi * columns / 9)
    noisy = gaussian(np.repeat(0.5 + waves[None], 6, 0), 0.01, rng=np.random.default_rng(0)).astype(
        np.float32
    )
    curve = noise_curve([noisy], WHITE, adjacent=True)
    assert curve
    assert only_noise([noisy], curve, WHITE, adjacent=True) == []


def test_patches_of_different_strength_are_no_noise_of_one_kind():
    # White, but four times as strong in one block as in the next: small patches tell as much as large ones.
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.choice([0.01, 0.04], (6, 16, 16)), np.ones((1, 8, 8)))
    noisy = (0.5 + blocks * rng.standard_normal((6, 128, 128))).astype(np.float32)
    curve = noise_curve([noisy], WHITE, adjacent=True)
    assert curve
    assert only_noise([noisy], curve, WHITE, adjacent=True) == []


def test_no_class_is_left_that_only_edges_have():
    noisy = gaussian(circles(), 0.005, rng=np.random.default_rng(1)).astype(np.float32)
    levels = calm_levels(find_patches([noisy], 8, adjacent=True))
    assert len(levels) == 2
    assert all(level.std < 0.01 for level in levels)


def test_a_few_hot_spots_do_not_leave_the_body_in_one_class():
    from diffdenoise.noise.patches import class_edges

    means = np.concatenate([np.linspace(0, 1, 900), np.full(30, 30.0)])
    edges = class_edges(means)
    assert np.count_nonzero(edges < 1) >= 3
    assert edges[-1] >= 30
    assert len(edges) < 20
    plain = class_edges(np.linspace(0, 1, 1000))
    assert np.diff(plain) == pytest.approx([np.diff(plain)[0]] * 8)


def test_a_scan_of_fine_anatomy_without_noise_is_clean():
    found = diagnose_stacks([fine_anatomy()], [0.0])
    assert found.is_clean(0.1)


def test_the_least_level_is_that_of_noise_where_there_is_nothing_else():
    noisy = gaussian(smooth_stack(6, 160, 160), 0.05, rng=np.random.default_rng(0)).astype(np.float32)
    point = least_level([noisy], adjacent=True)
    assert point is not None
    assert point.std == pytest.approx(0.05, rel=0.1)


def test_nothing_is_said_of_an_image_too_small_for_patches():
    tiny = np.random.default_rng(0).random((1, 10, 10)).astype(np.float32)
    assert only_noise([tiny], [], WHITE, adjacent=False) == []
    assert least_level([tiny], adjacent=False) is None

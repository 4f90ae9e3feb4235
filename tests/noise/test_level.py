"""Noise of known strength on smooth images, told from the images alone."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.level import diagonal_differences, estimate_noise, slice_correlation
from diffdenoise.noise.patches import cut_part
from diffdenoise.noise.simulate import gaussian
from diffdenoise.scan.sample import parts_of


def smooth_stack(slices=4, height=150, width=130):
    """Soft shapes between 0.15 and 0.85, changing from slice to slice."""
    k, y, x = np.meshgrid(
        np.arange(slices), np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    return 0.5 + 0.2 * np.cos(3 * x + 0.4 * k) * np.sin(4 * y) + 0.15 * np.exp(-8 * (x**2 + (y - 0.3) ** 2))


def noisy_stack(std, width_px=0.0, seed=0, **shape):
    rng = np.random.default_rng(seed)
    return gaussian(smooth_stack(**shape), std, correlation_px=width_px, axis=0, rng=rng).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("std", [0.03, 0.06, 0.1, 0.2])
def test_white_noise(std, seed):
    found = estimate_noise([noisy_stack(std, seed=seed)])
    assert found.std == pytest.approx(std, rel=0.06)
    assert found.correlation.width_px == pytest.approx((0.0, 0.0), abs=0.3)


@pytest.mark.parametrize("width_px", [0.5, 0.8, 1.2, 1.6])
@pytest.mark.parametrize("std", [0.03, 0.1, 0.2])
def test_correlated_noise(std, width_px):
    found = estimate_noise([noisy_stack(std, width_px)])
    assert found.std == pytest.approx(std, rel=0.12)
    assert found.correlation.width_px == pytest.approx((width_px, width_px), abs=0.3)


def test_noise_correlated_in_one_direction():
    rng = np.random.default_rng(0)
    white = rng.standard_normal((4, 151, 130))
    along_columns = 0.1 * (white[:, 1:] + white[:, :-1]) / np.sqrt(2)
    down, right = estimate_noise([(smooth_stack() + along_columns).astype(np.float32)]).correlation.width_px
    assert down > 0.4
    assert right == 0.0


@pytest.mark.parametrize("width_px", [0.0, 0.8])
def test_zeros_around_the_object_do_not_matter(width_px):
    noisy = noisy_stack(0.1, width_px)
    padded = np.pad(noisy, ((2, 2), (60, 40), (50, 70)))
    assert estimate_noise([padded]).std == pytest.approx(estimate_noise([noisy]).std, rel=0.06)


def test_edges_do_not_count_for_much():
    # A block pattern, with an edge every 16 pixels, under little noise.
    stack = noisy_stack(0.05)
    stack[:, (np.arange(150) // 16 % 2).astype(bool)] += 0.3
    stack[:, :, (np.arange(130) // 16 % 2).astype(bool)] -= 0.2
    assert estimate_noise([stack]).std == pytest.approx(0.05, rel=0.12)


def test_stacks_of_several_sizes_count_together():
    stacks = [noisy_stack(0.08), noisy_stack(0.08, seed=1, slices=1, height=90, width=200)]
    assert estimate_noise(stacks).std == pytest.approx(0.08, rel=0.06)


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_an_image_without_any_variation_has_no_noise(value):
    found = estimate_noise([np.full((3, 64, 64), value, np.float32)])
    assert (found.std, found.correlation.is_white) == (0.0, True)


def test_the_level_scales_with_the_noise_alone():
    clean, noise = smooth_stack(), noisy_stack(0.1) - smooth_stack()
    weak = estimate_noise([(clean + 0.5 * noise).astype(np.float32)]).std
    strong = estimate_noise([(clean + noise).astype(np.float32)]).std
    assert strong / weak == pytest.approx(2.0, rel=0.04)


def test_diagonal_differences_sees_noise_but_no_planes_and_marks_constants():
    plane = np.add.outer(3.0 * np.arange(40), 2.0 * np.arange(50))
    coefficients, constant = diagonal_differences(plane)
    assert coefficients.shape == (39, 49)
    assert np.abs(coefficients).max() < 1e-9
    assert not constant.any()
    noise = np.random.default_rng(0).normal(0, 0.3, (400, 400))
    noise[:10, :10] = 0
    coefficients, constant = diagonal_differences(noise)
    assert coefficients[~constant].std() == pytest.approx(0.3, rel=0.02)
    assert constant[:9, :9].all()
    assert constant.sum() == 81


def test_slices_acquired_apart_are_independent_and_interpolated_ones_are_not():
    apart = np.random.default_rng(3).standard_normal((8, 64, 64)).astype(np.float32)
    between = (apart[:-1] + apart[1:]) / 2
    assert abs(slice_correlation([apart])) < 0.05
    assert slice_correlation([between]) == pytest.approx(0.5, abs=0.1)
    assert slice_correlation([apart[:1]]) == 0


def test_large_images_are_looked_at_in_parts():
    rng = np.random.default_rng(0)
    large = (0.5 + 0.05 * rng.standard_normal((1, 1500, 2300))).astype(np.float32)
    found = estimate_noise([large])
    assert found.std == pytest.approx(0.05, rel=0.03)
    assert found.correlation.is_white
    parts = [cut_part(large, part) for part in parts_of([large.shape])]
    assert len(parts) == 6
    assert len({part.shape for part in parts}) <= 2
    assert all(max(part.shape) <= 1024 for part in parts)

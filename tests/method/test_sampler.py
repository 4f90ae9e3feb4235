"""The sampler with exact denoisers in one dimension, where every figure is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdenoise.config import Sampling
from diffdenoise.method.sampler import heun, one_step, sigma_grid, symmetric_pairs

#: Weights, means and standard deviations of the mixtures.
GAUSSIAN = ([1.0], [0.0], [1.0])
TWO_PEAKS = ([0.5, 0.5], [-1.0, 1.0], [0.5, 0.5])
SKEWED = ([0.8, 0.2], [0.0, 3.0], [0.5, 1.0])
SIGMAS = sigma_grid(100, 0.002, 20.0, 1.0)


def mixture_denoiser(mixture):
    """E[r | z] of a Gaussian mixture r seen as z = r + sigma e."""
    weights, means, stds = (torch.tensor(part, dtype=torch.float64)[:, None] for part in mixture)

    def denoiser(z, sigma):
        flat = z.reshape(1, -1)
        variance = stds**2 + sigma**2
        logits = weights.log() - 0.5 * variance.log() - 0.5 * (flat - means) ** 2 / variance
        component = means + stds**2 / variance * (flat - means)
        return (torch.softmax(logits, 0) * component).sum(0).reshape(z.shape)

    return denoiser


def mean_of(mixture):
    return sum(weight * mean for weight, mean, _ in zip(*mixture, strict=True))


def normal_quantiles(count):
    """Evenly likely values of a standard normal, so that averages are integrals."""
    levels = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return (math.sqrt(2) * torch.erfinv(2 * levels - 1)).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("mixture", "single_std", "two_std", "pair_std", "pair_tolerance"),
    [
        (GAUSSIAN, 1.00, 0.71, 0.00, 1e-4),
        (TWO_PEAKS, 1.12, 0.80, 0.00, 1e-4),
        (SKEWED, 1.33, 0.95, 0.52, 0.02),
    ],
)
def test_spread_of_single_samples_of_two_and_of_a_pair(
    mixture, single_std, two_std, pair_std, pair_tolerance
):
    denoiser, mean = mixture_denoiser(mixture), mean_of(mixture)
    noise = normal_quantiles(8000)
    single = heun(denoiser, noise, SIGMAS, 1.0) - mean
    shuffled = single.flatten()[torch.randperm(8000, generator=torch.Generator().manual_seed(0))]
    pair = symmetric_pairs(denoiser, [noise], SIGMAS, 1.0) - mean
    assert float(single.std()) == pytest.approx(single_std, abs=0.02)
    assert float((single.flatten() + shuffled).std() / 2) == pytest.approx(two_std, abs=0.02)
    assert float(pair.std()) == pytest.approx(pair_std, abs=pair_tolerance)


@pytest.mark.parametrize(("nodes", "width"), [(5, 1.40), (9, 1.09)])
def test_in_steps_of_sigma_samples_of_a_gaussian_would_be_too_wide(nodes, width):
    # Heun's method of Karras et al. 2022 on their grid, for a Gaussian of std 1: what the angle is for.
    high, low = 20 ** (1 / 7), 0.02 ** (1 / 7)
    grid = [(high + i / (nodes - 1) * (low - high)) ** 7 for i in range(nodes)]
    z = grid[0]
    for sigma, following in pairwise(grid):
        slope = sigma * z / (1 + sigma**2)
        euler = z + (following - sigma) * slope
        z += (following - sigma) * (slope + following * euler / (1 + following**2)) / 2
    assert z == pytest.approx(width, abs=0.01)


@pytest.mark.parametrize("nodes", [3, 5, Sampling().nodes])
@pytest.mark.parametrize("std", [1.0, 0.03])
def test_samples_of_a_gaussian_are_as_wide_as_it_is_with_few_levels(nodes, std):
    noise = normal_quantiles(2000)
    given = Sampling()
    sigmas = sigma_grid(nodes, given.sigma_min * std, given.sigma_max * std, std)
    found = heun(mixture_denoiser(([1.0], [0.0], [std])), noise, sigmas, std)
    assert float(found.std() / noise.std()) == pytest.approx(std, rel=0.005)


@pytest.mark.parametrize(("mixture", "apart"), [(TWO_PEAKS, 0.01), (SKEWED, 0.05)])
def test_the_default_levels_lead_where_many_do(mixture, apart):
    denoiser, noise, given = mixture_denoiser(mixture), normal_quantiles(2000), Sampling()
    weights, means, stds = mixture
    second = sum(w * (m * m + s * s) for w, m, s in zip(weights, means, stds, strict=True))
    std = math.sqrt(second - mean_of(mixture) ** 2)
    few = sigma_grid(given.nodes, given.sigma_min * std, given.sigma_max * std, std)
    exact = heun(denoiser, noise, sigma_grid(600, 0.001, 200.0, std), std)
    assert float((heun(denoiser, noise, few, std) - exact).square().mean().sqrt()) < apart


def test_levels_that_do_not_end_in_0_are_refused():
    with pytest.raises(ValueError, match="end in 0"):
        heun(mixture_denoiser(GAUSSIAN), normal_quantiles(3), [5.0, 1.0], 1.0)


def test_a_symmetric_pair_is_the_mean_itself():
    for mixture in (GAUSSIAN, TWO_PEAKS):
        pair = symmetric_pairs(mixture_denoiser(mixture), [normal_quantiles(50)], SIGMAS, 1.0)
        assert float(pair.abs().max()) < 1e-4


def test_the_pair_is_slightly_biased_for_a_skewed_density():
    noise = normal_quantiles(8000)
    pair = symmetric_pairs(mixture_denoiser(SKEWED), [noise], SIGMAS, 1.0)
    assert float(pair.mean()) - mean_of(SKEWED) == pytest.approx(-0.04, abs=0.01)


def test_the_bias_of_a_shifted_gaussian_is_its_share_of_the_highest_level():
    # From 0 instead of mean at the highest level: exactly mean x std / sqrt(highest^2 + std^2).
    pair = symmetric_pairs(mixture_denoiser(([1.0], [0.8], [0.5])), [normal_quantiles(20)], SIGMAS, 1.0)
    assert float(pair.std()) < 1e-4
    assert float(pair.mean()) == pytest.approx(0.8 - 0.8 * 0.5 / math.hypot(20.0, 0.5), abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    slope=st.floats(-1.0, 1.0),
    offset=st.floats(-2.0, 2.0),
    nodes=st.integers(1, 8),
    pairs=st.integers(1, 3),
)
def test_with_an_affine_denoiser_pairs_give_the_sample_from_zero_noise(slope, offset, nodes, pairs):
    def denoiser(z, sigma):
        return slope / (1 + sigma) * z + offset * math.cos(sigma)

    sigmas = sigma_grid(nodes, 0.05, 10.0, 0.7)
    generator = torch.Generator().manual_seed(nodes)
    noises = [torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=generator) for _ in range(pairs)]
    expected = heun(denoiser, torch.zeros(2, 1, 3, 4, dtype=torch.float64), sigmas, 0.7)
    torch.testing.assert_close(symmetric_pairs(denoiser, noises, sigmas, 0.7), expected, atol=1e-9, rtol=1e-9)


def test_pairs_are_averaged():
    denoiser = mixture_denoiser(SKEWED)
    first, second = torch.full((1, 1, 1, 1), 0.3).double(), torch.full((1, 1, 1, 1), 1.7).double()
    each = [symmetric_pairs(denoiser, [noise], SIGMAS, 1.0) for noise in (first, second)]
    torch.testing.assert_close(symmetric_pairs(denoiser, iter([first, second]), SIGMAS, 1.0), sum(each) / 2)


def test_no_pair_is_refused():
    with pytest.raises(ValueError, match="no noise was given"):
        symmetric_pairs(mixture_denoiser(GAUSSIAN), [], SIGMAS, 1.0)


def test_heun_is_of_second_order():
    # Four times fewer errors with twice the steps; Euler's method would halve them only.
    noise = torch.full((1, 1, 1, 1), 1.2, dtype=torch.float64)
    exact = float(heun(mixture_denoiser(TWO_PEAKS), noise, sigma_grid(3000, 0.01, 20.0, 1.0), 1.0))
    coarse, fine = (
        abs(float(heun(mixture_denoiser(TWO_PEAKS), noise, sigma_grid(nodes, 0.01, 20.0, 1.0), 1.0)) - exact)
        for nodes in (40, 80)
    )
    assert fine < coarse / 3


@given(nodes=st.integers(2, 30), lowest=st.floats(1e-3, 0.5), ratio=st.floats(2.0, 1e4))
def test_grid_falls_from_the_highest_to_the_lowest_level_and_then_to_zero(nodes, lowest, ratio):
    grid = sigma_grid(nodes, lowest, lowest * ratio, 0.3)
    assert len(grid) == nodes + 1
    assert grid[-1] == 0.0
    assert grid[0] == pytest.approx(lowest * ratio)
    assert grid[-2] == pytest.approx(lowest)
    assert all(high > low for high, low in pairwise(grid))


def test_a_grid_of_one_node_is_one_step():
    assert sigma_grid(1, 0.1, 5.0, 1.0) == pytest.approx([5.0, 0.0])
    denoiser = mixture_denoiser(SKEWED)
    zero = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(heun(denoiser, zero, [5.0, 0.0], 1.0), one_step(denoiser, zero, 5.0))


def test_one_step_is_the_estimate_from_zero_noise():
    like = torch.full((1, 1, 2, 2), 9.0, dtype=torch.float64)
    found = one_step(mixture_denoiser(([1.0], [0.8], [0.5])), like, 20.0)
    torch.testing.assert_close(found, torch.full_like(like, 0.8 - 0.8 * 0.25 / (400 + 0.25)))

from __future__ import annotations

import math

import pytest
import torch

from diffdenoise.method.diffusion import context_of, denoise, draw_sigmas, loss

SD = 0.2


def scene(seed=0):
    """Residual, noise, levels, context and weight of a batch of three."""
    generator = torch.Generator().manual_seed(seed)
    residual = SD * torch.randn(3, 1, 6, 7, generator=generator, dtype=torch.float64)
    noise = torch.randn(3, 1, 6, 7, generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.01, 0.2, 3.0], dtype=torch.float64)
    context = torch.randn(3, 2, 6, 7, generator=generator, dtype=torch.float64)
    return residual, noise, sigma, context, torch.ones_like(residual)


def perfect_network(residual, sigma):
    """The F whose D gives `residual`, worked out from what it is shown: c_in z."""
    level = sigma[:, None, None, None]
    total = (level**2 + SD**2).sqrt()

    def network(channels, log_level):
        torch.testing.assert_close(log_level, (sigma / SD).log())
        z = channels[:, :1] * total
        return (residual - SD**2 / total**2 * z) * total / (level * SD)

    return network


def test_loss_is_zero_for_the_network_that_knows_the_residual():
    residual, noise, sigma, context, weight = scene()
    network = perfect_network(residual, sigma)
    assert float(loss(network, residual, noise, sigma, context, weight, SD)) < 1e-10
    z = residual + sigma[:, None, None, None] * noise
    torch.testing.assert_close(denoise(network, z, sigma, context, SD), residual)


def test_loss_is_the_weighted_distance_of_the_estimate():
    # EDM: lambda |D - r|^2 with lambda = (sigma^2 + sd^2) / (sigma sd)^2.
    residual, noise, sigma, context, weight = scene()

    def network(channels, log_level):
        return torch.sin(channels[:, :1] + channels[:, 1:2]) + log_level[:, None, None, None]

    level = sigma[:, None, None, None]
    estimate = denoise(network, residual + level * noise, sigma, context, SD)
    expected = ((level**2 + SD**2) / (level * SD) ** 2 * (estimate - residual) ** 2).mean()
    found = loss(network, residual, noise, sigma, context, weight, SD)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_an_optimal_linear_network_has_unit_scale_at_every_level():
    # For Gaussian residuals D = c_skip z is optimal, F = 0, and the loss is 1 at any sigma.
    generator = torch.Generator().manual_seed(1)
    shape = (1, 1, 300, 300)
    for sigma in (0.004, 0.2, 4.0):
        residual = SD * torch.randn(shape, generator=generator)
        noise = torch.randn(shape, generator=generator)
        found = loss(
            lambda channels, level: 0 * channels[:, :1],
            residual,
            noise,
            torch.tensor([sigma]),
            torch.zeros(shape),
            torch.ones(shape),
            SD,
        )
        assert float(found) == pytest.approx(1.0, rel=0.03)


def test_estimate_tends_to_its_input_for_low_levels_and_to_the_network_for_high_ones():
    _, noise, _, context, _ = scene()
    raw = torch.rand_like(noise) - 0.5

    def network(channels, log_level):
        return raw

    low, high = torch.full((3,), 1e-7).double(), torch.full((3,), 1e7).double()
    torch.testing.assert_close(denoise(network, noise, low, context, SD), noise, atol=1e-5, rtol=0)
    torch.testing.assert_close(denoise(network, noise, high, context, SD), SD * raw, atol=1e-5, rtol=0)


def test_only_weighted_pixels_count():
    residual, noise, sigma, context, weight = scene()

    def network(channels, log_level):
        return channels[:, :1].square()

    weight[..., 4:] = 0
    kept = loss(network, residual, noise, sigma, context, weight, SD)
    changed = torch.where(weight > 0, residual, residual + 1)
    assert kept == loss(network, changed, noise, sigma, context, weight, SD)
    cut = [part[..., :4] for part in (residual, noise, context, weight)]
    assert float(kept) == pytest.approx(float(loss(network, *cut[:2], sigma, *cut[2:], SD)))
    assert float(loss(network, residual, noise, sigma, context, 0 * weight, SD)) == 0


def test_context_holds_the_condition_and_the_neighbours_but_not_the_slice():
    condition = torch.full((2, 1, 4, 5), 0.5)
    noisy = torch.tensor([9.0, 0.0, 1.0])[None, :, None, None].expand(2, 3, 4, 5)
    context = context_of(condition, noisy)
    assert context.shape == (2, 3, 4, 5)
    assert context[0, :, 0, 0].tolist() == [0.0, -1.0, 1.0]
    assert context_of(condition, noisy[:, :1]).shape == (2, 1, 4, 5)


def test_levels_are_log_normal_around_the_residual_and_reach_where_sampling_works():
    sigmas = draw_sigmas(20_000, SD, torch.Generator().manual_seed(3))
    logs = (sigmas / SD).log()
    assert float(logs.mean()) == pytest.approx(0.0, abs=0.05)
    # The pair starts at 20 sd: that must not be a level never met in training.
    assert float((logs > math.log(20)).float().mean()) > 0.01
    assert torch.equal(sigmas, draw_sigmas(20_000, SD, torch.Generator().manual_seed(3)))

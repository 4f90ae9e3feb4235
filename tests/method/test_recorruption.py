from __future__ import annotations

import pytest
import torch

from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.method.refinement import recorrupt
from diffdenoise.method.student import squared_distance

LAGS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def unit_noise(width_px: float, seed: int) -> torch.Tensor:
    """Noise of unit variance, correlated by a Gaussian kernel, (1, 1, 500, 500)."""
    white = torch.randn(1, 1, 520, 520, generator=torch.Generator().manual_seed(seed))
    kernel = gaussian_kernel(width_px, torch.device("cpu"))
    return smooth(white, kernel / kernel.norm(), kernel / kernel.norm())[..., 10:510, 10:510]


def covariance(first, second, down, right):
    head = first[..., : 500 - down, : 500 - right]
    return float((head * second[..., down:, right:]).mean())


@pytest.mark.parametrize("width_px", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.0])
def test_the_halves_have_uncorrelated_noise(width_px, alpha):
    clean, level = 0.4, 0.1
    noisy = clean + level * unit_noise(width_px, 1)
    source, target = recorrupt(noisy, unit_noise(width_px, 2), level, alpha)
    assert float((source - clean).std()) == pytest.approx(level * (1 + alpha**2) ** 0.5, rel=0.03)
    assert float((target - clean).std()) == pytest.approx(level * (1 + alpha**-2) ** 0.5, rel=0.03)
    for down, right in LAGS:
        found = covariance(source - clean, target - clean, down, right) / level**2
        assert found == pytest.approx(0.0, abs=0.05)


def test_noise_of_the_wrong_kernel_leaves_the_halves_correlated():
    level = 0.1
    source, target = recorrupt(level * unit_noise(1.0, 1), unit_noise(0.0, 2), level, 0.5)
    assert covariance(source, target, 0, 1) / level**2 > 0.5


def test_the_halves_take_a_map_of_levels():
    noise, levels = torch.ones(1, 1, 1, 2), torch.tensor([[[[0.0, 0.2]]]])
    source, target = recorrupt(torch.zeros_like(noise), noise, levels, 0.5)
    torch.testing.assert_close(source, torch.tensor([[[[0.0, 0.1]]]]))
    torch.testing.assert_close(target, torch.tensor([[[[0.0, -0.4]]]]))


def test_the_risk_on_the_halves_is_the_true_risk_plus_a_constant():
    # Of two linear denoisers, the difference of the risks against the target is the true difference.
    generator = torch.Generator().manual_seed(5)
    clean = torch.rand(1, 1, 1200, 1200, generator=generator)
    level, alpha = 0.2, 0.5
    noisy = clean + level * torch.randn(clean.shape, generator=generator)
    source, target = recorrupt(noisy, torch.randn(clean.shape, generator=generator), level, alpha)
    risks = []
    for reference in (target, clean):
        estimates = [0.5 + gain * (source - 0.5) for gain in (0.2, 0.6)]
        first, second = (float(squared_distance(estimate, reference)) for estimate in estimates)
        risks.append(first - second)
    assert risks[0] == pytest.approx(risks[1], abs=0.002)
    assert abs(risks[1]) > 0.002

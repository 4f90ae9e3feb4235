from __future__ import annotations

import pytest
import torch

from diffdenoise.stages.distil import denoise, denoise_turned, recorrupt, squared_distance
from diffdenoise.stages.filters import gaussian_kernel, smooth

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


def test_student_predicts_a_correction_of_the_slice_from_signed_intensities():
    noisy = torch.rand(2, 3, 5, 6)

    def student(signed_input):
        torch.testing.assert_close(signed_input, 2 * noisy - 1)
        return torch.full((2, 1, 5, 6), 0.25, dtype=torch.bfloat16)

    output = denoise(student, noisy)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, noisy[:, :1] + 0.25)


class _Slope(torch.nn.Module):
    """A student that adds its input's slope along the columns: not the same in every orientation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1].roll(1, dims=3) - x[:, :1]


@pytest.mark.parametrize("orientations", [4, 8])
def test_orientations_are_turned_back_before_they_are_averaged(orientations):
    noisy = torch.rand(1, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    output = denoise_turned(_Slope(), noisy, orientations)
    one = denoise_turned(_Slope(), noisy, 1)
    torch.testing.assert_close(one, denoise(_Slope(), noisy))
    # The mean over all quarter turns does not depend on how the image was turned.
    turned = denoise_turned(_Slope(), torch.rot90(noisy, 1, (2, 3)), orientations)
    torch.testing.assert_close(torch.rot90(turned, -1, (2, 3)), output)
    assert not torch.allclose(one, output)
    if orientations == 8:
        mirrored = denoise_turned(_Slope(), noisy.flip(3), orientations)
        torch.testing.assert_close(mirrored.flip(3), output)


class _Nothing(torch.nn.Module):
    """A student that changes nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x[:, :1]


@pytest.mark.parametrize("orientations", [1, 4, 8])
def test_what_the_student_leaves_alone_comes_back_as_it_was(orientations):
    # Neither side of the image is like another: a copy that is not turned or mirrored back would show.
    noisy = torch.rand(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(denoise_turned(_Nothing(), noisy, orientations), noisy[:, :1])


def test_the_average_is_over_the_eight_orientations_each_once():
    noisy = torch.rand(1, 3, 6, 9, generator=torch.Generator().manual_seed(1))
    results = []
    for mirrored in (False, True):
        for quarters in range(4):
            seen = torch.rot90(noisy.flip(3) if mirrored else noisy, quarters, (2, 3))
            back = torch.rot90(denoise(_Slope(), seen), -quarters, (2, 3))
            results.append(back.flip(3) if mirrored else back)
    for orientations in (1, 4, 8):
        expected = torch.stack(results[:orientations]).mean(0)
        torch.testing.assert_close(denoise_turned(_Slope(), noisy, orientations), expected)

"""What the diffusion model's estimates are made of."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diffdenoise.config import Sampling
from diffdenoise.method import posterior
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.teacher import Teacher
from diffdenoise.noise.model import NoiseModel
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.randomness import generator

CPU = torch.device("cpu")
RESIDUAL_STD, ALPHA = 0.2, 0.5
#: Noise that is weak in the dark and strong in the bright, 0.05 in the middle.
NOISE = NoiseModel((0.0, 0.5, 1.0), (0.01, 0.05, 0.2))


class _Linear(torch.nn.Module):
    """F = a z' + b c, whose estimates can be worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor]] = []

    def forward(self, channels: Tensor, log_level: Tensor) -> Tensor:
        self.calls.append((channels, log_level))
        return 0.3 * channels[:, :1] + 0.1 * channels[:, 1:2]


def teacher_of(network: torch.nn.Module, sampling: Sampling | None = None) -> Teacher:
    """A teacher whose condition is the mean of the neighbours, and whose variance is known."""
    return Teacher(
        network,
        lambda noisy: noisy[:, 1:].mean(1, keepdim=True),
        lambda noisy: torch.full_like(noisy[:, :1], 0.02),
        residual_std=RESIDUAL_STD,
        sampling=sampling or Sampling(),
        noise=NoiseDraws(NOISE, CPU),
        noise_std=NOISE.typical_std,
        draws=3,
        alpha=ALPHA,
        hardware=Hardware(CPU, bf16=False),
        seed=7,
    )


@pytest.fixture
def noisy() -> Tensor:
    """A slice that brightens from left to right, and its neighbours."""
    ramp = torch.linspace(0, 1, 24).expand(1, 3, 20, 24)
    return ramp + 0.02 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))


def test_fusion_weighs_the_pixel_by_the_level_at_its_own_brightness(noisy: Tensor) -> None:
    mean = torch.full_like(noisy[:, :1], 0.4)
    variance = torch.full_like(mean, 0.02)
    level = NoiseDraws(NOISE, CPU).std(noisy[:, :1])
    found = teacher_of(_Linear()).fuse(noisy, mean)
    torch.testing.assert_close(found, posterior.fuse(noisy[:, :1], mean, variance, level))
    # In the dark the pixel is kept, in the bright the prediction is taken.
    assert float((found - noisy[:, :1])[..., :4].abs().max()) < 0.05
    torch.testing.assert_close(found[..., -4:], mean[..., -4:])


def test_levels_of_the_sampler_are_multiples_of_the_residuals_std(noisy: Tensor) -> None:
    network = _Linear()
    teacher_of(network, Sampling(nodes=3, sigma_min=0.05, sigma_max=10.0)).srds(noisy, 0)
    levels = [float(level[0].exp()) for _, level in network.calls]
    middle = math.tan((math.atan(10) + math.atan(0.05)) / 2)
    assert levels == pytest.approx([10, middle, middle, 0.05, 0.05], rel=1e-4)
    # Context: the condition, then the neighbours, in signed intensities; the slice itself is not in it.
    channels, _ = network.calls[0]
    assert channels.shape == (2, 4, 20, 24)
    torch.testing.assert_close(channels[0, 1], 2 * noisy[0, 1:].mean(0) - 1)
    torch.testing.assert_close(channels[0, 2:], 2 * noisy[0, 1:] - 1)
    # A pair begins at a noise and its negative.
    torch.testing.assert_close(channels[0, 0], -channels[1, 0])


def test_estimates_are_the_condition_and_the_residual(noisy: Tensor) -> None:
    # For an affine denoiser a pair's mean is the sample from zero noise: here one step of it.
    one = teacher_of(_Linear(), Sampling(nodes=1, sigma_max=20.0))
    condition = noisy[:, 1:].mean(1, keepdim=True)
    sigma = 20 * RESIDUAL_STD
    out = sigma * RESIDUAL_STD / (sigma**2 + RESIDUAL_STD**2) ** 0.5
    expected = condition + out * 0.1 * (2 * condition - 1)
    torch.testing.assert_close(one.one_step(noisy), expected)
    torch.testing.assert_close(one.srds(noisy, 0), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(one.random_samples(noisy, 0, 1), expected, atol=1e-3)


def test_targets_are_of_the_kind_asked_for(noisy: Tensor) -> None:
    teacher = teacher_of(_Linear())
    torch.testing.assert_close(teacher.target(noisy, 2, "srds"), teacher.srds(noisy, 2))
    torch.testing.assert_close(
        teacher.target(noisy, 2, "fusion"), teacher.fuse(noisy, teacher.srds(noisy, 2))
    )
    torch.testing.assert_close(teacher.target(noisy, 2, "corrected"), teacher.corrected(noisy, 2))


def test_the_correction_draws_noise_of_the_typical_level(noisy: Tensor) -> None:
    network = _Linear()
    found = teacher_of(network).corrected(noisy, 5)
    assert len(network.calls) == 3
    assert float(network.calls[0][1].exp()) == pytest.approx(ALPHA * 0.05 / RESIDUAL_STD, rel=1e-5)
    # c_in z of the first call: the residual plus alpha times noise of that level.
    sigma = ALPHA * 0.05
    z = network.calls[0][0][:, :1] * (sigma**2 + RESIDUAL_STD**2) ** 0.5
    condition = noisy[:, 1:].mean(1, keepdim=True)
    unit = NoiseDraws(NOISE, CPU).unit(condition.shape, generator(7, "recorruption", 5))
    torch.testing.assert_close(z, noisy[:, :1] - condition + sigma * unit, atol=1e-5, rtol=1e-4)
    assert found.shape == condition.shape

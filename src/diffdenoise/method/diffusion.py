"""Stage 2: a conditional diffusion model of the noisy image, in the form of EDM.

The model generates the residual r = noisy - condition. References are to Karras et al. 2022,
"Elucidating the Design Space of Diffusion-Based Generative Models" (EDM).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from diffdenoise.method import blind_spot
from diffdenoise.method.intensities import signed
from diffdenoise.method.step_data import ConditionOf, StepData, mean_of_known, with_centre
from diffdenoise.method.windows import Sample
from diffdenoise.training.fit import LossOf
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.randomness import generator

#: F(c_in z, condition channels, ln(sigma/sd)) -> (batch, 1, height, width)
RawNetwork: TypeAlias = Callable[[Tensor, Tensor], Tensor]

#: Spread of ln(sigma) around ln(sd) in training; EDM table 1 has 1.2 for images. Wider here,
#: because the symmetric pair starts at 20 sd and the recorruption estimate works at 0.3 sd.
LOG_SIGMA_STD = 1.6
#: Lowest std of the residual, scaled intensities: without any, nothing could be divided by it.
_LEAST_RESIDUAL_STD = 1e-4


def context_of(condition: Tensor, noisy: Tensor) -> Tensor:
    """Channels that go with z into the network: the condition, then the neighbour slices.

    Parameters
    ----------
    condition : Tensor (batch, 1, height, width)
        Stage 1's output, scaled intensities.
    noisy : Tensor (batch, 1 + 2 * neighbours, height, width)
        Slice and neighbours; only the neighbours are used, whose noise is independent.
    """
    return signed(torch.cat([condition, noisy[:, 1:]], dim=1))


def draw_sigmas(count: int, residual_std: float, generator: torch.Generator) -> Tensor:
    """Draw diffusion noise levels for a training step.

    Returns
    -------
    Tensor (count,)
        Log-normal around `residual_std` (EDM, table 1, with the data's own scale).
    """
    return residual_std * torch.exp(LOG_SIGMA_STD * torch.randn(count, generator=generator))


def denoise(network: RawNetwork, z: Tensor, sigma: Tensor, context: Tensor, residual_std: float) -> Tensor:
    """Estimate the residual from its noisy version, D(z; sigma, c) of EDM equation 7.

    Parameters
    ----------
    network : callable
        F of equation 7.
    z : Tensor (batch, 1, height, width)
        Residual plus noise of std sigma.
    sigma : Tensor (batch,)
        Diffusion noise level, in the images' scaled intensity units.
    context : Tensor (batch, channels, height, width)
        Condition, then the neighbour slices.
    residual_std : float
        Std of the residual (sigma_data of EDM).

    Returns
    -------
    Tensor (batch, 1, height, width)
    """
    skip, out, scale_in = _preconditioning(sigma, residual_std)
    raw = network(torch.cat([scale_in * z, context], dim=1), (sigma / residual_std).log())
    return skip * z + out * raw.to(z.dtype)


def loss(
    network: RawNetwork,
    residual: Tensor,
    noise: Tensor,
    sigma: Tensor,
    context: Tensor,
    weight: Tensor,
    residual_std: float,
) -> Tensor:
    """Denoising loss of EDM equation 8, taken in the network's own units.

    The weight lambda = 1/c_out^2 makes it |F - (r - c_skip z)/c_out|^2.

    Parameters
    ----------
    residual, noise : Tensor (batch, 1, height, width)
        noisy - condition; standard normal.
    sigma : Tensor (batch,)
        Diffusion noise levels.
    context : Tensor (batch, channels, height, width)
        Condition, then the neighbour slices.
    weight : Tensor (batch, 1, height, width)
        1 where the pixel counts: the pixels hidden from the condition.
    residual_std : float
        Std of the residual.

    Returns
    -------
    Tensor ()
    """
    skip, out, scale_in = _preconditioning(sigma, residual_std)
    z = residual + sigma[:, None, None, None] * noise
    raw = network(torch.cat([scale_in * z, context], dim=1), (sigma / residual_std).log())
    target = (residual - skip * z) / out
    return (weight * (raw.float() - target) ** 2).sum() / weight.sum().clamp_min(1)


def _preconditioning(sigma: Tensor, residual_std: float) -> tuple[Tensor, Tensor, Tensor]:
    """c_skip, c_out and c_in of EDM table 1, each (batch, 1, 1, 1)."""
    sigma = sigma[:, None, None, None]
    total = sigma**2 + residual_std**2
    return residual_std**2 / total, sigma * residual_std / total.sqrt(), 1 / total.sqrt()


@torch.no_grad()
def measure_residual_std(samples: Iterable[Sample], condition_of: ConditionOf, hardware: Hardware) -> float:
    """Std of noisy - condition over slices, or parts of them, that stand for all (sigma_data of EDM)."""
    squares, count = 0.0, 0
    for sample in samples:
        with hardware.autocast():
            residual = sample.noisy[:, :1] - condition_of(sample.noisy)
        squares += float(mean_of_known(residual.square(), sample.known))
        count += 1
    return max(math.sqrt(squares / count), _LEAST_RESIDUAL_STD)


def step_loss(
    data: StepData,
    network: nn.Module,
    condition_of: ConditionOf,
    blind: int,
    residual_std: float,
    purpose: str,
) -> LossOf:
    """Loss of a step: denoising loss of the residual, on the pixels hidden from the condition.

    `condition_of` runs without gradient. Not jointly blind, all pixels count and none is hidden.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        batch = data.patches(draws, step)
        noisy, counted = batch.noisy, batch.counted
        centre = noisy[:, :1]
        if settings.stage2.jointly_blind:
            mask = blind_spot.random_mask(centre, settings.stage2.hidden_share, blind, draws)
            seen = with_centre(noisy, blind_spot.fill(centre, mask, blind))
            weight = mask.float()
        else:
            seen, weight = noisy, torch.ones_like(centre)
        if counted is not None:
            weight = weight * counted
        with torch.no_grad():
            condition = condition_of(seen)
        sigma = draw_sigmas(len(noisy), residual_std, draws).to(data.device)
        noise = torch.randn(centre.shape, generator=draws).to(data.device)
        return loss(
            network,
            centre - condition,
            noise,
            sigma,
            context_of(condition, noisy),
            weight,
            residual_std,
        )

    return loss_of

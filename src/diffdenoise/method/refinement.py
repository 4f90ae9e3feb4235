"""Stage 3, second part: the student minimises an unbiased risk on the noisy scan itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdenoise.method import student
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.step_data import StepData, mean_of_known, twice, with_centre
from diffdenoise.training.fit import LossOf
from diffdenoise.training.randomness import generator


def recorrupt(noisy: Tensor, noise: Tensor, noise_std: float | Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Split a noisy image in two whose noises are independent.

    Parameters
    ----------
    noisy : Tensor (batch, 1, height, width)
        Image with Gaussian noise of std `noise_std`.
    noise : Tensor, same shape
        Standard normal, with the spatial correlation of the image's own noise.
    noise_std : float or Tensor
        Std of the image's noise.
    alpha : float
        Strength of the recorruption.

    Returns
    -------
    source, target : Tensor, same shape
        y + alpha n e and y - n e / alpha: E|f(source) - target|^2 is the risk of f against the clean
        image plus a constant.

    References
    ----------
    Pang et al. 2021, "Recorrupted-to-Recorrupted", theorem 1.
    """
    added = noise_std * noise
    return noisy + alpha * added, noisy - added / alpha


def step_loss(
    data: StepData,
    network: nn.Module,
    noise: NoiseDraws,
    alpha: float,
    purpose: str,
) -> LossOf:
    """Loss of a step: an unbiased risk on the noisy scan itself.

    Each patch is recorrupted twice, with a noise and its negative: in the gradient, most of what the
    added noise brings cancels, and what is left is that of Stein's risk estimate by symmetric
    differences, over a step as large as the noise.

    Errors count in units of the level at each place, so that where the noise is strong it doesn't drown
    what is to be learned where it is weak. That level is told by the source alone: the risk stays
    unbiased as long as the weight is independent of the target's noise.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        batch = data.patches(draws, step, count=max(1, settings.data.batch // 2))
        half, known, factor = batch.noisy, batch.known, batch.factor
        noisy = torch.cat([half, half])
        centre = noisy[:, :1]
        added = noise.draw(half[:, :1], draws, batch.turns, factor)
        if known is not None:
            added = known * added
        source, target = recorrupt(centre, torch.cat([added, -added]), 1.0, alpha)
        output = student.denoise(network, with_centre(noisy, source))
        level = noise.std(source, twice(factor))
        return mean_of_known(((output - target) / level).square(), twice(known))

    return loss_of

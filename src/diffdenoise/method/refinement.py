"""Stage 3, second part: the student minimises an unbiased risk on the noisy scan itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdenoise.method import student
from diffdenoise.method.recorruption import Recorruption
from diffdenoise.method.step_data import StepData, mean_of_known, twice, with_centre
from diffdenoise.training.fit import LossOf
from diffdenoise.training.randomness import generator


def step_loss(
    data: StepData,
    network: nn.Module,
    recorruption: Recorruption,
    purpose: str,
) -> LossOf:
    """Loss of a step: an unbiased risk on the noisy scan itself.

    Each patch is recorrupted twice, with a noise and its negative: in the gradient, most of what the
    added noise brings cancels, and what is left is that of Stein's risk estimate by symmetric
    differences, over a step as large as the noise.

    The student is told the source's level, as it will be told the scan's: it sees and gives noise of the same
    std. Sources are shifted, so that it also sees the same brightness (`Recorruption.shift`). Errors count in
    units of the level at each brightness, so that where the noise is strong it doesn't drown what is to be
    learned where it is weak. That level is told by the source alone: the risk stays unbiased as long as the
    weight is independent of the target's noise.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        batch = data.patches(draws, step, count=max(1, settings.data.batch // 2))
        half, known = batch.noisy, batch.known
        split = recorruption.split(half[:, :1], draws, batch.turns, known, both=True)
        shift = recorruption.shift(split.source)
        seen = with_centre(torch.cat([half, half]), split.source) + shift
        output = student.denoise(network, seen, recorruption.level) - shift
        return mean_of_known(recorruption.error(output, split).square(), twice(batch.counted))

    return loss_of

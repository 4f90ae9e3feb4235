"""Stage 3, last part: the student learns from its own results with noise drawn anew."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdenoise.method import student
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.step_data import StepData, mean_of_known, twice, with_centre
from diffdenoise.training.fit import LossOf
from diffdenoise.training.randomness import generator


def step_loss(
    data: StepData,
    network: nn.Module,
    teacher: nn.Module,
    noise: NoiseDraws,
    purpose: str,
) -> LossOf:
    """Loss of a step: the student learns to take simulated noise off the teacher's results.

    `teacher` is the student as refinement left it, and stays as it is. Its result is a clean image whose
    noise is then known exactly, level by level, and drawn anew in each step, so that there is no noise in
    the target; what the teacher smoothed away is missing, which is why refinement comes first.

    Self-training on a denoiser's own results: Zhang et al. 2022, "IDR: Self-supervised image denoising via
    iterative data refinement".
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        batch = data.patches(draws, step, count=max(1, settings.data.batch // 2))
        half, known, factor = batch.noisy, batch.known, batch.factor
        with torch.no_grad():
            clean = student.denoise(teacher, half)
        added = noise.draw(clean, draws, batch.turns, factor)
        if known is not None:
            # Where there is no data there is no noise: the constants stay what the student will meet there.
            clean, added = torch.where(known > 0, clean, half[:, :1]), known * added
        source = torch.cat([clean + added, clean - added])
        output = student.denoise(network, with_centre(torch.cat([half, half]), source))
        errors = (output - torch.cat([clean, clean])) / noise.std(source, twice(factor))
        return mean_of_known(errors.square(), twice(known))

    return loss_of

"""Stage 3: a student learns what stage 2 gives, and does it in one pass."""

from __future__ import annotations

from torch import Tensor, nn

from diffdenoise.method.intensities import signed
from diffdenoise.method.step_data import StepData, mean_of_known
from diffdenoise.training.fit import LossOf
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Target


def denoise(student: nn.Module, noisy: Tensor) -> Tensor:
    """Run the student.

    Parameters
    ----------
    student : Module
        Predicts the difference between the clean and the noisy slice.
    noisy : Tensor (batch, channels, height, width)
        Slice and neighbours, scaled intensities.

    Returns
    -------
    Tensor (batch, 1, height, width)
        Denoised slice, float32.
    """
    correction: Tensor = student(signed(noisy))
    return noisy[:, :1] + correction.float()


def squared_distance(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of two (batch, 1, height, width) tensors."""
    return ((output - target) ** 2).mean()


def step_loss(
    data: StepData, student: nn.Module, targets: dict[int, Target], noise_std: float, purpose: str
) -> LossOf:
    """Loss of a step: distance of the student's output to the teacher's, in units of the noise's variance.

    `noise_std` is its typical level; where it varies from place to place, that of the place counts.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        batch = data.patches(generator(settings.seed, purpose, step), step, targets)
        if batch.target is None:
            raise ValueError("step_loss: no targets were given")
        errors = denoise(student, batch.noisy) - batch.target
        if batch.factor is not None:
            errors = errors / batch.factor
        return mean_of_known(errors.square(), batch.known) / noise_std**2

    return loss_of

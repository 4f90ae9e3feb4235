"""Stage 3: a student learns what stage 2 gives, and does it in one pass."""

from __future__ import annotations

from torch import Tensor, nn

from diffdenoise.method.step_data import StepData, mean_of_known
from diffdenoise.networks.known_noise import UNIT
from diffdenoise.noise.domain import MIDDLE
from diffdenoise.training.fit import LossOf
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Target


def denoise(student: nn.Module, noisy: Tensor, level: float) -> Tensor:
    """Run the student.

    Parameters
    ----------
    student : Module
        Predicts the difference between the clean and the noisy slice, in units of the noise.
    noisy : Tensor (batch, channels, height, width)
        Slice and neighbours, intensities of the domain.
    level : float
        Std of the noise there.

    Returns
    -------
    Tensor (batch, 1, height, width)
        Denoised slice, float32.
    """
    correction: Tensor = student((UNIT / level) * (noisy - MIDDLE))
    return noisy[:, :1] + (level / UNIT) * correction.float()


def squared_distance(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of two (batch, 1, height, width) tensors."""
    return ((output - target) ** 2).mean()


def step_loss(
    data: StepData, student: nn.Module, targets: dict[int, Target], level: float, purpose: str
) -> LossOf:
    """Loss of a step: distance of the student's output to the teacher's, in units of the noise's variance."""
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        batch = data.patches(generator(settings.seed, purpose, step), step, targets)
        if batch.target is None:
            raise ValueError("step_loss: no targets were given")
        errors = denoise(student, batch.noisy, level) - batch.target
        return mean_of_known(errors.square(), batch.counted) / level**2

    return loss_of

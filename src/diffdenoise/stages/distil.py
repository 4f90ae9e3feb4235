"""Stage 3: losses of the student."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdenoise.stages.intensities import signed


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


def denoise_turned(student: nn.Module, noisy: Tensor, orientations: int) -> Tensor:
    """Run the student on turned and mirrored copies and average: steadier, at that many times the cost.

    Parameters
    ----------
    student, noisy
        See `denoise`.
    orientations : int
        How many of the eight; 1 is `denoise` itself.

    Returns
    -------
    Tensor (batch, 1, height, width)
    """
    total = denoise(student, noisy)
    for number in range(1, orientations):
        turned = torch.rot90(noisy, number % 4, (2, 3))
        mirrored = number >= 4
        output = denoise(student, (turned.flip(3) if mirrored else turned).contiguous())
        total = total + torch.rot90(output.flip(3) if mirrored else output, -(number % 4), (2, 3))
    return total / orientations


def squared_distance(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of two (batch, 1, height, width) tensors."""
    return ((output - target) ** 2).mean()


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

"""How long the student will take to denoise everything, measured where it will run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from diffdenoise.model.denoiser import denoiser_of
from diffdenoise.model.graph import reach


def inference_s(
    student: nn.Module,
    shape: tuple[int, int, int, int],
    sizes: Sequence[tuple[int, int]],
    device: str,
    now: Callable[[], float],
) -> float:
    """Return the seconds that one pass over slices takes.

    Parameters
    ----------
    student : UNet
        What denoises.
    shape : (int, int, int, int)
        Patches, channels, height and width of the batch that is timed, the second time that it runs.
    sizes : sequence of (int, int)
        Height and width of each slice in pixels.
    device : str
        Where it will run, as torch names it.
    now : callable
        Source of seconds.
    """
    denoiser = denoiser_of(student, (0,), device, torch.get_num_threads())
    batch = np.zeros(shape, np.float32)
    denoiser.run(batch, 1.0)
    began = now()
    denoiser.run(batch, 1.0)
    a_pixel_s = (now() - began) / (shape[0] * shape[2] * shape[3])
    pixels = (_computed(height, denoiser.side) * _computed(width, denoiser.side) for height, width in sizes)
    return a_pixel_s * sum(pixels)


def _computed(length: int, side: int) -> float:
    """Pixels along one axis that are computed for a slice, what pieces share with others counted twice."""
    return length if length <= side else length * side / max(side - 2 * reach(), 1)

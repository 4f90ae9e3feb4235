"""A slice turned and mirrored, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdenoise.model.tiles import Channels, Run


def run_turned(run: Run, noisy: Channels, turns: Sequence[int]) -> Channels:
    """Denoise turned and mirrored copies and average: steadier, at that many times the cost.

    Parameters
    ----------
    run : callable
        Denoises (n, channels, height, width) to (n, 1, height, width).
    noisy : float32 array (n, channels, height, width)
        Scaled intensities.
    turns : sequence of int
        Which of the eight; 0 alone is `run` itself.

    Returns
    -------
    float32 array (n, 1, height, width)
    """
    if list(turns) == [0]:
        return run(noisy)
    total = np.zeros((len(noisy), 1, *noisy.shape[2:]), np.float32)
    for number in turns:
        total += turned_back(run(turned(noisy, number)), number)
    total /= len(turns)
    return total


def turned(image: Channels, number: int) -> Channels:
    """One of the eight orientations of images (n, channels, height, width): 0 is as it is, 4 mirrored."""
    image = np.rot90(image, number % 4, (2, 3))
    return image[..., ::-1] if number >= 4 else image


def turned_back(image: Channels, number: int) -> Channels:
    """Undo `turned`."""
    image = image[..., ::-1] if number >= 4 else image
    return np.rot90(image, -(number % 4), (2, 3))

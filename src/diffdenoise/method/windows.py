"""Which slices, and which parts of them, are computed as a whole: as targets, to compare, to read figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices, Window

#: Side in pixels of what networks are compared on, and of what figures about the data are read from.
COMPARED_SIDE = 256
#: Slices, evenly spaced, that figures about the data are read from.
_SAMPLE = 16


class Sample(NamedTuple):
    """A slice, or a part of one, that estimators are tried on.

    Attributes
    ----------
    number : int
        Of the slice.
    noisy : Tensor (1, channels, height, width)
        Slice and neighbours.
    known : Tensor (1, 1, height, width) or None
        1 where there is data; None: everywhere.
    """

    number: int
    noisy: Tensor
    known: Tensor | None = None


def samples(
    slices: Slices, numbers: Iterable[int], side: int, seed: int, device: torch.device
) -> Iterator[Sample]:
    """Slices, or a window of `side` pixels of large ones, on the device."""
    for number in numbers:
        window = target_window(slices, number, side, seed)
        known = slices.known(number, window)
        yield Sample(
            number, slices.whole(number, window).to(device), None if known is None else known.to(device)
        )


def target_order(slices: Slices, patch: int, seed: int) -> list[int]:
    """Return the slices that hold a patch of `patch` pixels a side, in random order."""
    _, numbers = slices.fitting(patch)
    order = torch.randperm(len(numbers), generator=generator(seed, "target order", 0))
    return [numbers[int(place)] for place in order]


def target_window(slices: Slices, number: int, side: int, seed: int) -> Window:
    """Return all of a slice, or a random part of one of more than `side` pixels a side."""
    draws = torch.rand(2, generator=generator(seed, "target window", number)).tolist()
    height, width = slices.size(number)
    tall, wide = min(height, side), min(width, side)
    top, left = int(draws[0] * (height - tall + 1)), int(draws[1] * (width - wide + 1))
    return Window(top, left, tall, wide)


def evenly_spaced(slices: Slices) -> list[int]:
    """Return up to 16 slices that stand for all that hold data."""
    numbers = [number for number in range(len(slices)) if not slices.is_empty(number)]
    places = np.linspace(0, len(numbers) - 1, min(len(numbers), _SAMPLE)).round()
    return [numbers[place] for place in sorted({int(place) for place in places})]

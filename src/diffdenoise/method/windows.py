"""Which slices, and which parts of them, are computed as a whole: as targets, to compare, to read figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffdenoise.training.held_out import Place, Window, learned
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices

#: Side in pixels of what networks are compared on, and of what figures about the data are read from.
COMPARED_SIDE = 256
#: Slices, evenly spaced, that figures about the data are read from.
_SAMPLE = 16
#: Windows that nothing is learned from; sides in pixels of the largest, and of the smallest that tell
#: anything; and the share of all pixels that they are at most.
HELD_OUT, HELD_OUT_SIDE, _LEAST_SIDE, _HELD_OUT_SHARE = 4, 128, 12, 0.1
#: Pixels on either side of such a window that a network is shown with it.
AROUND = 24


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


def held_out(slices: Slices, patch: int, seed: int) -> list[Place]:
    """Return windows to hold out from training, in which its result is judged; none of tiny images."""
    order = target_order(slices, patch, seed)
    pixels = sum(math.prod(slices.size(number)) for number in order)
    fitting = min(min(slices.size(number)) for number in order)
    side = min(HELD_OUT_SIDE, fitting, math.isqrt(round(_HELD_OUT_SHARE * pixels / HELD_OUT)))
    if side < _LEAST_SIDE:
        return []
    found = []
    for place in range(HELD_OUT):
        number = order[place % len(order)]
        inside = slices.box(number, side)
        down, right = torch.rand(2, generator=generator(seed, "held out", place)).tolist()
        top = inside.top + int(down * (inside.height - side + 1))
        left = inside.left + int(right * (inside.width - side + 1))
        found.append(Place(number, Window(top, left, side, side)))
    return found


def held_out_samples(slices: Slices, places: Sequence[Place], device: torch.device) -> Iterator[Sample]:
    """Held-out windows with what is around them, which does not count, on the device."""
    for place in places:
        seen = _widened(place.window, *slices.size(place.number))
        counts = 1 - learned(places, place.number, seen)[None, None]
        known = slices.known(place.number, seen)
        counts = counts if known is None else counts * known
        yield Sample(place.number, slices.whole(place.number, seen).to(device), counts.to(device))


def _widened(window: Window, height: int, width: int) -> Window:
    top, left = max(0, window.top - AROUND), max(0, window.left - AROUND)
    bottom = min(height, window.top + window.height + AROUND)
    right = min(width, window.left + window.width + AROUND)
    return Window(top, left, bottom - top, right - left)

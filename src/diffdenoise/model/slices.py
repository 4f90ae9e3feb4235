"""The slices of a volume through a student, some at a time: neither volume nor result need be in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diffdenoise.model.tiles import Run
from diffdenoise.scan.neighbours import with_neighbours
from diffdenoise.scan.volume import Volume
from diffdenoise.types import Stack

#: Takes denoised slices (count, height, width), and the place of the first.
Sink = Callable[[int, Stack], None]


def denoise_volume(
    volume: Volume,
    sink: Sink,
    run: Run,
    *,
    neighbours: int,
    at_once: int,
    told: Callable[[int], None],
    part: tuple[int, int] | None = None,
) -> None:
    """Denoise a volume, or a part of its slices; slices without any data stay as they are.

    Parameters
    ----------
    volume : Volume
        Of at least twice as many slices as `neighbours`.
    sink : callable
        Given the denoised slices, in order.
    run : callable
        Denoises (n, 1 + 2 neighbours, height, width) to (n, 1, height, width); what it is given is its own.
    neighbours : int
        Slices on either side that go with each slice.
    at_once : int
        Slices that are read, run and handed on together.
    told : callable
        Given the number of slices that are done, for each.
    part : (int, int), optional
        First slice, and that after the last; None: all.
    """
    count = volume.shape[0]
    begin, end = part or (0, count)
    for first in range(begin, end, at_once):
        last = min(first + at_once, end)
        start = max(0, first - neighbours)
        slab = volume.slab(start, min(count, last + neighbours))
        places = [with_neighbours(position, neighbours, count) for position in range(first, last)]
        channels = slab[np.array(places) - start]
        known = volume.known(first, last)
        filled = np.ones(last - first, bool) if known is None else known.any(axis=(1, 2))
        if filled.all():
            denoised = run(channels)[:, 0]
        else:
            denoised = channels[:, 0].copy()
            if filled.any():
                denoised[filled] = run(channels[filled])[:, 0]
        sink(first, denoised)
        for done in range(first + 1, last + 1):
            told(done)

"""Slices of any size in pieces of bounded size: the same result, bit for bit, as in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: float32 of shape (n, channels, height, width): slices, their neighbours as channels.
Channels = NDArray[np.float32]
#: What denoises (n, channels, height, width) to (n, 1, height, width).
Run = Callable[[Channels], Channels]


def run_in_tiles(run: Run, noisy: Channels, *, side: int, step: int, reach: int) -> Channels:
    """Run a network on slices of any size.

    Parameters
    ----------
    run : callable
        For heights and widths that are multiples of `step`.
    noisy : float32 array (n, channels, height, width)
        Slices and their neighbours; any height and width.
    side : int
        Side in pixels of the largest piece that the network is given.
    step : int
        Pixels that the network shrinks to one; pieces begin at multiples of it.
    reach : int
        Pixels on either side that an output pixel depends on, for places in whole `step`s.

    Returns
    -------
    float32 array (n, 1, height, width)
    """
    height, width = noisy.shape[2:]
    # Replicated, as in training, rather than reflected, which would need slices larger than the margin.
    margins = ((0, 0), (0, 0), (0, -height % step), (0, -width % step))
    padded = np.pad(noisy, margins, mode="edge") if height % step or width % step else noisy
    denoised = np.empty((len(noisy), 1, *padded.shape[2:]), np.float32)
    halo = -(-reach // step) * step
    for rows, seen_rows in _pieces(padded.shape[2], side, step, halo):
        for columns, seen_columns in _pieces(padded.shape[3], side, step, halo):
            piece = run(np.ascontiguousarray(padded[:, :, seen_rows, seen_columns]))
            denoised[:, :, rows, columns] = piece[
                :, :, _inside(rows, seen_rows), _inside(columns, seen_columns)
            ]
    return denoised[:, :, :height, :width]


def _pieces(length: int, side: int, step: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Yield parts of a length, and what has to be seen of it for each: no more than `side`, or the least."""
    if length <= side:
        yield slice(0, length), slice(0, length)
        return
    most = max((side - 2 * halo) // step, 1)
    # As even as can be: no small rest, most of which would be halo.
    count = -(-(length // step) // most)
    cuts = [step * (number * (length // step) // count) for number in range(count + 1)]
    for first, last in pairwise(cuts):
        yield slice(first, last), slice(max(0, first - halo), min(length, last + halo))


def _inside(part: slice, seen: slice) -> slice:
    return slice(part.start - seen.start, part.stop - seen.start)

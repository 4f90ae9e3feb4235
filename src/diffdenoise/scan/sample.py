"""Which slices statistics look at: a fixed, evenly spaced choice of runs of adjacent ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

#: Scans of no more voxels are looked at as a whole.
ALL_VOXELS = 2**24
#: Slices looked at for regions, and for how a result differs from its input.
SPREAD = 24
#: Pixels looked at in all for patches, and slices at the most, so that the time is bounded.
_MOST_PIXELS, _MOST_SLICES = 16 * 512 * 512, 16
#: Larger slices are looked at in parts of this side.
_PART = 1024
#: Pairs of adjacent slices looked at, and their pixels in all.
_MOST_PAIRS, _PAIR_PIXELS = 16, 2**24
#: Pairs of consecutive volumes looked at, and pixels of each.
_MOST_REPEATS, _REPEAT_PIXELS = 8, 2**21

#: Slices, height and width of a stack.
Shape = tuple[int, int, int]


class Part(NamedTuple):
    """A part of a slice: its volume, number, and first and last (not included) row and column."""

    volume: int
    number: int
    rows: tuple[int, int]
    columns: tuple[int, int]


def evenly(count: int, most: int) -> list[int]:
    """Return up to `most` evenly spaced numbers of 0 to `count` - 1, both ends included."""
    if count < 1:
        return []
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return places


def spread_slices(shapes: Sequence[Shape], most: int = SPREAD) -> list[tuple[int, int]]:
    """Return evenly spaced slices of all volumes, as (volume, number)."""
    slices = _all(shapes)
    return [slices[place] for place in evenly(len(slices), most)]


def parts_of(shapes: Sequence[Shape]) -> list[Part]:
    """Return evenly spaced slices, or parts of large ones, of equal size where their slices are."""
    parts = [parts_of_slice(shape) for shape in shapes]
    slices = _all(shapes)
    pixels = max((r[1] - r[0]) * (c[1] - c[0]) for of_stack in parts for r, c in of_stack)
    most = min(_MOST_SLICES, max(1, _MOST_PIXELS // pixels))
    count = min(most, sum(len(parts[number]) for number, _ in slices))
    places = np.linspace(0, len(slices) - 1, count).round().astype(int)
    chosen: dict[Part, None] = {}
    for turn, place in enumerate(places):
        number, k = slices[place]
        # Of large slices another part each time.
        rows, columns = parts[number][turn % len(parts[number])]
        chosen[Part(number, k, rows, columns)] = None
    return list(chosen)


def adjacent_pairs(shapes: Sequence[Shape]) -> list[tuple[int, int]]:
    """Return evenly spaced pairs of adjacent slices, as volume and the first one's number."""
    pairs = [(volume, k) for volume, shape in enumerate(shapes) for k in range(shape[0] - 1)]
    pixels = max((shape[1] * shape[2] for shape in shapes), default=1)
    most = min(_MOST_PAIRS, max(2, _PAIR_PIXELS // max(1, pixels)))
    return [pairs[place] for place in evenly(len(pairs), most)]


def repeats(shapes: Sequence[Shape]) -> list[tuple[int, list[int]]]:
    """Return evenly spaced volumes, each to be compared with the next, and which of its slices."""
    if len(shapes) < 2 or len(set(shapes)) > 1:
        return []
    count, height, width = shapes[0]
    most = max(1, _REPEAT_PIXELS // (height * width))
    return [(volume, evenly(count, most)) for volume in evenly(len(shapes) - 1, _MOST_REPEATS)]


def looked_at(shapes: Sequence[Shape]) -> set[tuple[int, int]]:
    """Return all slices that any statistic looks at, as (volume, number)."""
    if sum(prod(shape) for shape in shapes) <= ALL_VOXELS:
        return set(_all(shapes))
    found = set(spread_slices(shapes))
    for part in parts_of(shapes):
        count = shapes[part.volume][0]
        found |= {(part.volume, k) for k in range(max(0, part.number - 1), min(count, part.number + 2))}
    for volume, k in adjacent_pairs(shapes):
        found |= {(volume, k), (volume, k + 1)}
    for volume, numbers in repeats(shapes):
        found |= {(each, k) for each in (volume, volume + 1) for k in numbers}
    return found


def _all(shapes: Sequence[Shape]) -> list[tuple[int, int]]:
    return [(volume, k) for volume, shape in enumerate(shapes) for k in range(shape[0])]


def parts_of_slice(shape: Shape) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return rows and columns of parts of a slice, of equal size and none longer than 1024 pixels."""
    cuts = [np.linspace(0, size, -(-size // _PART) + 1).astype(int).tolist() for size in shape[1:]]
    return [
        ((top, bottom), (left, right))
        for top, bottom in pairwise(cuts[0])
        for left, right in pairwise(cuts[1])
    ]

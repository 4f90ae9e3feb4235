"""Which slices of a stack go with a slice."""

from __future__ import annotations


def neighbour_index(position: int, offset: int, count: int) -> int:
    """Return the slice at `position + offset`, mirrored to the other side beyond the stack's ends.

    Never the slice itself: its own noise must not come back as if it were a neighbour's.
    """
    index = position + offset
    return index if 0 <= index < count else position - offset


def with_neighbours(position: int, neighbours: int, count: int) -> list[int]:
    """Return a slice's place and those of its neighbours, nearest first: the inputs of the networks.

    Parameters
    ----------
    position, count : int
        Place of the slice, and slices of the stack: at least twice as many as `neighbours`.
    neighbours : int
        Slices on either side.
    """
    offsets = [step * side for step in range(1, neighbours + 1) for side in (-1, 1)]
    return [position, *(neighbour_index(position, offset, count) for offset in offsets)]

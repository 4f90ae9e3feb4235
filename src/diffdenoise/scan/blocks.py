"""Voxels that are stored in chunks: read by blocks of whole chunks, the last of which are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.voxels import Lazy

#: First and last (not included) place along an axis.
Range = tuple[int, int]
#: Blocks that are kept: slabs reach over the end of one; and bytes of one, unless a slice has more.
_KEPT_BLOCKS, _BLOCK_BYTES = 2, 32 * 2**20


class BlockVoxels(Lazy):
    """Voxels read by blocks across an axis.

    Parameters
    ----------
    shape, dtype
        Of the values.
    axis : int or None
        Axis across the slabs.
    thickness : int
        Slices of a chunk; blocks have as many, or fewer where these would take much memory.
    load : callable
        Takes a range along each axis and returns these values, all axes kept.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        axis: int | None,
        thickness: int,
        load: Callable[[Sequence[Range]], NDArray[Any]],
    ) -> None:
        self.shape, self.dtype, self.axis = shape, dtype, axis
        plane = 1 if axis is None else prod(shape[:3]) // shape[axis]
        self._thickness = max(1, min(thickness, _BLOCK_BYTES // (plane * dtype.itemsize)))
        self._load = load
        self._blocks: dict[tuple[int, int], NDArray[Any]] = {}

    def read(self, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return slices, of blocks that are read unless they are kept."""
        parts = []
        for number in range(first // self._thickness, -(-last // self._thickness)):
            start = number * self._thickness
            parts.append(self._block(volume, number)[max(0, first - start) : last - start])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _block(self, volume: int, number: int) -> NDArray[Any]:
        """A block's slices (slices, height, width)."""
        kept = self._blocks.get((volume, number))
        if kept is None:
            while len(self._blocks) >= _KEPT_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            kept = self._blocks[volume, number] = self._read_block(volume, number)
        return kept

    def _read_block(self, volume: int, number: int) -> NDArray[Any]:
        ranges = [(0, size) for size in self.shape]
        if self.axis is None:
            return self._load(ranges)[np.newaxis]
        start = number * self._thickness
        ranges[self.axis] = (start, min(start + self._thickness, self.shape[self.axis]))
        if len(ranges) == 4:
            ranges[3] = (volume, volume + 1)
        block = self._load(ranges)
        return np.moveaxis(block[..., 0] if len(ranges) == 4 else block, self.axis, 0)

"""Arrays in chunks, read part by part in another process, as their codecs are C code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError
from diffdenoise.scan.blocks import BlockVoxels, Range
from diffdenoise.scan.child import UndecodableError, run_in_child
from diffdenoise.scan.formats.header import check_axes
from diffdenoise.scan.pixels import native
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.survey import axis_of, look_through
from diffdenoise.scan.voxels import LAZY_FROM_BYTES
from diffdenoise.types import Array


@dataclass(frozen=True)
class Chunked:
    """An array of a file.

    Attributes
    ----------
    function : str
        For `run_in_child`; returns the part that the fact `select` names, as [first, last] along each axis.
    facts : mapping
        What else it needs to find the array; names are absolute, as the current folder may change.
    path : path
        Of the file, for messages.
    shape : tuple of int
        Of the array in the file.
    dtype : numpy.dtype
        As stored.
    chunk : tuple of int or None
        Shape of what is unpacked at once; None: nothing is packed, and any part is as good as another.
    order : sequence of int
        The array's axes that the scan has, in the scan's order; the others have length 1.
    held : int
        Bytes that are stored.
    """

    function: str
    facts: Mapping[str, Any]
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...] | None
    order: Sequence[int]
    held: int

    def fill(self, scan: Scan) -> Scan:
        """Return a scan with the array's values: read now if they are few, else when they are asked for.

        Parameters
        ----------
        scan : Scan
            As `blank` gives, with its geometry.
        """
        if math.prod(self.shape) * self.dtype.itemsize < LAZY_FROM_BYTES:
            return scan.with_data(self._load([(0, size) for size in scan.shape]))
        axis = axis_of(scan)
        thickness = 1 if axis is None else int((self.chunk or self.shape)[self.order[axis]])
        dtype = self.dtype.newbyteorder("=")
        scan = scan.with_data(BlockVoxels(scan.shape, dtype, axis, thickness, self._load))
        # Damaged chunks show when they are read.
        look_through(scan)
        return scan

    def blank(self) -> Array:
        """Return zeros of the scan's shape, which take no memory; `ShapeError` if it has too many axes."""
        shape = [self.shape[axis] for axis in self.order]
        check_axes(shape, self.path)
        return np.broadcast_to(np.zeros((), self.dtype), shape)

    def _load(self, ranges: Sequence[Range]) -> Array:
        """Values of a range along each axis of the scan."""
        select = [(0, 1)] * len(self.shape)
        for axis, given in zip(self.order, ranges, strict=True):
            select[axis] = given
        asked = math.prod(last - first for first, last in select)
        # A chunk is unpacked whole, however little of it is asked for.
        stated = max(asked, math.prod(self.chunk or (0,))) * self.dtype.itemsize
        facts, name = {**self.facts, "select": select}, str(self.path)
        try:
            _, stored = run_in_child(self.function, facts, name=name, stated=stated, held=self.held)
        except UndecodableError:
            raise FormatError(
                f"{name}: is damaged, or was changed since it was opened; get a complete copy"
            ) from None
        if stored is None:
            raise FormatError(f"{name}: is damaged: it holds no voxels; get a complete copy")
        # The axes of length 1 go to the end, where they vanish.
        rest = [axis for axis in range(stored.ndim) if axis not in self.order]
        return native(stored.transpose(*self.order, *rest).reshape([last - first for first, last in ranges]))

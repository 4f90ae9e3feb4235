"""Voxel values of an image: in memory, or in a file until they are asked for, slab by slab."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.scan.cut import to_stacks
from diffdenoise.types import Array

#: Bytes of values that a slab has at the most, unless a single slice has more.
SLAB_BYTES = 8 * 2**20
#: Files whose voxels take less are read at once.
LAZY_FROM_BYTES = 8 * 2**20


class Voxels(ABC):
    """Real values of an image, volume or time series, axes as in `Scan.data`.

    Slices are counted as `to_stacks` cuts them: across an axis, volume by volume; an image is one slice.

    Attributes
    ----------
    shape : tuple of int
        (h, w), (x, y, z) or (x, y, z, t).
    dtype : numpy.dtype
        Of the values that slabs hold.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    _remembered: dict[Any, list[Any]] | None = None

    @property
    def remembered(self) -> dict[Any, list[Any]]:
        """What was found out about the values, by whom; they don't change."""
        if self._remembered is None:
            self._remembered = {}
        return self._remembered

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    @abstractmethod
    def slab(self, axis: int | None, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return slices `first` to `last` (not included) of a volume, (n, h, w); not to be changed."""

    @abstractmethod
    def whole(self) -> Array:
        """Return all values in one array, not to be changed; it is kept."""

    def slabs(self, axis: int | None) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield volume, first slice's number and values of slabs, from the first slice to the last."""
        for volume, (count, height, width) in enumerate(stack_shapes(self.shape, axis)):
            step = max(1, SLAB_BYTES // max(1, height * width * self.dtype.itemsize))
            for first in range(0, count, step):
                yield volume, first, self.slab(axis, volume, first, min(first + step, count))


def stack_shapes(shape: tuple[int, ...], axis: int | None) -> list[tuple[int, int, int]]:
    """Shapes (slices, height, width) of the stacks that `to_stacks` cuts an array into, one a volume."""
    return [stack.shape for stack in to_stacks(np.broadcast_to(np.zeros((), bool), shape), axis)]


class Held(Voxels):
    """Values in an array."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def slab(self, axis: int | None, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return a view."""
        return to_stacks(self._array, axis)[volume][first:last]

    def whole(self) -> Array:
        """Return the array itself."""
        return self._array

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same array, not an equal one."""
        return isinstance(other, Held) and other._array is self._array

    def __hash__(self) -> int:
        return id(self._array)


class Lazy(Voxels):
    """Values that are read across one axis, slab by slab; across others they are read at once, and kept.

    Attributes
    ----------
    axis : int or None
        The one that they lie across in the file, None for an image.
    """

    axis: int | None
    _kept: Array | None = None

    @abstractmethod
    def read(self, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return slices across `axis` as `slab` does."""

    def slab(self, axis: int | None, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return slices, read now if they lie one after the other."""
        if self._kept is None and axis == self.axis:
            return self.read(volume, first, last)
        return to_stacks(self.whole(), axis)[volume][first:last]

    def whole(self) -> Array:
        """Return all values."""
        if self._kept is None:
            # Not empty(): what isn't filled, because of an error, must not be kept.
            array = np.zeros(self.shape, self.dtype, order="F")
            stacks = to_stacks(array, self.axis)
            for volume, first, values in Voxels.slabs(self, self.axis):
                stacks[volume][first : first + len(values)] = values
            self._kept = array
        return self._kept


class Computed(Lazy):
    """Values computed from others when they are asked for.

    Parameters
    ----------
    shape, dtype
        Of the values.
    axis : int or None
        Axis across the slabs.
    compute : callable
        Takes a volume's number, a first and a last slice, and returns these slices.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        axis: int | None,
        compute: Callable[[int, int, int], NDArray[Any]],
    ) -> None:
        self.shape, self.dtype, self.axis, self._compute = shape, dtype, axis, compute

    def read(self, volume: int, first: int, last: int) -> NDArray[Any]:
        """Compute slices."""
        return self._compute(volume, first, last)


class Scaled(Lazy):
    """Stored integers times a slope plus an intercept, float64.

    Attributes
    ----------
    stored : Lazy
        The integers.
    slope, inter : float
    """

    def __init__(self, stored: Lazy, slope: float, inter: float) -> None:
        self.stored, self.slope, self.inter = stored, slope, inter
        self.shape, self.dtype, self.axis = stored.shape, np.dtype(np.float64), stored.axis

    def read(self, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return real values."""
        return self.real(self.stored.slab(self.axis, volume, first, last))

    def slab(self, axis: int | None, volume: int, first: int, last: int) -> NDArray[Any]:
        """Return real values across any axis that the stored ones are given across."""
        return self.real(self.stored.slab(axis, volume, first, last))

    def whole(self) -> Array:
        """Return all real values; kept."""
        if self._kept is None:
            self._kept = self.real(self.stored.whole())
        return self._kept

    def real(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Real values of some stored ones."""
        return _real(stored, self.slope, self.inter)


def scaled(stored: Voxels, slope: float, inter: float) -> Voxels:
    """Return stored values times a slope plus an intercept; of those in memory, in memory."""
    if isinstance(stored, Lazy):
        return Scaled(stored, slope, inter)
    return Held(_real(stored.whole(), slope, inter))


def _real(stored: NDArray[Any], slope: float, inter: float) -> NDArray[np.float64]:
    values = stored.astype(np.float64)
    # In place: two such arrays would be up to 16 times as large as the file.
    values *= slope
    values += inter
    return values


def as_voxels(values: Array | Voxels) -> Voxels:
    """Return values as `Voxels`, whichever they are."""
    return values if isinstance(values, Voxels) else Held(np.asarray(values))


def map_voxels(function: Callable[..., NDArray[Any]], dtype: Any, *given: Voxels | None) -> Voxels:
    """Return voxels that a function makes of others of one shape: at once of arrays, else when asked for.

    Parameters
    ----------
    function : callable
        Takes the same part of each of `given` (None for None) and returns as many values.
    dtype : dtype
        Of what the function returns.
    *given : Voxels or None
        Of one shape.

    Raises
    ------
    ShapeError
        If shapes differ.
    """
    there = [one for one in given if one is not None]
    shapes = {one.shape for one in there}
    if len(shapes) != 1:
        raise ShapeError(f"found shapes {sorted(shapes)}; expected one")
    lazy = next((one for one in there if isinstance(one, Lazy)), None)
    if lazy is None:
        return Held(function(*(None if one is None else one.whole() for one in given)))
    axis = lazy.axis

    def compute(volume: int, first: int, last: int) -> NDArray[Any]:
        return function(*(None if one is None else one.slab(axis, volume, first, last) for one in given))

    return Computed(lazy.shape, np.dtype(dtype), axis, compute)


def slabs_as(
    voxels: Voxels, axis: int | None, dtype: np.dtype[Any], convert: Callable[[NDArray[Any]], NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """Yield slabs across an axis, each converted; what lies across another is converted at once.

    Parameters
    ----------
    voxels : Voxels
        Any.
    axis : int or None
        Axis across the slabs.
    dtype : numpy.dtype
        Of what the conversion gives.
    convert : callable
        Takes some values and returns as many.
    """
    if isinstance(voxels, Lazy) and voxels.axis != axis:
        array = np.zeros(voxels.shape, dtype)
        stacks = to_stacks(array, voxels.axis)
        for volume, first, values in voxels.slabs(voxels.axis):
            stacks[volume][first : first + len(values)] = convert(values)
        yield from to_stacks(array, axis)
        return
    for _, _, values in voxels.slabs(axis):
        yield convert(values)

"""Volumes as stacks of slices, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import SettingsError, ShapeError
from diffdenoise.scan.scan import Scan

T = TypeVar("T", bound=np.generic)

#: Pixels: the least side of a slice; under this the networks see little but padding.
LEAST_SIDE = 8
#: A slice is taken to be thicker than its pixels are wide from this ratio on.
_CLEARLY_THICKER = 1.2


def choose_axis(scan: Scan, axis: int | None = None) -> int | None:
    """Return the axis along which a volume is cut into slices.

    In this order: the axis asked for; the one that the file states; the one with clearly the
    largest voxel size (over 1.2 times the next); the one with clearly fewest samples (less than
    half of the next); the last. An axis that would leave slices under 8x8 pixels is never chosen.

    Parameters
    ----------
    scan : Scan
        Two to four axes.
    axis : int, optional
        Axis asked for, 0 to 2.

    Returns
    -------
    int or None
        None for a single image.

    Raises
    ------
    SettingsError
        If `axis` is not an axis in space.
    ShapeError
        If slices would be under 8x8 pixels, or an axis is asked for in a single image.
    """
    if not 2 <= scan.data.ndim <= 4:
        raise ShapeError(f"{scan.name}: has {scan.data.ndim} axes; expected 2 to 4; split or reshape it")
    shape = scan.data.shape[:3]
    if len(shape) == 2:
        if axis is not None:
            raise ShapeError(f"{scan.name}: is a single image without slices; leave out axis {axis}")
        _check_plane(scan.name, shape)
        return None
    if 0 in scan.data.shape:
        raise ShapeError(f"{scan.name}: is empty, of shape {scan.data.shape}; expected at least one slice")
    if axis is not None:
        if not 0 <= axis <= 2:
            raise SettingsError(f"axis {axis}: is not an axis in space; expected 0, 1 or 2")
        _check_plane(scan.name, _plane(shape, axis))
        return axis
    possible = [index for index in range(3) if min(_plane(shape, index)) >= LEAST_SIDE]
    if not possible:
        _check_plane(scan.name, tuple(sorted(shape)[1:]))
    if len(possible) == 1:
        return possible[0]
    if scan.slice_axis in possible:
        return scan.slice_axis
    if scan.spacing_mm is not None:
        *_, next_size, largest = sorted(scan.spacing_mm)
        thickest = scan.spacing_mm.index(largest)
        if largest > _CLEARLY_THICKER * next_size and thickest in possible:
            return thickest
    fewest, next_count, _ = sorted(shape)
    if 2 * fewest < next_count:
        return shape.index(fewest)
    return possible[-1]


def _plane(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return the size of the slices across `axis`."""
    return shape[:axis] + shape[axis + 1 :]


def _check_plane(name: str, plane: tuple[int, ...]) -> None:
    """Raise `ShapeError` for slices that are too small."""
    if min(plane) < LEAST_SIDE:
        raise ShapeError(
            f"{name}: has slices of {'x'.join(map(str, plane))} pixels; expected at least "
            f"{LEAST_SIDE}x{LEAST_SIDE}; use a larger image"
        )


def to_stacks(data: NDArray[T], axis: int | None) -> list[NDArray[T]]:
    """Cut an image, volume or time series into stacks of slices.

    Parameters
    ----------
    data : array, (h, w), (x, y, z) or (x, y, z, t)
        Any values.
    axis : int or None
        Slice axis of a volume or time series; ignored for a single image.

    Returns
    -------
    list of array (n, h, w)
        One stack for each volume, one slice for a single image; views of `data`.
    """
    if data.ndim == 2:
        return [data[np.newaxis]]
    if axis is None or not 0 <= axis <= 2:
        raise SettingsError(f"axis {axis}: expected 0, 1 or 2 for an array of {data.ndim} axes")
    if data.ndim == 3:
        return [np.moveaxis(data, axis, 0)]
    return [np.moveaxis(data[..., time], axis, 0) for time in range(data.shape[3])]


def from_stacks(stacks: Sequence[NDArray[T]], shape: tuple[int, ...], axis: int | None) -> NDArray[T]:
    """Join stacks of slices again: the exact inverse of `to_stacks`.

    Parameters
    ----------
    stacks : sequence of array (n, h, w)
        As `to_stacks` gave them.
    shape : tuple of int
        Shape of the array that was cut.
    axis : int or None
        Axis that it was cut along.

    Returns
    -------
    array of `shape`

    Raises
    ------
    ShapeError
        If the stacks don't make up that shape.
    """
    if len(shape) == 2:
        joined: NDArray[T] = stacks[0][0]
    else:
        volumes = [np.moveaxis(stack, 0, -1 if axis is None else axis) for stack in stacks]
        joined = volumes[0] if len(shape) == 3 else np.stack(volumes, axis=-1)
    if joined.shape != shape or (len(shape) < 4 and len(stacks) != 1):
        raise ShapeError(f"{len(stacks)} stacks make up an array of {joined.shape}; expected {shape}")
    return joined

"""Volumes as stacks of slices, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import SettingsError, ShapeError

T = TypeVar("T", bound=np.generic)


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

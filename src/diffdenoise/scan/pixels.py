"""Pixel rules that several formats share: dtype on the way out, colour and size on the way in."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, IntensityError, OutputError
from diffdenoise.scan.limits import most_unpacked, refuse_unpacked
from diffdenoise.types import Array

#: Deflate shrinks at most 1032-fold (RFC 1951: 258 bytes in 2 bits).
DEFLATE_SHRINKS = 1032


def to_stored(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return `values` in the dtype of a file: rounded half to even and clipped, never wrapped around.

    Parameters
    ----------
    values : array, any shape
        Values in the units of the file's numbers (slope and intercept already undone).
    dtype : numpy.dtype
        dtype of the file, of any byte order.

    Raises
    ------
    OutputError
        If `dtype` is an integer and a value is NaN or infinite.
    """
    if values.dtype == dtype:
        return values
    if np.issubdtype(dtype, np.floating):
        floats = np.finfo(dtype)
        return np.asarray(np.clip(values, float(floats.min), float(floats.max)), dtype=dtype)
    limits = _limits(dtype)
    if np.issubdtype(values.dtype, np.integer):
        # Only the limits that `values.dtype` can hold exist for it; NumPy refuses the others.
        own = _limits(values.dtype)
        low, high = max(limits.min, own.min), min(limits.max, own.max)
        return np.asarray(np.clip(values, low, high), dtype=dtype)
    real = np.asarray(values, dtype=np.float64)
    if not np.isfinite(real).all():
        raise OutputError("the result holds NaN or infinity, which an integer file cannot store")
    # The largest 64-bit integers have no float64; the one below them has.
    top = float(limits.max)
    if int(top) > limits.max:
        top = float(np.nextafter(top, 0.0))
    return np.asarray(np.clip(np.rint(real), float(limits.min), top), dtype=dtype)


def _limits(dtype: np.dtype[Any]) -> np.iinfo[Any]:
    """Return the least and largest value of an integer dtype."""
    return np.iinfo(dtype)


def native(values: Array) -> Array:
    """Return `values` in this machine's byte order, the only one that torch takes."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def one_channel(pixels: Array, name: str) -> Array:
    """Return the grey values of an RGB or RGBA image (..., 3 or 4) that holds no colour.

    Raises
    ------
    IntensityError
        If the three channels differ or a pixel is transparent.
    """
    grey = pixels[..., 0]
    if not (np.array_equal(grey, pixels[..., 1]) and np.array_equal(grey, pixels[..., 2])):
        raise IntensityError(f"{name}: is a colour image; expected one grey channel; convert it to greyscale")
    if pixels.shape[-1] == 4 and np.any(pixels[..., 3] != _limits(pixels.dtype).max):
        raise IntensityError(
            f"{name}: has transparent pixels; expected one grey channel; remove the alpha channel"
        )
    return np.ascontiguousarray(grey)


def colour_of(grey: Array, channels: int) -> Array:
    """Return the opaque RGB (3) or RGBA (4) image with this grey in each channel."""
    opaque = np.full_like(grey, _limits(grey.dtype).max)
    return np.stack([grey, grey, grey, opaque][:channels], axis=-1)


def refuse_oversized(name: str, stated_bytes: int, file_bytes: int, *, compressed: bool) -> None:
    """Raise `FormatError` if a header states more voxels than the file can hold.

    Called before any memory is asked for, so that a damaged header can't exhaust it.
    """
    if stated_bytes > file_bytes * (DEFLATE_SHRINKS if compressed else 1):
        raise FormatError(
            f"{name}: is damaged: its header states {stated_bytes:,} bytes of voxels, more than the "
            f"file's {file_bytes:,} bytes can hold; get a complete copy"
        )
    if compressed:
        refuse_unpacked(name, stated_bytes, most_unpacked(file_bytes))

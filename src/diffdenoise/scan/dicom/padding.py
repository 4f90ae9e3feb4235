"""Pixels outside of the image proper: PixelPaddingValue (PS3.3, C.7.5.1.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.dicom.parse import value_of


def padding_of(dataset: Any, values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where `values`, the stored ones, are padding; None where no padding is stated or there is none.

    The elements' VR is US or SS by PixelRepresentation, which files get wrong: the bits count.
    """
    ends = _range(dataset, values.dtype)
    if ends is None:
        return None
    found = (values >= ends[0]) & (values <= ends[1])
    return found if found.any() else None


def beside_padding(dataset: Any, values: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """Move stored values that would read as padding to the nearest one that doesn't, of `low` to `high`."""
    ends = _range(dataset, values.dtype)
    wrong = padding_of(dataset, values)
    if ends is None or wrong is None:
        return values
    below, above = ends[0] - 1, ends[1] + 1
    if below < low or above > high:
        nearest = np.full_like(values, above if above <= high else max(below, low))
    else:
        nearest = np.where(values - below <= above - values, below, above).astype(values.dtype)
    return np.where(wrong, nearest, values)


def _range(dataset: Any, dtype: np.dtype[Any]) -> tuple[int, int] | None:
    """Least and largest stored value that stand for padding."""
    first = _as_stored(value_of(dataset, "PixelPaddingValue"), dtype)
    if first is None:
        return None
    last = _as_stored(value_of(dataset, "PixelPaddingRangeLimit"), dtype)
    last = first if last is None else last
    return min(first, last), max(first, last)


def _as_stored(value: Any, dtype: np.dtype[Any]) -> int | None:
    try:
        bits = int(value)
    except (TypeError, ValueError):
        return None
    span = 2 ** (8 * dtype.itemsize)
    bits %= span
    limits = np.iinfo(dtype)
    return int(bits - span if bits > limits.max else bits)

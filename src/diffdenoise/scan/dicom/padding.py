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
    low = _as_stored(value_of(dataset, "PixelPaddingValue"), values.dtype)
    if low is None:
        return None
    high = _as_stored(value_of(dataset, "PixelPaddingRangeLimit"), values.dtype)
    ends = sorted((low, low if high is None else high))
    found = (values >= ends[0]) & (values <= ends[1])
    return found if found.any() else None


def _as_stored(value: Any, dtype: np.dtype[Any]) -> int | None:
    try:
        bits = int(value)
    except (TypeError, ValueError):
        return None
    span = 2 ** (8 * dtype.itemsize)
    bits %= span
    limits = np.iinfo(dtype)
    return int(bits - span if bits > limits.max else bits)

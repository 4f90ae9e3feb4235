"""The map between a scan's own units and the units that networks see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import IntensityError
from diffdenoise.scan.counts import Counts, counts_of
from diffdenoise.types import Array

#: Percentiles that stand for the intensity range: a few hot or dead pixels don't move them.
LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5


@dataclass(frozen=True)
class IntensityMap:
    """A linear map that takes `low` to 0 and `high` to 1; values outside go outside.

    Attributes
    ----------
    low, high : float
        In the scan's units, low < high.
    """

    low: float
    high: float

    @classmethod
    def fit(cls, data: NDArray[Any]) -> IntensityMap:
        """Return the map from the 0.5th and 99.5th percentiles, or from the least and largest value.

        Parameters
        ----------
        data : array, any shape
            Finite real values in the scan's units. Where the two percentiles are equal (a small
            object on an empty background), the least and largest value take their place.

        Raises
        ------
        IntensityError
            If all values are equal, or there are none.
        """
        return cls.of_counts(counts_of(data))

    @classmethod
    def of_counts(cls, counts: Counts) -> IntensityMap:
        """Return the map of values that were counted; see `fit`."""
        if not len(counts.values):
            raise IntensityError("the image is empty; expected values with contrast")
        low, high = counts.percentiles([LOW_PERCENT, HIGH_PERCENT])
        if not low < high:
            low, high = float(counts.values[0]), float(counts.values[-1])
        if not low < high:
            raise IntensityError(f"all values are {low}; expected an image with contrast")
        return cls(low, high)

    @property
    def range(self) -> float:
        """Difference high - low, in the scan's units."""
        return self.high - self.low

    @property
    def zero(self) -> float:
        """Where the scan's own zero comes to lie."""
        return -self.low / self.range

    def scale(self, data: Array) -> NDArray[np.float32]:
        """Return `data`, in the scan's units, on the scale that networks see."""
        return ((np.asarray(data, dtype=np.float64) - self.low) / self.range).astype(np.float32)

    def unscale(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return `scaled` in the scan's units: the inverse of `scale`, up to float32 rounding."""
        return np.asarray(scaled, dtype=np.float64) * self.range + self.low

"""How often each value of a scan occurs: of integers exactly, of more numbers by an evenly spaced choice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Integers are counted one by one over up to this range.
_MOST_BINS = 2**21
#: Of other values, and of integers over a larger range, no more are kept: every second, third, ...
_MOST_KEPT = 2**23
#: Values that are counted at a time.
_PIECE = 2**20


@dataclass(frozen=True)
class Counts:
    """Values in order, and how often each occurs.

    Attributes
    ----------
    values : array
        Rising; where `numbers` is None, perhaps with repeats.
    numbers : float64 array, or None
        How often each occurs; None: once each.
    """

    values: NDArray[Any]
    numbers: NDArray[np.float64] | None = None

    @property
    def total(self) -> float:
        """How many values there are."""
        return float(len(self.values) if self.numbers is None else self.numbers.sum())

    @property
    def has_contrast(self) -> bool:
        """Whether there are two different values."""
        return len(self.values) > 0 and bool(self.values[0] < self.values[-1])

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Return percentiles, between values in proportion, as `numpy.percentile` does."""
        passed = None if self.numbers is None else np.cumsum(self.numbers)
        found = []
        for percent in percents:
            rank = percent / 100 * (self.total - 1)
            low, high = np.floor(rank), np.ceil(rank)
            if passed is None:
                below, above = (float(self.values[int(each)]) for each in (low, high))
            else:
                places = np.searchsorted(passed, [low, high], side="right")
                below, above = (float(self.values[min(each, len(passed) - 1)]) for each in places)
            share = rank - low
            step = above - below
            found.append(below + step * share if share < 0.5 else above - step * (1 - share))
        return found

    def number_of(self, value: Any) -> float:
        """Return how often a value occurs."""
        first, last = (int(np.searchsorted(self.values, value, side)) for side in ("left", "right"))
        return float(last - first if self.numbers is None else self.numbers[first:last].sum())

    def ends(self, count: int, *, largest: bool) -> tuple[list[Any], list[float]]:
        """Return the `count` least or largest different values, the outermost first, and their numbers."""
        values: list[Any] = []
        numbers: list[float] = []
        inside = slice(0, len(self.values))
        while len(values) < count and inside.start < inside.stop:
            value = self.values[inside.stop - 1 if largest else inside.start]
            values.append(value.item())
            numbers.append(self.number_of(value))
            if largest:
                inside = slice(inside.start, int(np.searchsorted(self.values, value, "left")))
            else:
                inside = slice(int(np.searchsorted(self.values, value, "right")), inside.stop)
        return values, numbers

    def keeping(self, shares: Iterable[tuple[Any, float]]) -> Counts:
        """Return the counts with only a share of the occurrences of some values, given as (value, share)."""
        values, numbers = self.values, self.numbers
        for value, share in shares:
            first, last = (int(np.searchsorted(values, value, side)) for side in ("left", "right"))
            if numbers is None:
                stop = first + round(share * (last - first))
                values = np.concatenate([values[:stop], values[last:]])
                continue
            left = numbers[first:last] * share
            kept = slice(first, last) if left.sum() > 0 else slice(first, first)
            values = np.concatenate([values[:first], values[kept], values[last:]])
            numbers = np.concatenate([numbers[:first], left[: kept.stop - kept.start], numbers[last:]])
        return Counts(values, numbers)

    def mapped(self, slope: float, inter: float) -> Counts:
        """Return the counts of the values times a slope plus an intercept."""
        values = self.values.astype(np.float64) * slope + inter
        if slope >= 0:
            return Counts(values, self.numbers)
        return Counts(values[::-1], None if self.numbers is None else self.numbers[::-1])


class Counting:
    """Counts values that come piece by piece.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the values.
    size : int
        How many there will be at the most.

    Attributes
    ----------
    seen : int
        How many were counted.
    """

    def __init__(self, dtype: np.dtype[Any], size: int) -> None:
        self._exact = dtype.kind in "iu" and dtype.itemsize < 8
        self._least = 0
        self._bins: NDArray[np.int64] = np.zeros(0, np.int64)
        self._step = max(1, -(-size // _MOST_KEPT))
        # Of 16 bits at the most, every value is counted: none need be kept.
        keeps = not self._exact or dtype.itemsize > 2
        self._kept = np.empty(-(-size // self._step) if keeps else 0, dtype)
        self._filled, self.seen = 0, 0
        self._ends: tuple[Any, ...] = ()

    def add(self, values: NDArray[Any]) -> None:
        """Count values; none of them is NaN."""
        for first in range(0, values.size, _PIECE):
            piece = values[first : first + _PIECE]
            if self._exact:
                self._count(piece)
            if self._step > 1 and len(self._kept):
                met = [*self._ends, piece.min(), piece.max()]
                self._ends = (min(met), max(met))
            if len(self._kept):
                chosen = piece[-self.seen % self._step :: self._step]
                self._kept[self._filled : self._filled + len(chosen)] = chosen
                self._filled += len(chosen)
            self.seen += len(piece)

    def _count(self, piece: NDArray[Any]) -> None:
        low, high = int(piece.min()), int(piece.max())
        first = min(low, self._least) if len(self._bins) else low
        last = max(high, self._least + len(self._bins) - 1) if len(self._bins) else high
        if last - first >= _MOST_BINS:
            self._exact, self._bins = False, np.zeros(0, np.int64)
            return
        if first < self._least or last - first >= len(self._bins):
            bins = np.zeros(last - first + 1, np.int64)
            start = self._least - first
            bins[start : start + len(self._bins)] = self._bins
            self._bins, self._least = bins, first
        found = np.bincount(piece.astype(np.int64) - low, minlength=high - low + 1)
        self._bins[low - self._least : low - self._least + len(found)] += found

    def _with_ends(self) -> NDArray[Any]:
        ends = np.array([self._ends[0], self._ends[1]] if self._ends else [], self._kept.dtype)
        return np.concatenate([self._kept[: self._filled], ends])

    def counts(self) -> Counts:
        """Return what was counted."""
        if not self._exact:
            # The ends are true ones, whatever was passed over.
            kept = self._kept[: self._filled] if self._step == 1 else self._with_ends()
            kept.sort()
            return Counts(kept)
        there = np.flatnonzero(self._bins)
        return Counts(there + self._least, self._bins[there].astype(np.float64))


def counts_of(values: NDArray[Any]) -> Counts:
    """Count the values of an array without NaN."""
    counting = Counting(values.dtype, values.size)
    counting.add(values.ravel())
    return counting.counts()

"""What one pass over a scan's voxels tells: how often each value occurs, and slices for statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.scan.counts import Counting, Counts
from diffdenoise.scan.sample import looked_at
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.scan.voxels import Held, Scaled, Voxels, stack_shapes

#: Slices by volume and number.
Kept = dict[tuple[int, int], NDArray[Any]]


@dataclass(frozen=True)
class Survey:
    """What one pass over all voxels tells.

    Attributes
    ----------
    axis : int or None
        Across the slices.
    counts : Counts
        Of the voxels that the scan doesn't say to leave out; without NaN and infinity.
    least, largest : float or int
        Of all voxels, NaN left out; 0 where there is nothing else.
    missing, infinite : int
        How many voxels are NaN, and how many infinite.
    values : int
        How many different values there are; 3 stands for all larger numbers.
    counted : int
        How many voxels `counts` stand for.
    all_hidden : bool
        Whether the scan says to leave out every voxel.
    """

    axis: int | None
    counts: Counts
    least: Any
    largest: Any
    missing: int
    infinite: int
    values: int
    counted: int
    all_hidden: bool
    _voxels: Voxels = field(repr=False)
    _slices: Kept = field(repr=False)

    @property
    def kept(self) -> Kept:
        """Stored values of the slices that statistics look at, by volume and number."""
        return self._slices

    def one(self, volume: int, number: int) -> NDArray[Any]:
        """Return the real values (height, width) of one slice, read already if it is of those looked at."""
        kept = self._slices.get((volume, number))
        if kept is None:
            return np.asarray(self._voxels.slab(self.axis, volume, number, number + 1)[0])
        return self._voxels.real(kept) if isinstance(self._voxels, Scaled) else kept


def survey_of(scan: Scan, axis: int | None) -> Survey:
    """Look at all voxels of a scan, once: what was found is remembered.

    Parameters
    ----------
    scan : Scan
        Of real numbers.
    axis : int or None
        Across the slices.
    """
    known: list[tuple[Voxels | None, Survey]] = scan.voxels.remembered.setdefault(survey_of, [])
    same = [each for each in known if each[1].axis == axis]
    for hidden, found in same:
        if hidden is scan.hidden:
            return found
    # Whatever is hidden, the slices are the same.
    found = _look(scan, axis, same[0][1].kept if same else None)
    scan.voxels.remembered[survey_of].append((scan.hidden, found))
    return found


def axis_of(scan: Scan) -> int | None:
    """Axis across the slices of any scan, of one that can't be denoised too."""
    try:
        return choose_axis(scan)
    except ShapeError:
        return None if scan.ndim == 2 else 2


def look_through(scan: Scan) -> None:
    """Read all voxels of a scan once, so that a damaged file is refused now; the survey is remembered."""
    survey_of(scan, axis_of(scan))


def _look(scan: Scan, axis: int | None, kept: Kept | None) -> Survey:
    voxels, hidden = scan.voxels, scan.hidden
    stored = voxels.stored if isinstance(voxels, Scaled) else voxels
    looking = Looking(stored, axis, kept)
    for volume, first, values in stored.slabs(axis):
        left = None if hidden is None else ~hidden.slab(axis, volume, first, first + len(values))
        looking.add(volume, first, values, left)
    return looking.survey(voxels)


def remember(voxels: Voxels, hidden: Voxels | None, found: Survey) -> None:
    """Keep what a pass told that was made while the voxels were opened: `survey_of` returns it.

    Parameters
    ----------
    voxels, hidden : Voxels
        Of the scan that is made of them.
    found : Survey
        Of all its voxels.
    """
    voxels.remembered.setdefault(survey_of, []).append((hidden, found))


class Looking:
    """One pass over all voxels, slab by slab, in any order.

    Parameters
    ----------
    stored : Voxels
        What the slabs are of.
    axis : int or None
        Across the slices.
    kept : dict of (int, int) to array, optional
        Slices that an earlier pass kept.

    Attributes
    ----------
    kept : dict of (int, int) to array
        Slices that statistics look at, by volume and number.
    """

    def __init__(self, stored: Voxels, axis: int | None, kept: Kept | None = None) -> None:
        self._axis = axis
        # What is in memory needs no copy.
        is_there = kept is not None or isinstance(stored, Held)
        self._wanted = set() if is_there else looked_at(stack_shapes(stored.shape, axis))
        self._counting, self._seen = Counting(stored.dtype, stored.size), _Seen()
        self.kept: Kept = {} if kept is None else kept
        self._all_hidden = True

    def add(self, volume: int, first: int, values: NDArray[Any], left: NDArray[np.bool_] | None) -> None:
        """Look at the slices (n, height, width) from `first` on; `left` are not hidden, None: all."""
        for number in range(first, first + len(values)):
            if (volume, number) in self._wanted:
                self.kept[volume, number] = values[number - first].copy()
        good = self._seen.add(values)
        if left is None:
            self._all_hidden = False
        else:
            self._all_hidden = self._all_hidden and not left.any()
            good = values[left] if self._seen.is_whole else values[left & np.isfinite(values)]
        self._counting.add(good.reshape(-1))

    def survey(self, voxels: Voxels) -> Survey:
        """Return what was told of `voxels`: the slabs' own, or what they are scaled to."""
        counts, seen = self._counting.counts(), self._seen
        ends = (seen.least, seen.largest)
        if isinstance(voxels, Scaled):
            counts = counts.mapped(voxels.slope, voxels.inter)
            ends = tuple(sorted(each * voxels.slope + voxels.inter for each in ends))
        return Survey(
            self._axis,
            counts,
            *ends,
            missing=seen.missing,
            infinite=seen.infinite,
            values=seen.values,
            counted=self._counting.seen,
            all_hidden=self._all_hidden,
            _voxels=voxels,
            _slices=self.kept,
        )


class _Seen:
    """What was met so far: least and largest value, NaN, infinity, and up to three different values."""

    def __init__(self) -> None:
        self.missing, self.infinite = 0, 0
        self.least: Any = 0
        self.largest: Any = 0
        self.is_whole = True
        self._different: NDArray[Any] = np.zeros(0)

    @property
    def values(self) -> int:
        return min(len(self._different), 3)

    def add(self, values: NDArray[Any]) -> NDArray[Any]:
        """Look at values; return those that are finite."""
        self.is_whole = True
        if values.dtype.kind == "f":
            finite = np.isfinite(values)
            self.is_whole = bool(finite.all())
            if not self.is_whole:
                nothing = int(np.count_nonzero(np.isnan(values)))
                self.missing += nothing
                self.infinite += int(finite.size - np.count_nonzero(finite)) - nothing
                values = values[finite]
        if not values.size:
            return values
        ends = [values.min(), values.max()]
        if len(self._different):
            ends += [self.least, self.largest]
        self.least, self.largest = min(ends), max(ends)
        if len(self._different) < 3:
            between = values[(values != self.least) & (values != self.largest)].reshape(-1)[:1]
            self._different = np.unique([*self._different.tolist(), self.least, self.largest, *between])
        return values

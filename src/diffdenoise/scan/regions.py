"""Which voxels of a scan hold no data: padding, masked surroundings, NaN, saturated areas.

A region in which every voxel has exactly one value was put there, by a reconstruction, a mask or a limit of
the stored type, and says nothing about noise. Such regions count nowhere and come back as they were. A value
at which noise is merely cut off (air at -1024 HU, a magnitude at 0) is met at single voxels too: those are
image, but statistics leave them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.counts import Counts
from diffdenoise.scan.cut import to_stacks
from diffdenoise.scan.sample import ALL_VOXELS, spread_slices
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.survey import Survey, survey_of
from diffdenoise.scan.voxels import Computed, Voxels, stack_shapes

#: Side in pixels of the square that must hold one value for that to be looked at as a region's.
_SEED = 5
#: Most values of a scan that are regions': padding inside of padding, and saturation, not the levels of a
#: drawn picture.
_MOST_VALUES = 4
#: Share of the slices looked at that a value's squares take at least.
_LEAST_SHARE = 1e-3
#: A value is one that noise is cut off at if voxels outside of its regions have it in at least this share
#: of the rest.
_SCATTERED = 2e-3
#: Sides in pixels of the square that tells a region from voxels that noise brought to one value by chance.
_LEAST_SIDE, _MOST_SIDE = 5, 31
#: ln of how many voxels may be taken for a region's by chance: one in 1e8.
_CHANCE = 18.4
#: Fewest voxels that are left of a scan.
_LEAST_LEFT = 64
#: A limit of the values counts as one that noise is cut off at, if it is met this many times as often as the
#: values next to it, and by this share of the voxels.
_PILED, _LEAST_PILED = 4.0, 5e-4
_NEXT_VALUES = 4


@dataclass(frozen=True)
class Filled:
    """A value that regions have.

    Attributes
    ----------
    value : number
        In the scan's units.
    side : int or None
        Side in pixels of the squares that tell its regions from voxels that noise brought to it by chance;
        None: there are no such voxels.
    left : float
        Share of the voxels of this value that aren't in its regions.
    """

    value: Any
    side: int | None
    left: float = 0.0

    def where(self, one: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which pixels of a slice are its regions'."""
        same = np.asarray(one == self.value)
        if self.side is None or not same.any():
            return same
        seeds = _opened(same, self.side) | _runs_along_border(same, 2 * self.side + 1)
        return _grown(seeds, same, self.side // 2 + 1)


@dataclass(frozen=True)
class Regions:
    """Voxels that are to be left alone, and others that only statistics leave out; told slice by slice.

    Attributes
    ----------
    seen : Survey
        What a pass over the scan told.
    voxels, hidden : Voxels
        The scan's values, and what it says itself is to be left out, or None.
    axis : int or None
        Across the slices.
    filled : tuple of Filled
        Values of padding, constant regions and saturated areas.
    cut_off : tuple of number
        Values at which noise was cut off: single voxels have them.
    share : float
        Of the voxels, how many are no data, 0 to 1; of large scans by the slices looked at.
    """

    seen: Survey
    voxels: Voxels
    hidden: Voxels | None
    axis: int | None
    filled: tuple[Filled, ...]
    cut_off: tuple[Any, ...]
    share: float
    _known: dict[tuple[int, int], NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> Counts:
        """How often each value occurs where there is data."""
        return self.seen.counts.keeping((one.value, one.left) for one in self.filled)

    @property
    def measurable_counts(self) -> Counts:
        """The same without values at limits; where that leaves no two, of all voxels that hold data."""
        left_out = {*self.cut_off, *(one.value for one in self.filled)}
        found = self.seen.counts.keeping((value, 0.0) for value in left_out)
        return found if found.has_contrast else self.counts

    @property
    def has_no_data(self) -> bool:
        """Whether there may be voxels without data."""
        return bool(self.filled) or self.seen.missing > 0 or self.hidden is not None

    def no_data_in(self, volume: int, first: int, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which voxels of a slab are no data; None where the scan has none at all.

        Parameters
        ----------
        volume, first : int
            Volume, and number of the slab's first slice.
        values : array (slices, height, width)
            The slab's real values.
        """
        if not self.has_no_data:
            return None
        found = np.isnan(values) if self.seen.missing else np.zeros(values.shape, bool)
        if self.hidden is not None:
            found |= self.hidden.slab(self.axis, volume, first, first + len(values))
        if self.filled:
            for number, one in enumerate(values, first):
                found[number - first] |= self._filled_in(volume, number, one)
        return found

    def _filled_in(self, volume: int, number: int, one: NDArray[Any]) -> NDArray[np.bool_]:
        """A slice's regions of one value; found once, and kept as bits."""
        bits = self._known.get((volume, number))
        if bits is None:
            found = np.zeros(one.shape, bool)
            for each in self.filled:
                found |= each.where(one)
            self._known[volume, number] = np.packbits(found)
            return found
        return np.unpackbits(bits, count=one.size).view(bool).reshape(one.shape)

    def unmeasurable_in(self, volume: int, first: int, values: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which voxels of a slab say nothing about intensities or noise; None: none."""
        found = self.no_data_in(volume, first, values)
        for value in self.cut_off:
            same = np.asarray(values == value)
            found = same if found is None else found | same
        return found

    @property
    def known(self) -> Voxels | None:
        """Where there is data, told slab by slab; None: everywhere."""
        if not self.has_no_data:
            return None

        def holds(volume: int, first: int, last: int) -> NDArray[np.bool_]:
            values = self.voxels.slab(self.axis, volume, first, last)
            nothing = self.no_data_in(volume, first, values)
            return np.ones(values.shape, bool) if nothing is None else ~nothing

        return Computed(self.voxels.shape, np.dtype(bool), self.axis, holds)

    @property
    def no_data(self) -> NDArray[np.bool_] | None:
        """Padding, constant regions, NaN, and what the scan says is outside; None: there is none."""
        found = self._whole(self.no_data_in) if self.has_no_data else None
        return found if found is not None and found.any() else None

    @property
    def clipped(self) -> NDArray[np.bool_] | None:
        """Single voxels at a limit that noise was cut off at; None where there is none."""
        hidden, nothing = self.unmeasurable, self.no_data
        found = hidden if hidden is None or nothing is None else hidden & ~nothing
        return found if self.cut_off and found is not None and found.any() else None

    @property
    def unmeasurable(self) -> NDArray[np.bool_] | None:
        """Voxels that say nothing about intensities or noise; None where there is none."""
        found = self._whole(self.unmeasurable_in) if self.cut_off or self.has_no_data else None
        return found if found is not None and found.any() else None

    def _whole(self, part: Callable[[int, int, NDArray[Any]], NDArray[np.bool_] | None]) -> NDArray[np.bool_]:
        found = np.zeros(self.voxels.shape, bool)
        stacks = to_stacks(found, self.axis)
        for volume, first, values in self.voxels.slabs(self.axis):
            stacks[volume][first : first + len(values)] = part(volume, first, values)
        return found


def find_regions(scan: Scan, axis: int | None) -> Regions:
    """Find a scan's regions without data.

    Parameters
    ----------
    scan : Scan
        Real values; NaN stands for nothing.
    axis : int or None
        Array axis across the slices.

    Notes
    -----
    Of scans over `sample.ALL_VOXELS` evenly spaced slices tell which values are regions', and whether noise
    brings voxels to them.
    """
    seen = survey_of(scan, axis)
    shapes = stack_shapes(scan.shape, axis)
    spread = spread_slices(shapes)
    whole = scan.voxels.size <= ALL_VOXELS
    places = spread_slices(shapes, sum(shape[0] for shape in shapes)) if whole else spread
    found = [
        _look_at(value, (seen.one(*place) for place in places))
        for value in _region_values([seen.one(*place) for place in spread])
    ]
    left_out = 1 - seen.counted / scan.voxels.size
    stated = Regions(seen, scan.voxels, scan.hidden, axis, (), (), left_out)
    filled = tuple(one for one, inside in found if inside)
    regions = replace(stated, filled=filled)
    if filled:
        regions = replace(regions, share=1 - _left(regions, seen, places))
    outside = seen.counts.keeping((one.value, 0.0) for one in filled).total
    if filled and outside < _LEAST_LEFT and (1 - regions.share) * scan.voxels.size < _LEAST_LEFT:
        # A drawn picture, all of which is constant.
        return stated
    cut_off = {one.value for one, _ in found if one.left > 0}
    cut_off |= set(_piled_limits(regions.counts))
    return replace(regions, cut_off=tuple(sorted(cut_off)))


def _left(regions: Regions, seen: Survey, places: Sequence[tuple[int, int]]) -> float:
    """Share of the voxels of some slices that hold data."""
    left, pixels = 0, 0
    for volume, number in places:
        one = seen.one(volume, number)[np.newaxis]
        nothing = regions.no_data_in(volume, number, one)
        left += 0 if nothing is None else int(np.count_nonzero(~nothing))
        pixels += one.size
    return left / pixels


def _region_values(slices: Sequence[NDArray[Any]]) -> list[Any]:
    """Values that fill whole squares of slices."""
    counts: dict[Any, int] = {}
    pixels = 0
    for one in slices:
        if min(one.shape) < _SEED:
            continue
        pixels += one.size
        # Most scans have no two equal neighbours by far: then there is nothing to look for.
        equal = (one[1:, 1:] == one[:-1, 1:]) & (one[1:, 1:] == one[1:, :-1])
        if equal.mean() < _LEAST_SHARE:
            continue
        values, numbers = np.unique(one[1:, 1:][_all_of(equal, _SEED - 1)], return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + number
    found = [value for value in counts if counts[value] >= max(_LEAST_SHARE * pixels, 1)]
    return sorted(found, key=lambda value: -counts[value])[:_MOST_VALUES]


def _all_of(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Where a whole square about a pixel is true; what lies beyond the border doesn't count."""
    from scipy.ndimage import minimum_filter

    return np.asarray(minimum_filter(mask, size=side, mode="nearest"))


def _any_of(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(mask, size=side, mode="constant", cval=False))


def _look_at(value: Any, slices: Iterable[NDArray[Any]]) -> tuple[Filled, int]:
    """Tell how regions of a value are told from voxels that noise brought to it by chance; and their size."""
    kept = []
    scatter, number, others = np.zeros(3, int), 0, 0
    for one in slices:
        same = np.asarray(one == value)
        here = int(np.count_nonzero(same))
        number += here
        others += same.size - here
        if here:
            kept.append(one)
            scatter += _scatter(same, _opened(same, _SEED))
    count, pairs, both = scatter.tolist()
    if count < _SCATTERED * others:
        # All but a few lie in regions or touch one: the value stands for nothing.
        return Filled(value, None), number
    side, chance = _LEAST_SIDE, both / pairs if pairs else 0.0
    if 0 < chance < 1:
        side = int(np.clip(np.ceil(np.sqrt(-2 * _CHANCE / np.log(chance))), _LEAST_SIDE, _MOST_SIDE)) | 1
    elif chance >= 1:
        side = _MOST_SIDE
    inside = sum(int(np.count_nonzero(Filled(value, side).where(one))) for one in kept)
    return Filled(value, side, (number - inside) / max(number, 1)), inside


def _opened(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Pixels that lie in a square of true ones, half of which may lie beyond the border."""
    side = min(side, min(mask.shape) | 1)
    return _any_of(_all_of(mask, side), side) & mask


def _runs_along_border(mask: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Pixels of the outermost lines that lie in a run of true ones: the rim of a round field of view."""
    found = np.zeros(mask.shape, bool)
    for line in ((0,), (-1,), (slice(None), 0), (slice(None), -1)):
        found[line] = _any_of(_all_of(mask[line], length), length) & mask[line]
    return found


def _grown(seeds: NDArray[np.bool_], mask: NDArray[np.bool_], steps: int = -1) -> NDArray[np.bool_]:
    """Pixels of a mask that some steps from neighbour to neighbour lead to from the seeds; -1: all steps."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(seeds, iterations=steps, mask=mask)) if seeds.any() else seeds


def _scatter(one: NDArray[np.bool_], body: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Pixels that no way leads to from regions, pairs of one with the next, pairs of two such."""
    away = one & ~_grown(body, one)
    pairs = np.count_nonzero(away[:, :-1]) + np.count_nonzero(away[:-1])
    both = np.count_nonzero(away[:, :-1] & away[:, 1:]) + np.count_nonzero(away[:-1] & away[1:])
    return np.array([np.count_nonzero(away), pairs, both])


def _piled_limits(counts: Counts) -> list[Any]:
    """The least and largest value, if far more voxels have it than the values next to it."""
    found = []
    for largest in (False, True):
        values, numbers = counts.ends(2 * _NEXT_VALUES, largest=largest)
        if len(values) < 2 * _NEXT_VALUES:
            return []
        next_ones = float(np.mean(numbers[1 : 1 + _NEXT_VALUES]))
        if numbers[0] >= max(_PILED * next_ones, _LEAST_PILED * counts.total):
            found.append(values[0])
    return found

"""Which voxels of a scan hold no data: padding, masked surroundings, NaN, saturated areas.

A region in which every voxel has exactly one value was put there, by a reconstruction, a mask or a limit of
the stored type, and says nothing about noise. Such regions count nowhere and come back as they were. A value
at which noise is merely cut off (air at -1024 HU, a magnitude at 0) is met at single voxels too: those are
image, but statistics leave them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import to_stacks
from diffdenoise.types import Array

#: Side in pixels of the square that must hold one value for that to be looked at as a region's.
_SEED = 5
#: Slices looked at for such values, and most values of a scan that are regions': padding inside of padding,
#: and saturation, not the levels of a drawn picture.
_MOST_SLICES, _MOST_VALUES = 24, 4
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
class Regions:
    """Voxels that are to be left alone, and others that only statistics leave out.

    Attributes
    ----------
    no_data : bool array, shape of the scan, or None
        Padding, constant regions, NaN, and what the scan itself says is outside; None where there is none.
    clipped : bool array, shape of the scan, or None
        Single voxels at a limit that noise was cut off at; None where there is none.
    """

    no_data: NDArray[np.bool_] | None
    clipped: NDArray[np.bool_] | None

    @property
    def unmeasurable(self) -> NDArray[np.bool_] | None:
        """Voxels that say nothing about intensities or noise."""
        if self.no_data is None or self.clipped is None:
            return self.clipped if self.no_data is None else self.no_data
        return self.no_data | self.clipped


def find_regions(scan: Scan, axis: int | None) -> Regions:
    """Find a scan's regions without data.

    Parameters
    ----------
    scan : Scan
        Real values; NaN stands for nothing.
    axis : int or None
        Array axis across the slices.
    """
    data = scan.data
    stated = np.isnan(data) if data.dtype.kind == "f" else np.zeros(data.shape, bool)
    if scan.outside is not None:
        stated = stated | scan.outside
    no_data = stated.copy()
    cut_off: list[Any] = []
    for value in _region_values(data, axis):
        same = data == value
        region = _region_of(same, axis)
        if region.any():
            no_data |= region
        if np.count_nonzero(same & ~region):
            cut_off.append(value)
    if np.count_nonzero(~no_data) < _LEAST_LEFT:
        # A drawn picture, all of which is constant.
        return Regions(stated if stated.any() else None, None)
    clipped = np.zeros(data.shape, bool)
    for value in {*cut_off, *_piled_limits(data, no_data)}:
        clipped |= (data == value) & ~no_data
    return Regions(no_data if no_data.any() else None, clipped if clipped.any() else None)


def _slices(array: NDArray[Any], axis: int | None) -> Iterator[NDArray[Any]]:
    """Every slice of an image, volume or series, as a view."""
    for stack in to_stacks(array, axis):
        yield from stack


def _region_values(data: Array, axis: int | None) -> list[Any]:
    """Values that fill whole squares of a slice."""
    slices = [one for one in _slices(data, axis) if min(one.shape) >= _SEED]
    places = np.linspace(0, len(slices) - 1, min(len(slices), _MOST_SLICES)).round().astype(int)
    counts: dict[Any, int] = {}
    pixels = 0
    for place in np.unique(places):
        one = slices[place]
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


def _region_of(same: NDArray[np.bool_], axis: int | None) -> NDArray[np.bool_]:
    """Voxels of one value that make up regions, without those that noise brought to it by chance."""
    bodies = np.zeros(same.shape, bool)
    for one, body in zip(_slices(same, axis), _slices(bodies, axis), strict=True):
        body[...] = _opened(one, _SEED)
    scattered, chance = _scatter(same, bodies, axis)
    if scattered < _SCATTERED * np.count_nonzero(~same):
        # All but a few lie in regions or touch one: the value stands for nothing.
        return same
    side = _LEAST_SIDE
    if 0 < chance < 1:
        side = int(np.clip(np.ceil(np.sqrt(-2 * _CHANCE / np.log(chance))), _LEAST_SIDE, _MOST_SIDE)) | 1
    elif chance >= 1:
        side = _MOST_SIDE
    for one, body in zip(_slices(same, axis), _slices(bodies, axis), strict=True):
        body[...] = _grown(_opened(one, side) | _runs_along_border(one, 2 * side + 1), one, side // 2 + 1)
    return bodies


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


def _scatter(same: NDArray[np.bool_], bodies: NDArray[np.bool_], axis: int | None) -> tuple[int, float]:
    """How many voxels of a value no way leads to from its regions, and how often the next one is such too."""
    count, pairs, both = 0, 0, 0
    for one, body in zip(_slices(same, axis), _slices(bodies, axis), strict=True):
        away = one & ~_grown(body, one)
        count += int(np.count_nonzero(away))
        pairs += int(np.count_nonzero(away[:, :-1])) + int(np.count_nonzero(away[:-1]))
        both += int(np.count_nonzero(away[:, :-1] & away[:, 1:]))
        both += int(np.count_nonzero(away[:-1] & away[1:]))
    return count, both / pairs if pairs else 0.0


def _piled_limits(data: Array, no_data: NDArray[np.bool_]) -> list[Any]:
    """The least and largest value, if far more voxels have it than the values next to it."""
    values, counts = np.unique(data[~no_data], return_counts=True)
    if len(values) < 2 * _NEXT_VALUES:
        return []
    total = counts.sum()
    found = []
    for end, following in ((0, slice(1, 1 + _NEXT_VALUES)), (-1, slice(-1 - _NEXT_VALUES, -1))):
        if counts[end] >= max(_PILED * counts[following].mean(), _LEAST_PILED * total):
            found.append(values[end].item())
    return found

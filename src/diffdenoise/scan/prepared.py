"""A scan as statistics and networks see it: scaled slices, without what is no data; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.regions import Regions, find_regions
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.scan.voxels import Computed, Voxels, stack_shapes
from diffdenoise.types import Slices, Stack

#: Scaled intensities beyond which a value is an outlier (a hot spot, a dead pixel): networks see this limit
#: in its place, and the rest is added to what they give, so that it stays and pulls nothing around it.
LOWEST, HIGHEST = -1.5, 2.5


class PreparedVolume:
    """The slices of one volume in scaled intensities, read when they are asked for.

    Outliers are at the limits; where there is no data stands the nearest intensity of the range.

    Attributes
    ----------
    shape : (int, int, int)
        Slices, height and width.
    """

    def __init__(self, ready: Prepared, volume: int, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._ready, self._volume = ready, volume

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        """One slice (height, width)."""
        return np.asarray(self.slab(number, number + 1)[0])

    def slab(self, first: int, last: int) -> Stack:
        """Return slices `first` to `last` (not included), float32 (slices, height, width)."""
        values = self._values(first, last)
        return self._ready.scaled(values, self._ready.regions.no_data_in(self._volume, first, values))

    def known(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Return where these slices hold data; None: everywhere in the scan."""
        if not self._ready.regions.has_no_data:
            return None
        nothing = self._ready.regions.no_data_in(self._volume, first, self._values(first, last))
        return None if nothing is None else ~nothing

    def _values(self, first: int, last: int) -> NDArray[np.generic]:
        return self._ready.voxels.slab(self._ready.axis, self._volume, first, last)


class MeasurableVolume:
    """The slices of one volume, NaN where nothing can be measured; statistics' own are in memory."""

    def __init__(self, ready: Prepared, volume: int, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._ready, self._volume = ready, volume

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        """One slice (height, width)."""
        ready = self._ready
        values = ready.regions.seen.one(self._volume, number)[np.newaxis]
        # What is no data can't be measured either: it needs no value in between.
        scaled = ready.scaled(values, None)
        hidden = ready.regions.unmeasurable_in(self._volume, number, values)
        if hidden is not None:
            scaled[hidden] = np.nan
        return np.asarray(scaled[0])


@dataclass(frozen=True)
class Prepared:
    """A scan's slices in scaled intensities.

    Attributes
    ----------
    axis : int or None
        Array axis across the slices.
    intensities : IntensityMap
        Of the voxels that hold data.
    voxels : Voxels
        Of the scan.
    regions : Regions
        What isn't data, and what is cut off.
    """

    axis: int | None
    intensities: IntensityMap
    voxels: Voxels
    regions: Regions

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """Slices, height and width of each volume."""
        return stack_shapes(self.voxels.shape, self.axis)

    @property
    def volumes(self) -> list[PreparedVolume]:
        """The scan's volumes, slices of which are read and scaled when they are asked for."""
        return [PreparedVolume(self, number, shape) for number, shape in enumerate(self.shapes)]

    @cached_property
    def stacks(self) -> list[Stack]:
        """All slices in memory, a float32 array (slices, height, width) a volume."""
        return [volume.slab(0, len(volume)) for volume in self.volumes]

    @cached_property
    def known(self) -> list[NDArray[np.bool_]] | None:
        """Where there is data, shapes of `stacks`; None: everywhere."""
        if self.regions.no_data is None:
            return None
        found = (volume.known(0, len(volume)) for volume in self.volumes)
        return [where for where in found if where is not None]

    def measurable(self) -> list[MeasurableVolume]:
        """The slices with NaN where nothing can be measured, for what looks at noise."""
        return [MeasurableVolume(self, number, shape) for number, shape in enumerate(self.shapes)]

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Percentiles of the scaled intensities that can be measured."""
        low, full = self.intensities.low, self.intensities.range
        found = self.regions.measurable_counts.percentiles(percents)
        return [min(max((value - low) / full, LOWEST), HIGHEST) for value in found]

    def scaled(self, values: NDArray[np.generic], nothing: NDArray[np.bool_] | None) -> Stack:
        """Scale real values; `nothing` says where they are no data, None: nowhere."""
        scaled = np.clip(self.intensities.scale(values), LOWEST, HIGHEST)
        if nothing is not None:
            # Constant as it was, but nowhere outside of what networks know.
            scaled[nothing] = np.clip(np.nan_to_num(scaled[nothing]), 0, 1)
        return scaled

    def restored(self, denoised: Sequence[Slices]) -> Voxels:
        """Return denoised slices in the scan's shape and units, slab by slab when they are asked for.

        Voxels without data are the scan's own; what was cut off of outliers is added again.

        Parameters
        ----------
        denoised : sequence of arrays or the like (slices, height, width)
            Scaled intensities, a volume each.
        """

        def compute(volume: int, first: int, last: int) -> NDArray[np.float64]:
            return self._restored(volume, first, np.asarray(denoised[volume][first:last], np.float32))

        return Computed(self.voxels.shape, np.dtype(np.float64), self.axis, compute)

    def _restored(self, volume: int, first: int, denoised: Stack) -> NDArray[np.float64]:
        given = self.voxels.slab(self.axis, volume, first, first + len(denoised))
        values = given.astype(np.float64)
        result = self.intensities.unscale(denoised)
        low, high = (self.intensities.low + limit * self.intensities.range for limit in (LOWEST, HIGHEST))
        beyond = (values < low) | (values > high)
        if beyond.any():
            result[beyond] += values[beyond] - np.clip(values[beyond], low, high)
        nothing = self.regions.no_data_in(volume, first, given)
        if nothing is not None:
            result[nothing] = values[nothing]
        return result


def prepare(scan: Scan, axis: int | None = None) -> Prepared:
    """Look at a scan, find its range and what of it is no data.

    Parameters
    ----------
    scan : Scan
        One that can be denoised: see `check_scan`.
    axis : int, optional
        Slice axis asked for; see `choose_axis`.

    Raises
    ------
    IntensityError
        If nothing, or but one value, is left of it without the regions that are no data.
    """
    axis = choose_axis(scan, axis)
    for known in scan.voxels.remembered.setdefault(prepare, []):
        if known[0] is scan.hidden and known[1].axis == axis:
            found: Prepared = known[1]
            return found
    regions = find_regions(scan, axis)
    found = Prepared(axis, IntensityMap.of_counts(regions.measurable_counts), scan.voxels, regions)
    scan.voxels.remembered[prepare].append((scan.hidden, found))
    return found

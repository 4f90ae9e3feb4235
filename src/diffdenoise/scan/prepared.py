"""A scan as statistics and networks see it: scaled slices, without what is no data; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.regions import Regions, find_regions
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis, from_stacks, to_stacks
from diffdenoise.types import Stack

#: Scaled intensities beyond which a value is an outlier (a hot spot, a dead pixel): networks see this limit
#: in its place, and the rest is added to what they give, so that it stays and pulls nothing around it.
LOWEST, HIGHEST = -1.5, 2.5


@dataclass(frozen=True)
class Prepared:
    """A scan's slices in scaled intensities.

    Attributes
    ----------
    axis : int or None
        Array axis across the slices.
    intensities : IntensityMap
        Of the voxels that hold data.
    stacks : list of float32 arrays (slices, height, width)
        One a volume; outliers at the limits, and where there is no data the nearest intensity of the range.
    known : list of bool arrays, same shapes, or None
        Where there is data; None: everywhere.
    regions : Regions
        What isn't data, and what is cut off.
    """

    axis: int | None
    intensities: IntensityMap
    stacks: list[Stack]
    known: list[NDArray[np.bool_]] | None
    regions: Regions

    def measurable(self) -> list[Stack]:
        """The slices with NaN where nothing can be measured, for what looks at noise."""
        hidden = self.regions.unmeasurable
        if hidden is None:
            return self.stacks
        return [
            np.where(where, np.float32(np.nan), stack)
            for stack, where in zip(self.stacks, to_stacks(hidden, self.axis), strict=True)
        ]

    def restore(self, scan: Scan, denoised: Sequence[Stack]) -> NDArray[np.float64]:
        """Return denoised slices in the scan's shape and units; voxels without data are the scan's own.

        Parameters
        ----------
        scan : Scan
            What was prepared.
        denoised : sequence of float32 arrays (slices, height, width)
            Scaled intensities.
        """
        values = np.asarray(scan.data, dtype=np.float64)
        result = self.intensities.unscale(from_stacks(denoised, values.shape, self.axis))
        low, high = (self.intensities.low + limit * self.intensities.range for limit in (LOWEST, HIGHEST))
        beyond = (values < low) | (values > high)
        if beyond.any():
            result[beyond] += values[beyond] - np.clip(values[beyond], low, high)
        if self.regions.no_data is not None:
            result[self.regions.no_data] = values[self.regions.no_data]
        return result


def prepare(scan: Scan, axis: int | None = None) -> Prepared:
    """Scale a scan and cut it into slices.

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
    regions = find_regions(scan, axis)
    hidden = regions.unmeasurable
    intensities = IntensityMap.fit(scan.data if hidden is None else _some(scan.data, hidden, regions))
    scaled = np.clip(intensities.scale(scan.data), LOWEST, HIGHEST)
    if regions.no_data is not None:
        # Constant as it was, but nowhere outside of what networks know.
        scaled[regions.no_data] = np.clip(np.nan_to_num(scaled[regions.no_data]), 0, 1)
    known = None if regions.no_data is None else to_stacks(~regions.no_data, axis)
    return Prepared(axis, intensities, to_stacks(scaled, axis), known, regions)


def _some(data: NDArray[Any], hidden: NDArray[np.bool_], regions: Regions) -> NDArray[Any]:
    """Values that can be measured; where that leaves no two, all that hold data."""
    values = data[~hidden]
    if values.size and values.min() < values.max():
        return values
    return data if regions.no_data is None else data[~regions.no_data]

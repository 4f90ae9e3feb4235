"""What was taken off of a scan, and the noise that it was said to have, voxel by voxel."""

from __future__ import annotations

import numpy as np

from diffdenoise.noise.statement import Noise
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Computed, Voxels, map_voxels
from diffdenoise.types import Array


def residual_of(noisy: Scan, denoised: Scan) -> Voxels:
    """Return noisy minus denoised values, float64, in the scan's units."""
    return map_voxels(_difference, np.float64, noisy.voxels, denoised.voxels)


def _difference(before: Array, after: Array) -> Array:
    return before.astype(np.float64) - after.astype(np.float64)


def noise_map_of(noisy: Scan, denoised: Scan, noise: Noise) -> Voxels:
    """Return the stated std of the noise at each voxel, in the scan's units; 0 where there is no data."""
    model, ready, factors = noise.model, noise.ready, noise.factors

    def levels_in(volume: int, first: int, last: int) -> Array:
        before, after = (each.voxels.slab(ready.axis, volume, first, last) for each in (noisy, denoised))
        clean = np.nan_to_num(ready.intensities.scale(after))
        numbers = range(first, first + len(clean))
        factor = 1.0 if factors is None else np.stack([factors[volume][number] for number in numbers])
        levels = model.levels(clean, factor) * noise.range
        nothing = ready.regions.no_data_in(volume, first, before)
        return levels if nothing is None else np.where(nothing, 0.0, levels)

    return Computed(noisy.shape, np.dtype(np.float64), ready.axis, levels_in)

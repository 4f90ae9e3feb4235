"""The expected error at each voxel of a whole scan, computed when its slices are asked for."""

from __future__ import annotations

import numpy as np

from diffdenoise.scan.voxels import Computed, Voxels
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.slab import Redenoise, draw_noise
from diffdenoise.trust.spread import PAIR_STRENGTH, Calibration, smoothed, uncertainty
from diffdenoise.types import Array, Stack


def uncertainty_map(paired: Paired, again: Redenoise, calibration: Calibration, *, seed: int = 0) -> Voxels:
    """Return the root mean squared error that is expected at each voxel, in the scan's units.

    One symmetric pair a voxel, averaged over its neighbourhood; where there is no data 0. Noise is drawn for
    the slices that are asked for together: those beside them keep theirs, which moves the result less.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    again : callable
        The denoiser; it has denoised a slab of the scan as it is.
    calibration : Calibration
        What of the spread is error.
    seed : int
        Of the draws.
    """
    ready, noise = paired.noise.ready, paired.noise

    def errors_in(volume: int, first: int, last: int) -> Array:
        pairs = [paired.slice(volume, number) for number in range(first, last)]
        noisy, std, known = (
            np.stack([getattr(pair, name) for pair in pairs]) for name in ("noisy", "std", "known")
        )
        drawn = PAIR_STRENGTH * draw_noise(
            std, noise.model.correlation, np.random.default_rng([seed, volume, first])
        )
        plus, minus = (again(volume, first, noisy + sign * drawn) for sign in (np.float32(1), np.float32(-1)))
        spread: Stack = smoothed(((plus - minus) / np.float32(2 * PAIR_STRENGTH)) ** 2)
        found = np.where(known, uncertainty(spread, calibration), 0) * noise.range
        return np.asarray(found, np.float64)

    return Computed(ready.voxels.shape, np.dtype(np.float64), ready.axis, errors_in)

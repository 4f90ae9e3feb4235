"""From a network's output to a result: how much of the residual is taken off, and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffdenoise._version import __version__
from diffdenoise.errors import SettingsError
from diffdenoise.noise.statement import Noise
from diffdenoise.noise.told import Contradiction
from diffdenoise.scan.regions import Regions
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Held, Voxels, map_voxels
from diffdenoise.trust.slab import Redenoise
from diffdenoise.types import Array
from diffdenoise.work.result import Result


def check_strength(strength: float) -> None:
    """Raise `SettingsError` if a strength isn't a share."""
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise SettingsError(
            f"strength {strength}: expected 0 (nothing is taken off) to 1 (the whole residual)"
        )


def kept_share(noisy: Scan, denoised: Scan, strength: float) -> Voxels:
    """Return values with a share of the residual taken off, and those outside as they were.

    Parameters
    ----------
    noisy, denoised : Scan
        Before and after; where `noisy.outside` is True, the values before count.
    strength : float
        Share of the residual that is taken off, 0 to 1; 0 gives the values before, bit for bit.

    Returns
    -------
    Voxels
        float64, or the scan's own type where it was left as it was; of a scan in memory, in memory: its owner
        may change it.
    """
    if denoised.voxels is noisy.voxels:
        # Left as it was: exactly, whatever its type holds.
        return map_voxels(np.copy, noisy.dtype, noisy.voxels)

    def keep(before: Array, after: Array, outside: Array | None) -> Array:
        values = before.astype(np.float64)
        data = np.asarray(after, dtype=np.float64)
        if strength < 1:
            data = values + strength * (data - values)
        return data if outside is None else np.where(outside, values, data)

    found = map_voxels(keep, np.float64, noisy.voxels, denoised.voxels, noisy.hidden)
    return Held(found.whole()) if isinstance(noisy.voxels, Held) else found


def residual_std(noisy: Scan, denoised: Scan, regions: Regions) -> float:
    """Return the std of what was taken off of a scan, where it holds data, in its units."""
    number, mean, squares = 0, 0.0, 0.0
    axis = regions.axis
    for volume, first, before in noisy.voxels.slabs(axis):
        after = denoised.voxels.slab(axis, volume, first, first + len(before))
        taken = before.astype(np.float64) - after.astype(np.float64)
        nothing = regions.no_data_in(volume, first, before)
        taken = taken if nothing is None else taken[~nothing]
        if not taken.size:
            continue
        # Chan et al. 1983: means and squares of parts, joined without loss of digits.
        off, number = float(taken.mean()) - mean, number + taken.size
        squares += float(((taken - taken.mean()) ** 2).sum())
        squares += off**2 * taken.size * (number - taken.size) / number
        mean += off * taken.size / number
    return math.sqrt(squares / number) if number else math.nan


def finish(
    noisy: Scan,
    denoised: Scan,
    *,
    noise: Noise,
    seconds: float,
    strength: float = 1.0,
    already_clean: bool = False,
    told_std: float | None = None,
    contradiction: Contradiction | None = None,
    training: dict[str, Any] | None = None,
    doubts: Sequence[str] = (),
    again: Redenoise | None = None,
) -> Result:
    """Return the result of a scan.

    Parameters
    ----------
    noisy, denoised : Scan
        Before and after; where `noisy.outside` is True, the values before count.
    noise : Noise
        What is known of the noisy scan's noise.
    seconds : float
        What it took.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    already_clean : bool
        Whether the scan was left as it was.
    told_std : float, optional
        Noise level that was worked with in place of the scan's own, in the scan's units.
    contradiction : Contradiction, optional
        What the scan has against the level that the user told.
    training : dict, optional
        Record of the model that was used.
    doubts : sequence of str
        What is wrong with the result, in words.
    again : callable, optional
        Denoises slices of it once more.
    """
    result = denoised.with_data(kept_share(noisy, denoised, strength))
    full = noise.range
    residual = residual_std(noisy, result, noise.ready.regions)
    level = noise.std if told_std is None else told_std
    record = {
        "name": noisy.name,
        "version": __version__,
        "noise_std": level,
        "noise_percent_of_range": None if level is None else 100 * level / full,
        "noise_std_by_brightness": None if told_std is not None else [std * full for std in noise.model.stds],
        "noise": noise.model.as_dict(),
        "residual_std": residual,
        "residual_percent_of_range": 100 * residual / full,
        "already_clean": already_clean,
        "cannot_tell": noise.diagnosis.is_upper_bound and told_std is None,
        "contradiction": None if contradiction is None else contradiction.as_dict(),
        "strength": strength,
        "notices": [] if contradiction is None else [contradiction.in_words()],
        "doubts": list(doubts),
        "slice_axis": noise.axis,
        "seconds": round(seconds, 3),
        "training": training,
    }
    return Result(result, noisy, noise, record, again)

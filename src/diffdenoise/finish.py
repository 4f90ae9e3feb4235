"""From a network's output to a result: how much of the residual is taken off, and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise._version import __version__
from diffdenoise.errors import SettingsError
from diffdenoise.noise.statement import Noise
from diffdenoise.result import Result
from diffdenoise.scan.scan import Scan


def check_strength(strength: float) -> None:
    """Raise `SettingsError` if a strength isn't a share."""
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise SettingsError(
            f"strength {strength}: expected 0 (nothing is taken off) to 1 (the whole residual)"
        )


def kept_share(noisy: Scan, denoised: Scan, strength: float) -> NDArray[np.float64]:
    """Return values with a share of the residual taken off, and those outside as they were.

    Parameters
    ----------
    noisy, denoised : Scan
        Before and after; where `noisy.outside` is True, the values before count.
    strength : float
        Share of the residual that is taken off, 0 to 1; 0 gives the values before, bit for bit.
    """
    values = noisy.data.astype(np.float64)
    data = np.asarray(denoised.data, dtype=np.float64)
    if strength < 1:
        data = values + strength * (data - values)
    return data if noisy.outside is None else np.where(noisy.outside, values, data)


def finish(
    noisy: Scan,
    denoised: Scan,
    *,
    noise: Noise,
    seconds: float,
    strength: float = 1.0,
    already_clean: bool = False,
    training: dict[str, Any] | None = None,
    doubts: Sequence[str] = (),
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
    training : dict, optional
        Record of the model that was used.
    doubts : sequence of str
        What is wrong with the result, in words.
    """
    data = kept_share(noisy, denoised, strength)
    full, nothing, model = noise.range, noise.ready.regions.no_data, noise.model
    taken = noisy.data.astype(np.float64) - data
    residual = float((taken if nothing is None else taken[~nothing]).std())
    record = {
        "name": noisy.name,
        "version": __version__,
        "noise_std": model.typical_std * full,
        "noise_percent_of_range": 100 * model.typical_std,
        "noise_std_by_brightness": [std * full for std in model.stds],
        "noise": model.as_dict(),
        "residual_std": residual,
        "residual_percent_of_range": 100 * residual / full,
        "already_clean": already_clean,
        "strength": strength,
        "doubts": list(doubts),
        "slice_axis": noise.axis,
        "seconds": round(seconds, 3),
        "training": training,
    }
    return Result(denoised.with_data(data), noisy, record)

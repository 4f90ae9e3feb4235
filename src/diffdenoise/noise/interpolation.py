"""Whether a scan was zero-filled: its noise then ends at a frequency, where smoothed noise fades out.

Scanners often reconstruct to a finer grid than was acquired, by zeros around k-space (zero-filling, ZIP)
or as good as that. Noise then has all its power below the old grid's Nyquist frequency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdenoise.noise.spectrum import spectrum_of

#: Noise ends where its power falls below this share of what it has at two thirds of that frequency.
_NOTHING, _INSIDE = 0.1, 2 / 3
#: An edge: half that power is reached within this part of the way to the end.
_STEEP = 0.8


def interpolation_factor(lags: Sequence[float]) -> float | None:
    """Return how many times finer than acquired a grid is, along one axis, by its noise.

    Parameters
    ----------
    lags : sequence of float
        Autocorrelation of the noise at the lags 1, 2, ...

    Returns
    -------
    float or None
        None where noise goes up to the Nyquist frequency, or fades out as if smoothed.
    """
    power = spectrum_of(lags)
    last = len(power) - 1
    for end in range(last // 4, last + 1):
        plateau = power[round(_INSIDE * end)]
        if plateau < 0.25 * power.max() or power[end:].max() > _NOTHING * plateau:
            continue
        half = int(np.flatnonzero(power[: end + 1] >= 0.5 * plateau)[-1])
        if half < _STEEP * end:
            return None
        above, below = power[half], power[half + 1]
        edge = half + (above - 0.5 * plateau) / max(above - below, 1e-9)
        return round(float(last / edge), 2)
    return None

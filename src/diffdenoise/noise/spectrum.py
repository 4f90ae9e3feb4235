"""The fine half of a noise spectrum, read from the scan itself.

An autocorrelation that is off by a hundredth, or cut after a few lags, says little of the high
frequencies, where wide noise has next to no power. But anatomy has little there too: so the shape of
the upper half is taken from the periodogram of calm patches, tapered by a Hann window, which keeps the
strong low frequencies out of it (Harris 1978).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Points of the discrete Fourier transform, lags kept, and number of the first frequency, along either axis,
#: taken from the scan: a quarter of a cycle a pixel.
_POINTS, _LAGS, _FIRST = 64, 10, 16
#: Patches that are transformed at once, for memory.
_AT_ONCE = 256


def with_fine_half(plane: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the scan's own power at the high frequencies in place of what an autocorrelation says there.

    Parameters
    ----------
    plane : array (lags down, 2 reach + 1)
        Autocorrelation; see `Correlation`.
    measured : array (64, 33)
        What `periodogram` found.

    Returns
    -------
    array (11, 21)
        Autocorrelation at lags up to 10.
    """
    reach = plane.shape[1] // 2
    whole = np.zeros((_POINTS, _POINTS))
    down, right = np.arange(len(plane))[:, None], np.arange(-reach, reach + 1)[None]
    whole[-down, -right] = plane
    whole[down, right] = plane
    power = np.fft.rfft2(whole).real
    rows, columns = np.abs(np.fft.fftfreq(_POINTS)), np.fft.rfftfreq(_POINTS)
    fine = np.maximum(rows[:, None], columns) >= _FIRST / _POINTS
    # All columns but the first and the last stand for two.
    weights = np.full(columns.shape, 2.0)
    weights[[0, -1]] = 1
    told, seen = (max(float((each * weights)[fine].sum()), 1e-9) for each in (power, measured))
    power[fine] = measured[fine] * told / seen
    covariance = np.fft.irfft2(power, (_POINTS, _POINTS))
    half = covariance[: _LAGS + 1, np.arange(-_LAGS, _LAGS + 1)] / covariance[0, 0]
    half[0, :_LAGS] = half[0, :_LAGS:-1]
    return np.asarray(half)


def spectrum_of(
    lags: Sequence[float] | NDArray[np.float64], least: float | None = None
) -> NDArray[np.float64]:
    """Power at the frequencies 0, 1/64, ... 1/2 cycles a pixel along an axis, summed over the other.

    Parameters
    ----------
    lags : sequence of float
        Autocorrelation along the axis at the lags 1, 2, ...
    least : float, optional
        Least power at any frequency, as a share of the mean.
    """
    frequencies = 2 * np.pi * np.arange(_POINTS // 2 + 1) / _POINTS
    power = np.ones_like(frequencies)
    for k, lag in enumerate(lags):
        power += 2 * lag * np.cos((k + 1) * frequencies)
    return np.asarray(power if least is None else np.maximum(power, least))


def periodogram(residual: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean power of patches (patches, side, side), over their variance: (64, 33), laid out as by `rfft2`."""
    side = residual.shape[1]
    window = np.hanning(side + 2)[1:-1]
    taper = np.outer(window, window)
    power = np.zeros((_POINTS, _POINTS // 2 + 1))
    for first in range(0, len(residual), _AT_ONCE):
        part = np.fft.rfft2(residual[first : first + _AT_ONCE] * taper, (_POINTS, _POINTS))
        power += (part.real**2 + part.imag**2).sum(axis=0)
    mean = power / max(len(residual), 1) / (taper**2).sum()
    return np.asarray(mean / max(float(residual.var()), 1e-30))

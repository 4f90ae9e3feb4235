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

#: Points of the discrete Fourier transform, lags kept, and number of the first frequency taken from the
#: scan: a quarter of a cycle a pixel.
_POINTS, _LAGS, _FIRST = 64, 10, 16


def with_fine_half(
    lags: NDArray[np.float64],
    residuals: Sequence[NDArray[np.float32]],
    weights: Sequence[float],
    axis: int,
) -> NDArray[np.float64]:
    """Put the scan's own power at the high frequencies in place of what an autocorrelation says there.

    Parameters
    ----------
    lags : array
        Autocorrelation at the lags 1, 2, ...
    residuals : sequence of arrays (patches, side, side)
        Calm patches less their surfaces, a brightness class each.
    weights : sequence of float
        Of each class.
    axis : int
        1: down, 2: right.

    Returns
    -------
    array (10,)
        Autocorrelation at the lags 1 to 10.
    """
    power = spectrum_of(lags)
    measured = np.average([_periodogram(each, axis) for each in residuals], axis=0, weights=weights)
    told, seen = (max(float(each[_FIRST:].mean()), 1e-9) for each in (power, measured))
    power[_FIRST:] = measured[_FIRST:] * told / seen
    covariance = np.fft.irfft(power, _POINTS)
    return np.asarray(covariance[1 : _LAGS + 1] / covariance[0])


def spectrum_of(
    lags: Sequence[float] | NDArray[np.float64], least: float | None = None
) -> NDArray[np.float64]:
    """Power at the frequencies 0, 1/64, ... 1/2 cycles a pixel of noise with this autocorrelation.

    Parameters
    ----------
    lags : sequence of float
        Autocorrelation at the lags 1, 2, ...
    least : float, optional
        Least power at any frequency, as a share of the mean.
    """
    frequencies = 2 * np.pi * np.arange(_POINTS // 2 + 1) / _POINTS
    power = np.ones_like(frequencies)
    for k, lag in enumerate(lags):
        power += 2 * lag * np.cos((k + 1) * frequencies)
    return np.asarray(power if least is None else np.maximum(power, least))


def _periodogram(residual: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Mean power along an axis of patches, for a variance of 1."""
    window = np.hanning(residual.shape[axis] + 2)[1:-1]
    tapered = residual * (window[:, None] if axis == 1 else window)
    power = np.abs(np.fft.rfft(tapered, _POINTS, axis=axis)) ** 2
    mean = power.mean(axis=(0, 3 - axis)) / (window**2).sum()
    return np.asarray(mean / residual.var())

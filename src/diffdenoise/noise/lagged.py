"""Products of pixels of patches that lie apart by each lag, and what noise makes of them on average.

A patch is looked at less its least-squares quadratic surface, which takes noise with it: the more, the wider
the noise. What is expected of the products after that is a linear function of the noise's autocorrelation,
and it is computed exactly here. With S the surfaces, P = 1 - S'S, C the noise's covariance and T the shift by
a lag, the products' sum is tr(P C P T') = tr(C P T' P): correlations of the surfaces with one another and
with parts of themselves, by FFT.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.patches import surfaces

#: Patches that are transformed at once, for memory.
_AT_ONCE = 1024


@cache
def lags_up_to(reach: int) -> NDArray[np.intp]:
    """Half of the plane of lags, each once: (lags, 2), down and right; first (0, 0), then along the rows."""
    first = [(0, right) for right in range(reach + 1)]
    rest = [(down, right) for down in range(1, reach + 1) for right in range(-reach, reach + 1)]
    return np.array(first + rest)


def pairs_of(side: int, reach: int) -> NDArray[np.float64]:
    """Number of pairs of pixels in a patch for each of `lags_up_to(reach)`."""
    down, right = lags_up_to(reach).T
    return np.asarray((side - down) * (side - np.abs(right)), dtype=np.float64)


def lagged_products(residual: NDArray[np.float32], reach: int) -> NDArray[np.float64]:
    """Mean product of pixels of patches (patches, side, side) for each of `lags_up_to(reach)`."""
    count, side, _ = residual.shape
    power = np.zeros((2 * side, side + 1))
    for first in range(0, count, _AT_ONCE):
        part = np.fft.rfft2(residual[first : first + _AT_ONCE].astype(np.float64), (2 * side, 2 * side))
        power += (part.real**2 + part.imag**2).sum(axis=0)
    sums = np.fft.irfft2(power / max(count, 1), (2 * side, 2 * side))
    down, right = lags_up_to(reach).T
    return np.asarray(sums[down, right] / pairs_of(side, reach))


@cache
def response(side: int, measured: int, reach: int) -> NDArray[np.float64]:
    """What a unit of autocovariance at each lag adds to each mean product.

    Parameters
    ----------
    side : int
        Of the patches, less their surfaces.
    measured, reach : int
        Lags up to which products are measured, and up to which there is covariance; `reach` below `side`.

    Returns
    -------
    array (lags measured, lags of the noise)
        In the order of `lags_up_to`.
    """
    torus = (2 * side, 2 * side)
    shapes = surfaces(side).reshape(-1, side, side)
    spectra = np.fft.rfft2(shapes, torus)
    # [k, m, lag]: sum over x of shape k at x times shape m at x + lag.
    crossed = np.fft.irfft2(spectra.conj()[:, None] * spectra[None], torus)
    to = lags_up_to(reach)
    rows = []
    for (down, right), pairs in zip(lags_up_to(measured), pairs_of(side, measured), strict=True):
        first = np.s_[:, : side - down, max(-right, 0) : side - max(right, 0)]
        second = np.s_[:, down:, max(right, 0) : side + min(right, 0)]
        ahead, behind = np.zeros_like(shapes), np.zeros_like(shapes)
        ahead[second], behind[first] = shapes[first], shapes[second]
        taken = (spectra.conj() * np.fft.rfft2(ahead, torus)).sum(axis=0)
        taken += (np.fft.rfft2(behind, torus).conj() * spectra).sum(axis=0)
        plane = np.einsum("km,kmij->ij", crossed[:, :, down, right], crossed) - np.fft.irfft2(taken, torus)
        plane[down, right] += pairs
        row = plane[to[:, 0], to[:, 1]] + plane[-to[:, 0], -to[:, 1]]
        row[0] /= 2
        rows.append(row / pairs)
    return np.array(rows)


def expected_of(correlation: Correlation, side: int, measured: int) -> NDArray[np.float64]:
    """Products that `lagged_products` finds on average in patches of noise of std 1, less their surfaces."""
    lags = [correlation.at(int(down), int(right)) for down, right in lags_up_to(side - 1)]
    return np.asarray(response(side, measured, side - 1) @ np.array(lags))


def covariance_of(correlation: Correlation, side: int) -> NDArray[np.float64]:
    """Covariance (side^2, side^2) of patches of noise of std 1, less their surfaces."""
    rows, columns = (axis.ravel() for axis in np.indices((side, side)))
    reach = range(1 - side, side)
    lags = np.array([[correlation.at(down, right) for right in reach] for down in reach])
    full = lags[side - 1 + np.subtract.outer(rows, rows), side - 1 + np.subtract.outer(columns, columns)]
    shapes = surfaces(side)
    taken = shapes.T @ (shapes @ full)
    return np.asarray(full - taken - taken.T + shapes.T @ (shapes @ full @ shapes.T) @ shapes)


@cache
def anatomy_of(side: int, measured: int, *, rough: bool) -> NDArray[np.float64]:
    """Products that anatomy leaves in calm patches, less their surfaces; the first is 1.

    Parameters
    ----------
    side, measured : int
        As in `response`.
    rough : bool
        Whether it is self-similar, of a power that falls with the frequency to the power of 3.5, as between
        the edges of scans (measured on clean MR, CT and X-rays): its generalised covariance is -d^1.5, as
        surfaces take off what is not finite of it (Matheron 1973). Else a Gaussian a third of the side wide,
        which says the same of small patches and is less like noise there.
    """
    apart = np.hypot(*lags_up_to(side - 1).T.astype(np.float64))
    shape = -(apart**1.5) if rough else np.exp(-(apart**2) / (4 * (side / 3) ** 2))
    products = response(side, measured, side - 1) @ shape
    return np.asarray(products / products[0])

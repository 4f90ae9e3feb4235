"""Estimate a scan's noise from the scan alone: level and in-plane correlation.

The correlation is read off the flattest small patches, less their tilt: what is left there is
mostly noise. The level comes from the median of the finest diagonal wavelet coefficients (Donoho and
Johnstone 1994), corrected for the correlation; where that is so wide that noise hardly reaches the
finest scale, from the flat patches themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.types import Stack

#: Side of a patch in pixels: large against usual correlations, small against anatomy.
_SIDE = 8
#: Pixels from one patch to the next.
_STRIDE = 4
#: Slices looked at, evenly spaced: enough for a figure, in well under a second.
_MAX_SLICES = 16
#: Share of patches of like brightness that are taken for flat.
_FLATTEST = 0.1
#: Patches of like brightness without which a figure means nothing.
_MIN_PATCHES = 100
#: Brightness classes over the intensity range.
_CLASSES = 8
#: Widths in pixels of the Gaussian kernels that the correlation is matched against.
_WIDTHS = np.concatenate([[0.0], np.arange(0.3, 2.45, 0.1)])
#: Widths up to this are below what the estimate can tell from independent noise.
_INDEPENDENT = 0.42
#: Noise smoothed more than this has too little left at the finest scale to be measured there.
_WIDEST_FOR_WAVELETS = 0.62
#: Median of the absolute value of a standard normal variable.
MEDIAN_OF_NORMAL = 0.6745
#: Below this, a patch is flat by construction (masked or rounded), not by chance.
_FLAT_BY_CONSTRUCTION = 1e-7


@dataclass(frozen=True)
class NoiseEstimate:
    """Level and in-plane correlation of a scan's noise.

    Attributes
    ----------
    std : float
        Standard deviation in flat regions, in the units of the data given. 0 if none was found.
    correlation_px : (float, float)
        Std in pixels of the Gaussian kernel that makes noise as correlated as this one, along rows'
        direction (down the columns) and along columns' direction. 0 is independent noise.
    """

    std: float
    correlation_px: tuple[float, float]


def estimate_noise(stacks: Sequence[Stack]) -> NoiseEstimate:
    """Estimate noise from the flattest patches of a scan.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities (about 0 to 1).

    Returns
    -------
    NoiseEstimate
        In the same scaled units.
    """
    patches = _patches(stacks)
    mean, residual = _detrend(patches)
    variance = np.einsum("kij,kij->k", residual, residual) / (_SIDE**2 - 3)
    natural = variance > _FLAT_BY_CONSTRUCTION
    mean, residual, variance = mean[natural], residual[natural], variance[natural]
    classes = np.clip((mean * _CLASSES).astype(int), 0, _CLASSES)
    levels: list[tuple[float, int]] = []
    covariance = np.zeros((2, 2))
    for number in range(_CLASSES + 1):
        inside = classes == number
        count = int(inside.sum())
        if count < _MIN_PATCHES:
            continue
        threshold = np.quantile(variance[inside], _FLATTEST)
        levels.append((float(threshold), count))
        flat = residual[inside & (variance <= threshold)] / np.sqrt(max(threshold, _FLAT_BY_CONSTRUCTION))
        covariance += np.array([[_lagged(flat, down, right) for right in (0, 1)] for down in (0, 1)])
    if not levels:
        return NoiseEstimate(0.0, (0.0, 0.0))
    width = _match(covariance[1, 0] / covariance[0, 0], covariance[0, 1] / covariance[0, 0])
    if max(width) <= _WIDEST_FOR_WAVELETS:
        return NoiseEstimate(_wavelet_level(stacks, width), width)
    variance_kept, spread = _patch_statistics(*width)
    # A flattest tenth lies below the mean by 1.28 standard deviations of a patch's variance.
    below = max(1 - 1.28 * spread, 0.3)
    return NoiseEstimate(float(np.sqrt(_weighted_median(levels) / below / variance_kept)), width)


def _wavelet_level(stacks: Sequence[Stack], width: tuple[float, float]) -> float:
    """Median absolute diagonal Haar coefficient, as the std of noise of that correlation."""
    sizes = []
    for stack, k in _chosen_slices(stacks):
        coefficients, constant = diagonal_haar(stack[k])
        sizes.append(coefficients[~constant])
    everything = np.concatenate(sizes)
    return std_from_haar(everything, width) if everything.size else 0.0


def diagonal_haar(image: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Diagonal detail of each 2x2 block of an image (height, width).

    Returns
    -------
    coefficients : float64 array (height - 1, width - 1)
        (a - b - c + d) / 2, the std of which is the noise's if pixels are independent.
    constant : bool array, same shape
        Where the four pixels are equal: masked or saturated places that say nothing about noise.
    """
    image = image.astype(np.float64)
    a, b, c, d = image[:-1, :-1], image[:-1, 1:], image[1:, :-1], image[1:, 1:]
    return (a - b - c + d) / 2, (a == b) & (a == c) & (a == d)


def std_from_haar(coefficients: NDArray[np.float64], width: tuple[float, float]) -> float:
    """Noise std from diagonal Haar coefficients of noise correlated by Gaussians of that width."""
    gain = float(np.sqrt(np.prod([1 - _gaussian_covariance(one)[0, 1] for one in width])))
    return float(np.median(np.abs(coefficients))) / MEDIAN_OF_NORMAL / gain


def slice_correlation(stacks: Sequence[Stack]) -> float:
    """Correlation between adjacent slices of what is finest in them, which is mostly noise.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Any intensities.

    Returns
    -------
    float
        Near 0 where slices were acquired apart; high where a volume was interpolated across them (or
        is so clean that the finest detail is anatomy). 0 without adjacent slices.
    """
    places = [(stack, k) for stack in stacks for k in range(len(stack) - 1)]
    chosen = np.unique(
        np.linspace(0, max(len(places) - 1, 0), min(len(places), _MAX_SLICES)).round().astype(int)
    )
    products, squares = 0.0, 0.0
    for stack, k in (places[index] for index in chosen if places):
        one, other = diagonal_haar(stack[k])[0], diagonal_haar(stack[k + 1])[0]
        # Edges are rare and large; they would tell of the anatomy.
        limit = 3 * float(np.median(np.abs(one))) / MEDIAN_OF_NORMAL
        inside = (np.abs(one) <= limit) & (np.abs(other) <= limit)
        products += float((one[inside] * other[inside]).sum())
        squares += float((one[inside] ** 2 + other[inside] ** 2).sum()) / 2
    return products / squares if squares else 0.0


def estimate_noise_std(stacks: Sequence[Stack]) -> float:
    """Return only the level of `estimate_noise`, in the units of the data given."""
    return estimate_noise(stacks).std


def _chosen_slices(stacks: Sequence[Stack]) -> list[tuple[Stack, int]]:
    """Evenly spaced slices of a scan, as (stack, number)."""
    places = [(stack, k) for stack in stacks for k in range(len(stack))]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), _MAX_SLICES)).round().astype(int))
    return [places[index] for index in chosen]


def _patches(stacks: Sequence[Stack]) -> NDArray[np.float64]:
    """Patches of evenly spaced slices, (patches, side, side)."""
    found = []
    for stack, k in _chosen_slices(stacks):
        if min(stack.shape[1:]) < _SIDE:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(stack[k], (_SIDE, _SIDE))
        # Large images are looked at more sparsely, so that the time is bounded.
        step = max(_STRIDE, int(np.sqrt(windows.shape[0] * windows.shape[1] / 10_000)))
        found.append(windows[::step, ::step].reshape(-1, _SIDE, _SIDE).astype(np.float64))
    return np.concatenate(found) if found else np.empty((0, _SIDE, _SIDE))


def _ramp() -> NDArray[np.float64]:
    ramp = np.arange(_SIDE) - (_SIDE - 1) / 2
    return np.asarray(ramp / np.sqrt((ramp**2).sum() * _SIDE))


def _detrend(patches: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each patch, and the patch less its least-squares plane."""
    ramp = _ramp()
    mean = patches.mean((1, 2))
    down = np.einsum("kij,i->k", patches, ramp)[:, None, None] * ramp[:, None]
    right = np.einsum("kij,j->k", patches, ramp)[:, None, None] * ramp[None, :]
    return mean, patches - mean[:, None, None] - down - right


def _lagged(patches: NDArray[np.float64], down: int, right: int) -> float:
    """Mean product of pixels that lie (down, right) apart, summed over patches."""
    head = patches[:, : _SIDE - down, : _SIDE - right]
    return float(np.einsum("kij,kij->", head, patches[:, down:, right:])) / (_SIDE - down) / (_SIDE - right)


@cache
def _detrended_covariance(width_down: float, width_right: float) -> NDArray[np.float64]:
    """Covariance of a detrended patch of unit noise smoothed by a Gaussian, (side^2, side^2)."""
    full = np.kron(_gaussian_covariance(width_down), _gaussian_covariance(width_right))
    ramp, ones = _ramp(), np.ones(_SIDE)
    basis = np.stack([np.kron(ones, ones) / _SIDE, np.kron(ramp, ones), np.kron(ones, ramp)])
    project = np.eye(_SIDE**2) - basis.T @ basis
    return np.asarray(project @ full @ project)


def _gaussian_covariance(width: float) -> NDArray[np.float64]:
    """Correlation between positions of unit noise smoothed by a sampled Gaussian, (side, side)."""
    offsets = np.arange(-12, 13)
    kernel = np.exp(-0.5 * (offsets / width) ** 2) if width else (offsets == 0).astype(float)
    correlation = np.correlate(kernel, kernel, "full")[len(offsets) - 1 :]
    lags = np.abs(np.subtract.outer(np.arange(_SIDE), np.arange(_SIDE)))
    return np.asarray((correlation / correlation[0])[lags])


def _patch_statistics(width_down: float, width_right: float) -> tuple[float, float]:
    """Mean of a detrended patch's variance for unit noise, and its relative standard deviation."""
    covariance = _detrended_covariance(width_down, width_right)
    trace = float(np.trace(covariance))
    spread = float(np.sqrt(2 * (covariance**2).sum())) / trace
    return trace / (_SIDE**2 - 3), spread


@cache
def _lag_one_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lag-one correlation of detrended patches for each width (rows: down, columns: right)."""
    down = np.empty((len(_WIDTHS), len(_WIDTHS)))
    for i, one in enumerate(_WIDTHS):
        for j, other in enumerate(_WIDTHS):
            covariance = _separable_lags(float(one), float(other))
            down[i, j] = covariance
    return down, down.T


@cache
def _separable_lags(width_along: float, width_across: float) -> float:
    """Lag-one correlation along the first direction of a detrended patch."""
    cube = _detrended_covariance(width_along, width_across).reshape((_SIDE,) * 4)
    variance = np.einsum("ijij->", cube) / _SIDE**2
    step = np.arange(_SIDE - 1)
    lagged = cube[step[:, None], np.arange(_SIDE), step[:, None] + 1, np.arange(_SIDE)].sum()
    return float(lagged / (_SIDE * (_SIDE - 1)) / variance)


def _match(lag_down: float, lag_right: float) -> tuple[float, float]:
    """Kernel widths whose detrended lag-one correlations are the measured ones.

    The nearest pair of the table, then each width between its neighbours in the table.
    """
    down, right = _lag_one_table()
    i, j = np.unravel_index(np.argmin((down - lag_down) ** 2 + (right - lag_right) ** 2), down.shape)
    found = np.interp(lag_down, down[:, j], _WIDTHS), np.interp(lag_right, right[i], _WIDTHS)
    down_px, right_px = (0.0 if width <= _INDEPENDENT else round(float(width), 2) for width in found)
    return down_px, right_px


def _weighted_median(levels: list[tuple[float, int]]) -> float:
    """Median of the classes' levels, each counting as often as it has patches."""
    ordered = sorted(levels)
    half = sum(count for _, count in ordered) / 2
    passed = 0
    for level, count in ordered:
        passed += count
        if passed >= half:
            return level
    return ordered[-1][0]

"""Estimate a scan's noise from the scan alone: level and in-plane correlation.

The level is the median of the finest diagonal differences (the diagonal wavelet coefficients of Donoho
and Johnstone 1994), taken over as many pixels as the noise is correlated, and corrected for what is
left of the correlation there (`diffdenoise.noise.autocorrelation` measures that).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.autocorrelation import estimate_correlation
from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.patches import cut_part, shapes_of
from diffdenoise.scan.sample import adjacent_pairs, parts_of
from diffdenoise.types import Slices

#: Correlation between adjacent slices' finest detail from which on their noise is not independent.
SLICES_DEPEND = 0.15
#: Median of the absolute value of a standard normal variable.
MEDIAN_OF_NORMAL = 0.6745


@dataclass(frozen=True)
class NoiseEstimate:
    """Level and in-plane correlation of a scan's noise.

    Attributes
    ----------
    std : float
        Standard deviation, in the units of the data given. 0 if none was found.
    correlation : Correlation
        Of the noise inside slices.
    """

    std: float
    correlation: Correlation = WHITE


def estimate_noise(stacks: Sequence[Slices]) -> NoiseEstimate:
    """Estimate the noise of a scan.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities (about 0 to 1); NaN where there is nothing to measure.

    Returns
    -------
    NoiseEstimate
        In the same scaled units.
    """
    adjacent = min(len(stack) for stack in stacks) >= 3 and slice_correlation(stacks) < SLICES_DEPEND
    correlation = estimate_correlation(stacks, adjacent=adjacent)
    sizes = []
    for part in parts_of(shapes_of(stacks)):
        image = cut_part(stacks[part.volume], part)
        coefficients, silent = diagonal_differences(image, correlation.steps)
        sizes.append(coefficients[~silent])
    everything = np.concatenate(sizes)
    std = std_from_differences(everything, correlation) if everything.size else 0.0
    return NoiseEstimate(std, correlation)


def diagonal_differences(
    image: NDArray[np.floating[Any]], steps: tuple[int, int] = (1, 1)
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Diagonal detail of an image (height, width).

    Parameters
    ----------
    steps : (int, int)
        Pixels down and right between the four corners; (1, 1): the finest diagonal Haar wavelet.

    Returns
    -------
    coefficients : float64 array (height - steps[0], width - steps[1])
        (a - b - c + d) / 2, the std of which is the noise's if the four pixels are independent.
    silent : bool array, same shape
        Where the four pixels are equal, or one is NaN: places that say nothing about noise.
    """
    down, right = steps
    image = image.astype(np.float64)
    a, b, c, d = image[:-down, :-right], image[:-down, right:], image[down:, :-right], image[down:, right:]
    coefficients = (a - b - c + d) / 2
    return coefficients, np.isnan(coefficients) | ((a == b) & (a == c) & (a == d))


def std_from_differences(coefficients: NDArray[np.float64], correlation: Correlation) -> float:
    """Noise std from diagonal differences over the correlation's steps."""
    return float(np.median(np.abs(coefficients))) / MEDIAN_OF_NORMAL / correlation.difference_gain


def slice_correlation(stacks: Sequence[Slices], steps: tuple[int, int] = (1, 1)) -> float:
    """Correlation between adjacent slices of what is finest in them, which is mostly noise.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Any intensities.
    steps : (int, int)
        Pixels that differences are taken over; the noise's own where that is correlated.

    Returns
    -------
    float
        Near 0 where slices were acquired apart; high where a volume was interpolated across them (or
        is so clean that the finest detail is anatomy). 0 without adjacent slices.
    """
    products, squares = 0.0, 0.0
    for volume, k in adjacent_pairs(shapes_of(stacks)):
        (one, silent), (other, also_silent) = (
            diagonal_differences(stacks[volume][each], steps) for each in (k, k + 1)
        )
        seen = ~(silent | also_silent)
        if not seen.any():
            continue
        one, other = one[seen], other[seen]
        # Edges are rare and large; they would tell of the anatomy.
        limit = 3 * float(np.median(np.abs(one))) / MEDIAN_OF_NORMAL
        inside = (np.abs(one) <= limit) & (np.abs(other) <= limit)
        products += float((one[inside] * other[inside]).sum())
        squares += float((one[inside] ** 2 + other[inside] ** 2).sum()) / 2
    return products / squares if squares else 0.0

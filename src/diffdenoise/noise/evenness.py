"""Whether what calm patches hold is noise at all.

Noise of one kind scatters in a known way: the variances of patches of it differ by what chance allows.
Those of anatomy differ far more, so that where anatomy is too fine or too coarsely sampled to leave calm
places, the patches' variances tell so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdenoise.noise.autocorrelation import NARROW, WIDE, covariance_of
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.level import MEDIAN_OF_NORMAL
from diffdenoise.noise.patches import Patches, calm_levels, find_patches, tissue_levels
from diffdenoise.types import Slices

#: Times the scatter of pure noise from which on patches are taken for anatomy: more than noise that varies
#: from place to place has.
_UNEVEN = 2.0
#: Side of the patches that the least level is read from, and share of the calm ones that it is told by.
_SMALL, _LOWEST = 4, 0.1


def is_noise(stacks: Sequence[Slices], correlation: Correlation, *, adjacent: bool) -> bool:
    """Whether calm patches scatter as noise of this correlation does.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities.
    correlation : Correlation
        Of what they hold.
    adjacent : bool
        As in `find_patches`.
    """
    for side in (WIDE[0], NARROW[0]) if correlation.is_wide else (NARROW[0],):
        patches = find_patches(stacks, side, adjacent=adjacent)
        if len(patches.mean):
            return _unevenness(patches, side, correlation) < _UNEVEN
    return True


def _unevenness(patches: Patches, side: int, correlation: Correlation) -> float:
    """Scatter of the calm patches' variances about each class's median, as a multiple of pure noise's."""
    levels = tissue_levels(calm_levels(patches, trim=False))
    if not levels:
        return 1.0
    scatter = []
    for level in levels:
        low, middle, high = np.quantile(patches.variance[level.chosen], [0.25, 0.5, 0.75])
        scatter.append((high - low) / (2 * MEDIAN_OF_NORMAL * middle))
    covariance = covariance_of(correlation, side)
    # Of a quadratic form of Gaussian variables: mean tr(C), variance 2 tr(C C).
    expected = np.sqrt(2 * np.square(covariance).sum()) / np.trace(covariance)
    return float(np.average(scatter, weights=[len(level.chosen) for level in levels]) / expected)


def least_level(stacks: Sequence[Slices], *, adjacent: bool) -> LevelPoint | None:
    """Level that white noise can have at most where anatomy is everywhere.

    Of small patches in each brightness class, the tenth that vary least, as if they held noise alone; and
    of the classes, the one with the least.

    Parameters
    ----------
    stacks, adjacent
        As in `is_noise`.

    Returns
    -------
    LevelPoint or None
        None without patches.
    """
    from scipy.stats import chi2

    patches = find_patches(stacks, _SMALL, adjacent=adjacent)
    free = _SMALL**2 - 6
    expected = float(chi2.ppf(_LOWEST, free)) / free
    points = []
    for level in tissue_levels(calm_levels(patches, trim=False)):
        variance = float(np.quantile(patches.variance[level.chosen], _LOWEST)) / expected
        points.append(LevelPoint(level.mean, float(np.sqrt(variance)), len(level.chosen)))
    return min(points, key=lambda point: point.std, default=None)

"""Whether what calm patches hold is noise at all, brightness class by brightness class.

Noise of one kind scatters in a known way: the variances of patches of it differ by what chance allows, and
small patches tell the same level as large ones. Those of anatomy differ far more, and grow with the patch, so
that where anatomy is too fine or too coarsely sampled to leave calm places, the patches' variances tell so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.autocorrelation import NARROW, WIDE, patches_for
from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.lagged import covariance_of
from diffdenoise.noise.level import MEDIAN_OF_NORMAL
from diffdenoise.noise.patches import CalmLevel, Patches, calm_levels, find_patches, is_cut_off, tissue_levels
from diffdenoise.types import Slices

#: Times the scatter of pure noise from which on patches are taken for anatomy, unless their levels differ by
#: no more than the second factor between quartiles: noise that varies from place to place.
_UNEVEN, _NEARLY_EVEN = 2.0, 1.25
#: Times the level of small patches from which on what patches of twice the side hold is anatomy.
_GROWS = 1.3
#: Share of the calm places in tissue that must hold noise for any of them to be believed.
_MOST = 0.5
#: Side of the patches that the least level is read from, and share of the calm ones that it is told by.
_SMALL, _LOWEST = 4, 0.1


@dataclass(frozen=True)
class Scatter:
    """How the variances of patches of noise scatter.

    Attributes
    ----------
    mean : float
        Of them, for noise of std 1.
    free : float
        Values that are free in a patch, as of a chi square.
    """

    mean: float
    free: float

    @classmethod
    def of(cls, correlation: Correlation, side: int) -> Scatter:
        """Return that of patches of a side, in pixels, less their surfaces."""
        # Of a quadratic form of Gaussian variables: mean tr(C), variance 2 tr(C C).
        covariance = covariance_of(correlation, side)
        trace = float(np.trace(covariance))
        return cls(trace / (side**2 - 6), trace**2 / float(np.square(covariance).sum()))

    def level(self, variances: NDArray[np.float64], share: float) -> float:
        """Std of the noise of which this share of the variances is below what they are."""
        # Not scipy.stats, which takes half a second to load.
        from scipy.special import gammaincinv

        expected = self.mean * 2 * float(gammaincinv(self.free / 2, share)) / self.free
        return float(np.sqrt(np.quantile(variances, share) / expected))

    def unevenness(self, variances: NDArray[np.float64]) -> float:
        """Scatter of the variances as a multiple of pure noise's."""
        low, middle, high = np.quantile(variances, [0.25, 0.5, 0.75])
        return float((high - low) / (2 * MEDIAN_OF_NORMAL * middle) / np.sqrt(2 / self.free))


def only_noise(
    stacks: Sequence[Slices], curve: Sequence[LevelPoint], correlation: Correlation, *, adjacent: bool
) -> list[LevelPoint]:
    """Return the points of a curve of levels in whose class the calm patches hold noise.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities.
    curve : sequence of LevelPoint
        Levels of brightness classes, from dark to bright.
    correlation : Correlation
        Of the noise.
    adjacent : bool
        As in `find_patches`.

    Returns
    -------
    list of LevelPoint
        Empty where most of the tissue isn't calm. A background that is cut off at zero goes with its tissue.
    """
    patches, (side, _, _) = patches_for(correlation, stacks, adjacent=adjacent)
    small = NARROW[0] if side == WIDE[0] else _SMALL
    levels = calm_levels(patches, trim=False)
    if not levels:
        return list(curve)
    own = Scatter.of(correlation, side)
    even = [_is_even(patches, level, own) for level in levels]
    smaller = _levels_of(stacks, small, correlation, adjacent=adjacent)
    alike = [_is_alike(patches, level, own, smaller) for level in levels]
    means = np.array([level.mean for level in levels])
    noise = np.array(even) & np.array(alike)
    tissue = {level.number for level in tissue_levels(levels)}
    weights = np.array([len(level.chosen) * (level.number in tissue) for level in levels])
    if weights[noise].sum() < _MOST * weights.sum():
        return []
    kept = [point for point in curve if noise[np.abs(means - point.brightness).argmin()]]
    cut_off = is_cut_off([point.std for point in curve], [float(point.patches) for point in curve])
    if cut_off and any(point is not curve[0] for point in kept) and curve[0] not in kept:
        kept.insert(0, curve[0])
    return kept if not cut_off or any(point is not curve[0] for point in kept) else []


def _is_even(patches: Patches, level: CalmLevel, scatter: Scatter) -> bool:
    variances = patches.variance[level.chosen]
    nearly = scatter.level(variances, 0.75) < _NEARLY_EVEN * scatter.level(variances, 0.25)
    return nearly or scatter.unevenness(variances) < _UNEVEN


def _levels_of(
    stacks: Sequence[Slices], side: int, correlation: Correlation, *, adjacent: bool
) -> list[LevelPoint]:
    """Levels that patches of a side tell, as if they held noise alone."""
    patches = find_patches(stacks, side, adjacent=adjacent)
    scatter = Scatter.of(correlation, side)
    return [
        LevelPoint(level.mean, scatter.level(patches.variance[level.chosen], 0.25), len(level.chosen))
        for level in calm_levels(patches, trim=False)
    ]


def _is_alike(patches: Patches, level: CalmLevel, scatter: Scatter, smaller: Sequence[LevelPoint]) -> bool:
    """Whether smaller patches of that brightness tell a level like it."""
    if not smaller:
        return True
    expected = np.interp(level.mean, [one.brightness for one in smaller], [one.std for one in smaller])
    return scatter.level(patches.variance[level.chosen], 0.25) < _GROWS * float(expected)


def least_level(stacks: Sequence[Slices], *, adjacent: bool) -> LevelPoint | None:
    """Level that white noise can have at most where anatomy is everywhere.

    Of small patches in each brightness class, the tenth that vary least, as if they held noise alone; and
    of the classes, the one with the least.

    Parameters
    ----------
    stacks, adjacent
        As in `only_noise`.

    Returns
    -------
    LevelPoint or None
        None without patches.
    """
    patches = find_patches(stacks, _SMALL, adjacent=adjacent)
    scatter = Scatter.of(WHITE, _SMALL)
    points = [
        LevelPoint(level.mean, scatter.level(patches.variance[level.chosen], _LOWEST), len(level.chosen))
        for level in tissue_levels(calm_levels(patches, trim=False))
    ]
    return min(points, key=lambda point: point.std, default=None)

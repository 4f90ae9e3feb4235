"""Noise of magnitude images, recognised by what a background without signal looks like.

The magnitude of n coils' complex noise, of std s in each of its 2n parts, follows a chi distribution of
k = 2n degrees of freedom: Rayleigh's for one coil (Gudbjartsson and Patz 1995), a noncentral chi's where
there is signal (Constantinides et al. 1997). Its moments tell k and s, whether pixels are independent or not:
what a patch's own surface takes off of correlated noise is not missed. Two estimates of k, from different
moments, agree for no other distribution that a background has: not for a masked or a cut-off one, nor for
weak anatomy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.patches import Patches, calm_levels, cut_part, find_patches, shapes_of, weighted_median
from diffdenoise.noise.rician import signal_of_mean, std_of_mean
from diffdenoise.scan.sample import parts_of
from diffdenoise.types import Slices

#: Side of the patches looked at in pixels, and lags at which their noise may be correlated.
_SIDE, _LAGS = 16, 6
#: Shares of the darkest patches, those in the calmest surroundings, that may be the background: the more the
#: better, as the calmest happen to hold less noise.
_SHARES = (0.5, 0.25, 0.08)
#: Most by which two estimates of the degrees of freedom may differ, and by which they may miss two.
_AGREE, _EVEN = 0.1, 0.15
#: Coils beyond which the floor is so high over its scatter that any offset looks like it.
_MOST_COILS = 40
#: Correlation of pixels half a patch apart up to which noise is alike everywhere.
_SLOW = 0.03
#: Mean of Rayleigh noise over its std, 1.91, with room for what little anatomy is in a background, and level
#: in tissue over it, 1.53 in theory, where noise is looked at patch by patch.
_RAYLEIGH_RATIO, _STEP = (1.75, 2.1), (1.2, 2.0)
#: Share by which the skewness may be off a chi distribution's, and what chance adds to that.
_SKEW, _SKEW_BY_CHANCE = 0.35, 0.03
#: Least skewness of Rayleigh noise, 0.63, less what is taken off of each patch.
_LEAST_SKEW = 0.3
#: Times by which a measured level may differ from that of theory to be read as it.
_NEARLY = 1.2
#: Signal in stds from which on tissue can tell, and what levels there may be over theory's.
_TELLING, LEAST_OF_THEORY, _MOST_OF_THEORY = 2.5, 0.75, 1.3
#: The same of several coils, whose air more looks like: an offset with noise that grows with brightness.
_OF_THEORY_OF_MANY = (0.85, 1.15)
#: Times their scatter by which means of patches may be off the middle one; scatter over median deviation.
_ALIKE, _MEDIAN_OF_NORMAL = 2.5, 0.6745
#: Correlation between neighbours up to which noise is taken for independent, and at other lags for none.
_FEIGNED, _NOTHING = 0.06, 0.03
#: Share of the largest value that a magnitude of nothing may be below zero after scaling.
_ROUNDING = 1e-6
#: Share of air's values that is taken for none, and share of a scan that may be as dark all the same.
_NEVER, _MOST_DARKER = 1e-4, 0.005


@dataclass(frozen=True)
class Magnitude:
    """Noise of a magnitude image.

    Attributes
    ----------
    std : float
        Of the complex noise's parts, in the units of the data.
    coils : int
        Whose sum of squares it is the root of; 1: Rician noise.
    correlation : Correlation or None
        Of the complex noise inside slices, and so of what it is in strong signal; None: air doesn't tell.
    """

    std: float
    coils: int
    correlation: Correlation | None


def find_magnitude(stacks: Sequence[Slices], *, adjacent: bool) -> Magnitude | None:
    """Return the noise of a magnitude image, if the background says that it is one.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Magnitudes, with their true zero: none is negative. NaN where there is nothing to measure.
    adjacent : bool
        Whether adjacent slices have noise of their own.

    Returns
    -------
    Magnitude or None
        In the units of the data. None: of another kind, or nothing to tell it by, such as a background that
        was masked.
    """
    looked_at = [cut_part(stacks[part.volume], part) for part in parts_of(shapes_of(stacks))]
    # Less than nothing but for what scaling rounds.
    if any(bool((image < -_ROUNDING * np.nanmax(np.abs(image), initial=0.0)).any()) for image in looked_at):
        return None
    found = _of_patches(find_patches(stacks, _SIDE, adjacent=adjacent))
    if found is None:
        # Only now, as patches take many times the memory of the image that they are of.
        patches = find_patches(stacks, _SIDE // 2, adjacent=adjacent)
        found = _of_patches(patches) or _of_levels(patches)
    return None if found is not None and _has_darker(looked_at, found) else found


def _has_darker(images: Sequence[NDArray[np.float32]], magnitude: Magnitude) -> bool:
    """Whether much is darker than air can be, so that what was taken for air is tissue."""
    from scipy.special import gammaincinv

    limit = magnitude.std * math.sqrt(2 * float(gammaincinv(magnitude.coils, _NEVER)))
    known = sum(int(np.isfinite(image).sum()) for image in images)
    darker = sum(int((image < limit).sum()) for image in images)
    return darker > _MOST_DARKER * known


def _of_patches(patches: Patches) -> Magnitude | None:
    """What the darkest patches say, of as many as can be."""
    return next((found for share in _SHARES if (found := _of_background(patches, share)) is not None), None)


def is_borne_out(magnitude: Magnitude, curve: Sequence[LevelPoint], zero: float) -> bool:
    """Whether the levels in bright tissue are those that a magnitude image's noise has there.

    Noise that grows with brightness, speckle and anatomy that is as dark as air look like magnitudes in the
    darkest places alone.

    Parameters
    ----------
    magnitude, curve, zero
        As of `levels_of`.
    """
    means = np.array([point.brightness - zero for point in curve])
    stds, weights = [point.std for point in curve], [float(point.patches) for point in curve]
    telling = np.flatnonzero(
        signal_of_mean(means, magnitude.std, magnitude.coils) >= _TELLING * magnitude.std
    )
    if not len(telling):
        return False
    theory = std_of_mean(means, magnitude.std, magnitude.coils)
    ratios = [stds[one] / float(theory[one]) for one in telling]
    middle = weighted_median(ratios, [weights[one] for one in telling])
    # Between air and object lie edges; what grows with brightness shows at the brightest.
    least, most = (LEAST_OF_THEORY, _MOST_OF_THEORY) if magnitude.coils == 1 else _OF_THEORY_OF_MANY
    return least <= middle <= most and ratios[-1] <= most * middle


def levels_of(magnitude: Magnitude, curve: Sequence[LevelPoint], zero: float) -> list[LevelPoint]:
    """Return a measured curve with the levels that theory has for it, where the two agree.

    Parameters
    ----------
    magnitude : Magnitude
        The noise as its background has it.
    curve : sequence of LevelPoint
        As it was measured.
    zero : float
        Brightness that stands for a magnitude of zero.
    """
    found = []
    for point in curve:
        mean = np.array(point.brightness - zero)
        std = float(std_of_mean(mean, magnitude.std, magnitude.coils))
        agrees = std / _NEARLY < point.std < std * _NEARLY
        found.append(replace(point, std=std) if agrees else point)
    return found


def _of_background(patches: Patches, share: float) -> Magnitude | None:
    """What the darkest patches say."""
    levels = calm_levels(patches, share)
    if len(levels) < 2:
        return None
    background = levels[0]
    means = patches.mean[background.chosen]
    middle = float(np.median(means))
    scatter = float(np.median(np.abs(means - middle))) / _MEDIAN_OF_NORMAL
    # A patch that is brighter than others by more than noise makes it holds something, if only at its edge.
    alike = background.chosen[np.abs(means - middle) <= _ALIKE * scatter]
    values = patches.values[alike].astype(np.float64)
    rms = float(np.sqrt((values**2).mean()))
    if not rms > 0:
        return None
    slow = _slow_share(values)
    if slow > _SLOW:
        return None
    by_mean = _degrees_of(float(values.mean()) / rms)
    by_fourth = 2 / max(float((values**4).mean()) / rms**4 - 1, 1e-9)
    coils = round(by_mean / 2)
    if not 1 <= coils <= _MOST_COILS or abs(by_mean - by_fourth) > _AGREE * by_mean:
        return None
    skew = _skewness_of(by_mean)
    if abs(_skewness(values) - skew) > _SKEW * skew + _SKEW_BY_CHANCE:
        return None
    # With many coils that aren't quite independent, the number in effect is between the whole ones.
    if coils == 1 and abs(by_mean - 2) > _EVEN * 2:
        return None
    return Magnitude(rms / float(np.sqrt(2 * coils)), coils, _correlation(values, coils, max(slow, 0.0)))


def _of_levels(patches: Patches) -> Magnitude | None:
    """What air says in which noise varies from place to place: within each patch it may still be Rician."""
    levels = calm_levels(patches)
    if len(levels) < 2:
        return None
    background, *tissue = levels
    step = weighted_median([one.std for one in tissue], [len(one.chosen) for one in tissue]) / background.std
    ratio = background.mean / background.std
    if not (_RAYLEIGH_RATIO[0] <= ratio <= _RAYLEIGH_RATIO[1] and _STEP[0] <= step <= _STEP[1]):
        return None
    if _skewness(patches.residual[background.chosen].astype(np.float64)) < _LEAST_SKEW:
        return None
    return Magnitude(background.std / float(np.sqrt(2 - np.pi / 2)), 1, None)


def _slow_share(values: NDArray[np.float64]) -> float:
    """Correlation of pixels far apart in a patch: by so much level and mean vary from place to place."""
    mean, square = values.mean(), (values**2).mean()
    side = values.shape[1]
    far = side // 2 + side // 8
    down, right = values[:, :-far] * values[:, far:], values[:, :, :-far] * values[:, :, far:]
    return float(((down.mean() + right.mean()) / 2 - mean**2) / (square - mean**2))


@cache
def _degrees() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over root mean square of chi distributions, rising, and their degrees of freedom."""
    from scipy.special import gammaln

    degrees = np.geomspace(0.5, 400, 4000)
    ratio = np.sqrt(2 / degrees) * np.exp(gammaln((degrees + 1) / 2) - gammaln(degrees / 2))
    return ratio, degrees


def _skewness(values: NDArray[np.float64]) -> float:
    centred = values - values.mean()
    return float((centred**3).mean() / (centred**2).mean() ** 1.5)


def _skewness_of(degrees: float) -> float:
    """Skewness of the chi distribution of so many degrees of freedom; that of a Gaussian is 0."""
    mean = float(np.interp(degrees, _degrees()[1], _degrees()[0])) * np.sqrt(degrees)
    variance = degrees - mean**2
    return float(mean * (1 - 2 * variance) / variance**1.5)


def _degrees_of(ratio: float) -> float:
    """Degrees of freedom of the chi distribution with that mean over its root mean square."""
    ratios, degrees = _degrees()
    return float(np.interp(ratio, ratios, degrees))


def _correlation(values: NDArray[np.float64], coils: int, slow: float) -> Correlation:
    """The complex noise's correlation, from that of its magnitudes in patches (patches, side, side)."""
    mean, square = values.mean(), (values**2).mean()
    lags = min(_LAGS, values.shape[1] // 2)
    axes = []
    for axis in (1, 2):
        moved = [np.roll(values, -lag, axis) for lag in range(1, lags + 1)]
        kept = [np.s_[:, :-lag] if axis == 1 else np.s_[:, :, :-lag] for lag in range(1, lags + 1)]
        products = [(values[part] * other[part]).mean() for part, other in zip(kept, moved, strict=True)]
        lagged = (np.array(products) - mean**2) / (square - mean**2)
        axes.append(_of_complex((lagged - slow) / (1 - slow), coils))
    return Correlation.of_axes(*axes)


def _of_complex(lags: NDArray[np.float64], coils: int) -> tuple[float, ...]:
    """Correlations of complex noise whose magnitudes are correlated like this; their sign can't be told.

    The mean product of two magnitudes is the product of their means times 2F1(-1/2, -1/2; n; rho^2) (Miller
    1964, "Multidimensional Gaussian Distributions", for k = 2n).
    """
    from scipy.special import hyp2f1

    rho = np.linspace(0, 1, 501)
    rising = hyp2f1(-0.5, -0.5, coils, rho**2) - 1
    found = np.interp(np.clip(lags, 0, 1), rising / rising[-1], rho)
    # The root makes much of what little chance leaves: what is seen of the magnitudes counts.
    found[np.abs(lags) < _NOTHING] = 0
    if abs(lags[0]) < _FEIGNED**2 or found[0] < _FEIGNED:
        return ()
    # What comes after the first lag without any is chance.
    last = int(np.flatnonzero(np.append(found, 0) == 0)[0])
    return tuple(round(float(lag), 5) for lag in found[:last])

"""Variance stabilisation with its exact unbiased inverse, by numerical tables of the noise's law.

What users of BM3D and BM4D put around these filters where the level varies with the signal: a map f after
which the noise has std 1 whatever the signal, the filter, and the way back from the mean of f(y) to the
signal. The algebraic inverse of f would not do: E[f(y)] is not f(E[y]).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: signals (n,) to values (n, m) and their weights, each row's of sum 1: the law of noisy values.
Law = Callable[[Array], tuple[Array, Array]]

#: Signals of the tables, and of those of them that lie in the lower tenth, where the law changes fastest.
_SIGNALS, _NEAR_FLOOR = 400, 200
#: Values that stand for a law, over this many stds on either side.
_VALUES, _REACH = 401, 8.0
#: Passes of the refinement of a map that is only stable to first order, and stds that it is smoothed over.
_PASSES = 8


@dataclass(frozen=True)
class Stabiliser:
    """A variance-stabilising map and its exact unbiased inverse.

    Attributes
    ----------
    values, mapped : array
        Points of the map f, rising; linear between them and beyond.
    signals, means : array
        Signals, and E[f(y)] for each, rising.
    """

    values: Array
    mapped: Array
    signals: Array
    means: Array

    def forward(self, noisy: Array) -> Array:
        """Map noisy values to a scale where their noise has std 1."""
        return _line(noisy, self.values, self.mapped)

    def inverse(self, denoised: Array) -> Array:
        """Signal for which a mean of mapped values is expected; below all of these, the lowest."""
        return np.asarray(np.maximum(_line(denoised, self.means, self.signals), self.signals[0]))


def magnitude_law(std: float, coils: int = 1) -> Law:
    """Law of magnitudes: Rician for one coil, noncentral chi for more.

    Parameters
    ----------
    std : float
        Of each part of the complex noise.
    coils : int
        Whose sum of squares the magnitude is the root of.
    """
    from scipy.stats import ncx2

    def law(signals: Array) -> tuple[Array, Array]:
        middle = np.sqrt(signals**2 / std**2 + 2 * coils - 1)
        values = np.maximum(middle[:, None] + np.linspace(-_REACH, _REACH, _VALUES), 1e-6)
        density = 2 * values * ncx2.pdf(values**2, 2 * coils, (signals[:, None] / std) ** 2)
        return std * values, density / density.sum(1, keepdims=True)

    return law


def gaussian_law(std_of: Callable[[Array], Array]) -> Law:
    """Law of Gaussian noise whose std depends on the signal."""
    steps = np.linspace(-_REACH, _REACH, _VALUES)
    weights = np.exp(-0.5 * steps**2)

    def law(signals: Array) -> tuple[Array, Array]:
        values = signals[:, None] + std_of(signals)[:, None] * steps
        return values, np.broadcast_to(weights / weights.sum(), values.shape)

    return law


def anscombe(gain: float, offset_variance: float, highest: float) -> Stabiliser:
    """Generalised Anscombe transform for a variance of gain x signal + offset, exactly unbiased both ways.

    Parameters
    ----------
    gain, offset_variance : float
        In scaled intensities.
    highest : float
        Signal up to which it is tabulated.

    References
    ----------
    Starck, Murtagh, Bijaoui 1998, "Image processing and data analysis"; the inverse by a table as
    in Makitalo and Foi 2013, "Optimal inversion of the generalized Anscombe transformation for
    Poisson-Gaussian noise".
    """
    law = gaussian_law(lambda signal: np.sqrt(gain * np.maximum(signal, 0) + offset_variance))
    lowest = -3 / 8 * gain - offset_variance / gain
    values = lowest + (2 * highest - lowest) * np.linspace(0, 1, 20001) ** 2
    mapped = 2 / gain * np.sqrt(np.maximum(gain * (values - lowest), 0))
    return _with_inverse(values, mapped, law, _signals(highest))


def of_magnitudes(std: float, coils: int, highest: float) -> Stabiliser:
    """Stabiliser for magnitudes, constructed from how their std depends on their mean.

    Parameters
    ----------
    std, coils
        See `magnitude_law`.
    highest : float
        Signal up to which it is tabulated.

    References
    ----------
    Foi 2011, "Noise estimation and removal in MR imaging: the variance-stabilization approach", with the
    recursive construction of Foi 2009, "Optimization of variance-stabilizing transformations": the map's
    slope is divided by the std that it leaves, until that is 1.
    """
    law, signals = magnitude_law(std, coils), _signals(highest)
    noisy, weights = law(signals)
    means = (weights * noisy).sum(1)
    slope = 1 / np.sqrt((weights * (noisy - means[:, None]) ** 2).sum(1))
    values = np.concatenate([[0.0], means, [2 * means[-1]]])
    for _ in range(_PASSES):
        mapped = _integrated(values, means, slope)
        left = _line(noisy, values, mapped)
        centre = (weights * left).sum(1)
        slope = slope / np.sqrt((weights * (left - centre[:, None]) ** 2).sum(1))
    return _with_inverse(values, _integrated(values, means, slope), law, signals)


def _integrated(values: Array, means: Array, slope: Array) -> Array:
    """Values of a map whose slope is given at the means."""
    at = np.interp(values, means, slope)
    return np.concatenate([[0.0], np.cumsum(np.diff(values) * (at[1:] + at[:-1]) / 2)])


def _signals(highest: float) -> Array:
    """Signals of a table, from none to the highest."""
    near = np.linspace(0, 0.1 * highest, _NEAR_FLOOR, endpoint=False)
    return np.concatenate([near, np.linspace(0.1 * highest, highest, _SIGNALS - _NEAR_FLOOR)])


def _with_inverse(values: Array, mapped: Array, law: Law, signals: Array) -> Stabiliser:
    noisy, weights = law(signals)
    means = np.maximum.accumulate((weights * _line(noisy, values, mapped)).sum(1))
    rising = np.concatenate([[True], np.diff(means) > 0])
    return Stabiliser(values, mapped, signals[rising], means[rising])


def _line(x: Array, knots: Array, at: Array) -> Array:
    """Piecewise linear, and straight on beyond the last knot."""
    beyond = (x - knots[-1]) * (at[-1] - at[-2]) / (knots[-1] - knots[-2])
    return np.asarray(np.interp(x, knots, at) + np.maximum(beyond, 0))

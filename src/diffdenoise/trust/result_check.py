"""A result held against its input: what was taken off must be like the noise, without structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.types import Slices

#: Share of the noise's std from which on too much or too little was taken off.
MOST_TAKEN, LEAST_TAKEN = 1.25, 0.5
#: Correlation of neighbouring residual pixels beyond the noise's own from which on it holds structure.
MOST_ALIKE = 0.12
#: Times that the residual's power at edges may exceed that in calm places, in units of the noise there.
MOST_AT_EDGES = 1.8
#: Lags that are compared, and slices looked at.
_LAGS, _MOST_SLICES = 3, 24
#: Residuals beyond this many noise stds count as this.
_LIMIT = 5.0
#: Shares of the pixels with the strongest and weakest edges, and fewest pixels that figures are told by.
_EDGES, _CALM, _FEWEST = 0.05, 0.5, 500


@dataclass(frozen=True)
class ResultCheck:
    """Figures of a residual, in units of the noise that the scan shows.

    Attributes
    ----------
    taken : float
        Std of the residual over that of the noise.
    alike : float
        Mean correlation of residual pixels up to three apart, minus the noise's own; the larger of the axes.
    at_edges : float
        Power of the residual at edges over that in calm places.
    """

    taken: float
    alike: float
    at_edges: float

    @property
    def doubts(self) -> list[str]:
        """What is wrong with the result, in words; nothing if it is as it should be."""
        found = []
        if self.taken > MOST_TAKEN:
            found.append(f"{self.taken:.2g} times the noise was taken off")
        if self.taken < LEAST_TAKEN:
            found.append(f"only {self.taken:.0%} of the noise was taken off")
        if self.alike > MOST_ALIKE:
            found.append(f"what was taken off is smoother than the noise (correlation {self.alike:+.2f})")
        if self.at_edges > MOST_AT_EDGES:
            found.append(f"{self.at_edges:.2g} times as much was taken off at edges as in calm places")
        return found


def check_result(noisy: Sequence[Slices], denoised: Sequence[Slices], noise: Diagnosis) -> ResultCheck | None:
    """Compare what was taken off with the noise that the scan shows.

    Parameters
    ----------
    noisy : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure.
    denoised : sequence of arrays, same shapes
        Before a bias is undone, which is no noise.
    noise : Diagnosis
        Of the scan.

    Returns
    -------
    ResultCheck or None
        None where the scan's noise isn't known, or there is too little to tell by.
    """
    if noise.std <= 0 or noise.is_upper_bound:
        return None
    from scipy.ndimage import gaussian_gradient_magnitude

    places = [(s, k) for s, stack in enumerate(noisy) for k in range(len(stack))]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST_SLICES)).round().astype(int))
    products = np.zeros((2, _LAGS))
    counts = np.zeros((2, _LAGS))
    squares: list[NDArray[np.float64]] = []
    edges: list[NDArray[np.float64]] = []
    for place in chosen:
        s, k = places[place]
        before, after = noisy[s][k].astype(np.float64), denoised[s][k].astype(np.float64)
        level = np.interp(after, noise.noise.brightness, noise.noise.stds)
        relative = np.clip((before - after) / level, -_LIMIT, _LIMIT)
        known = np.isfinite(relative)
        if not known.any():
            continue
        relative[known] -= relative[known].mean()
        squares.append(relative[known] ** 2)
        edges.append(gaussian_gradient_magnitude(after, 1.0)[known])
        for axis in range(2):
            for lag in range(1, _LAGS + 1):
                one, other = _shifted(relative, axis, lag)
                both = np.isfinite(one) & np.isfinite(other)
                products[axis, lag - 1] += float((one[both] * other[both]).sum())
                counts[axis, lag - 1] += int(both.sum())
    if not squares or sum(map(len, squares)) < _FEWEST or not counts.all():
        return None
    power, strength = np.concatenate(squares), np.concatenate(edges)
    measured = products / counts / max(float(power.mean()), 1e-12)
    own = np.array([_lags(axis) for axis in (noise.correlation.down, noise.correlation.right)])
    calm, strong = np.quantile(strength, [_CALM, 1 - _EDGES])
    return ResultCheck(
        taken=float(np.sqrt(power.mean())),
        alike=float((measured - own).mean(axis=1).max()),
        at_edges=float(power[strength >= strong].mean() / max(float(power[strength <= calm].mean()), 1e-12)),
    )


def _shifted(
    image: NDArray[np.float64], axis: int, lag: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (image[:-lag], image[lag:]) if axis == 0 else (image[:, :-lag], image[:, lag:])


def _lags(own: tuple[float, ...]) -> list[float]:
    return [*own[:_LAGS], *(0.0 for _ in range(_LAGS - len(own)))]

"""A result held against its input: what was taken off must be like the noise, without structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.scan.sample import SPREAD, evenly, parts_of_slice, spread_slices
from diffdenoise.types import Slices

#: First and last (not included) row, and column.
Window = tuple[tuple[int, int], tuple[int, int]]

#: Share of the noise's std from which on too much or too little was taken off.
MOST_TAKEN, LEAST_TAKEN = 1.25, 0.5
#: Correlation of neighbouring residual pixels beyond the noise's own from which on it holds structure.
MOST_ALIKE = 0.12
#: Times that the residual's power at edges may exceed that in calm places, in units of the noise there.
MOST_AT_EDGES = 1.8
#: Lags that are compared.
_LAGS = 3
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
    of_bound : bool
        Whether the noise is known to be no more than that, so that only too much can be told.
    """

    taken: float
    alike: float
    at_edges: float
    of_bound: bool = False

    @property
    def doubts(self) -> list[str]:
        """What is wrong with the result, in words; nothing if it is as it should be."""
        if self.of_bound:
            too_much = f"{self.taken:.2g} times the most that the noise can be was taken off"
            return [too_much] if self.taken > MOST_TAKEN else []
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


def check_result(
    noisy: Sequence[Slices],
    denoised: Sequence[Slices],
    noise: Diagnosis,
    factors: Sequence[Slices] | None = None,
) -> ResultCheck | None:
    """Compare what was taken off with the noise that the scan shows.

    Parameters
    ----------
    noisy : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure.
    denoised : sequence of arrays, same shapes
        Before a bias is undone, which is no noise.
    noise : Diagnosis
        Of the scan.
    factors : sequence of arrays, same shapes, optional
        How many times its typical level the noise is at each place; None: everywhere the same.

    Returns
    -------
    ResultCheck or None
        None where the scan's noise isn't known, or there is too little to tell by.
    """
    if noise.std <= 0:
        return None
    found = _Found(noise)
    for (volume, number), parts in _looked_at([_three(stack.shape) for stack in noisy]).items():
        before, after = noisy[volume][number], denoised[volume][number]
        for (top, bottom), (left, right) in parts:
            part = (slice(top, bottom), slice(left, right))
            factor = None if factors is None else factors[volume][number][part]
            found.add(before[part], after[part], factor)
    return found.figures()


def _looked_at(shapes: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int], list[Window]]:
    """Return evenly spaced slices, or parts of large ones, by volume and number."""
    all_parts = [
        (place, part) for place in spread_slices(shapes) for part in parts_of_slice(shapes[place[0]])
    ]
    found: dict[tuple[int, int], list[Window]] = {}
    for which in evenly(len(all_parts), SPREAD):
        place, part = all_parts[which]
        found.setdefault(place, []).append(part)
    return found


class _Found:
    """What was taken off so far, in stds of the noise."""

    def __init__(self, noise: Diagnosis) -> None:
        self._noise = noise
        self._products = np.zeros((2, _LAGS))
        self._counts = np.zeros((2, _LAGS))
        self._squares: list[NDArray[np.float32]] = []
        self._edges: list[NDArray[np.float32]] = []

    def add(
        self,
        noisy: NDArray[np.float32],
        denoised: NDArray[np.float32],
        factor: NDArray[np.float32] | None,
    ) -> None:
        """Look at a part of a slice (height, width)."""
        from scipy.ndimage import gaussian_gradient_magnitude

        before, after = noisy.astype(np.float64), denoised.astype(np.float64)
        level = self._noise.noise.levels(after, 1.0 if factor is None else factor)
        relative = np.clip((before - after) / level, -_LIMIT, _LIMIT)
        known = np.isfinite(relative)
        if not known.any():
            return
        relative[known] -= relative[known].mean()
        self._squares.append((relative[known] ** 2).astype(np.float32))
        self._edges.append(gaussian_gradient_magnitude(after, 1.0)[known].astype(np.float32))
        for axis in range(2):
            for lag in range(1, _LAGS + 1):
                one, other = _shifted(relative, axis, lag)
                both = np.isfinite(one) & np.isfinite(other)
                self._products[axis, lag - 1] += float((one[both] * other[both]).sum())
                self._counts[axis, lag - 1] += int(both.sum())

    def figures(self) -> ResultCheck | None:
        """Return what that comes to; None: there is too little to tell by."""
        if sum(map(len, self._squares)) < _FEWEST or not self._counts.all():
            return None
        power, strength = np.concatenate(self._squares), np.concatenate(self._edges)
        mean = float(power.mean(dtype=np.float64))
        measured = self._products / self._counts / max(mean, 1e-12)
        correlation = self._noise.correlation
        own = np.array([_lags(axis) for axis in (correlation.down, correlation.right)])
        calm, strong = np.quantile(strength, [_CALM, 1 - _EDGES])
        in_calm = float(power[strength <= calm].mean(dtype=np.float64))
        return ResultCheck(
            taken=float(np.sqrt(mean)),
            alike=float((measured - own).mean(axis=1).max()),
            at_edges=float(power[strength >= strong].mean(dtype=np.float64) / max(in_calm, 1e-12)),
            of_bound=self._noise.is_upper_bound,
        )


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    count, height, width = shape
    return count, height, width


def _shifted(
    image: NDArray[np.float64], axis: int, lag: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (image[:-lag], image[lag:]) if axis == 0 else (image[:, :-lag], image[:, lag:])


def _lags(own: tuple[float, ...]) -> list[float]:
    return [*own[:_LAGS], *(0.0 for _ in range(_LAGS - len(own)))]

"""How sure a result is: what noise moves in it, and how large its errors are, without a clean image.

Noise e like the scan's own is drawn, and the scan denoised with a e added and with it taken off: the
difference of the two results over 2 a is what noise makes of the result, A e, as often as draws are made (a
symmetric pair: of a linear denoiser the two move by the same, oppositely). It also gives the error that
cannot be seen: with the noise's covariance S the mean squared error of f(y) = f is

    mean (f - y)^2 - mean noise variance + 2 mean e . (A e),

unbiased (Stein 1981; divergence by probing, Ramani et al. 2008, with e of covariance S instead of white). So
the spread is scaled, in classes, until its square is the error that this shows, whose larger part at edges is
not noise but lost structure. Half of the slices set the scale, the other half check it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.slab import Redenoise, Slab, draw_noise
from diffdenoise.types import Stack

#: Symmetric pairs, and how much of the scan's noise each adds.
_PAIRS, PAIR_STRENGTH = 3, 0.5
#: Std in pixels of the Gaussian over which a pixel's spread is averaged; classes of it.
_AROUND_PX, _CLASSES = 2.0, 8
#: Share of tissue that a region needs; fewest regions.
_FULL, _FEWEST = 0.999, 90
#: Stds within which chance is.
_CONFIDENCE = 2.0
#: Error that a class is given at least, as a share of the noise's variance: chance may make it negative.
_LEAST_ERROR = 1e-3


@dataclass(frozen=True)
class Calibration:
    """Errors by class of spread: what was expected, and what the other half of the pixels shows.

    Attributes
    ----------
    spreads, errors : float arrays (classes,)
        Mean spread (std), and root mean squared error that belongs to it; scaled intensities.
    checked : float array (classes,)
        Error of the pixels that were not used, over what was expected of them.
    chance : float array (classes,)
        Std of `checked` by chance.
    """

    spreads: NDArray[np.float64]
    errors: NDArray[np.float64]
    checked: NDArray[np.float64]
    chance: NDArray[np.float64]

    @property
    def beyond_chance(self) -> NDArray[np.float64]:
        """Factor, at least 1, by which chance can't explain that an error is more or less than expected."""
        # In squares, where chance is normal: an error that is told to be none may still be as expected.
        low, high = (self.checked**2 + side * _CONFIDENCE * 2 * self.chance for side in (-1, 1))
        return np.asarray(np.sqrt(np.maximum.reduce([low, 1 / np.maximum(high, 1e-6), np.ones_like(low)])))


@dataclass(frozen=True)
class Regions:
    """Means over square regions: how far they are off.

    Attributes
    ----------
    side : int
        In pixels.
    count : int
        Regions that tell it.
    before, after : float
        Standard error of a region's mean before and after, scaled intensities.
    """

    side: int
    count: int
    before: float
    after: float


class Spread:
    """Pairs of results of a slab.

    Parameters
    ----------
    slab : Slab
        Slices before and after.
    again : callable
        The denoiser.
    seed : int
        Of the draws.
    """

    def __init__(self, slab: Slab, again: Redenoise, seed: int = 0) -> None:
        self.slab = slab
        self._noises: list[Stack] = []
        self._moved: list[Stack] = []
        products = np.zeros(3)
        rng = np.random.default_rng(seed)
        for _ in range(_PAIRS):
            noise = draw_noise(slab.std, slab.correlation, rng)
            plus, minus = (
                again(slab.volume, slab.first, slab.noisy + sign * np.float32(PAIR_STRENGTH) * noise)
                for sign in (1, -1)
            )
            self._noises.append(noise)
            self._moved.append((plus - minus) / np.float32(2 * PAIR_STRENGTH))
            up, down = (
                one[slab.known].astype(np.float64) - slab.denoised[slab.known] for one in (plus, minus)
            )
            products += np.array([(up * down).sum(), (up * up).sum(), (down * down).sum()])
        self.pair_correlation = float(products[0] / max(np.sqrt(products[1] * products[2]), 1e-30))

    def response(self, part: tuple[int, slice, slice], shape: NDArray[np.float64]) -> tuple[float, float]:
        """Return what noise gives a shape's observer at a place, before and after: roots of mean squares.

        Parameters
        ----------
        part : (slice, rows, columns)
            The place.
        shape : array (height, width)
            What the observer looks for.
        """
        before, after = (
            np.sqrt(np.mean([float((each[part] * shape).sum()) ** 2 for each in those]))
            for those in (self._noises, self._moved)
        )
        return float(before), float(after)

    @property
    def std(self) -> Stack:
        """Spread at each pixel, scaled intensities."""
        return smoothed(np.mean([one**2 for one in self._moved], axis=0))

    def _error(self) -> Stack:
        """Unbiased estimate of the squared error at each pixel; single ones are mostly chance."""
        slab = self.slab
        divergence = np.mean([e * moved for e, moved in zip(self._noises, self._moved, strict=True)], axis=0)
        return np.asarray((slab.denoised - slab.unbiased) ** 2 - slab.std**2 + 2 * divergence)

    @property
    def rmse(self) -> float:
        """Root of the mean squared error in the slab's tissue, scaled intensities."""
        return float(np.sqrt(max(float(self._error()[self.slab.tissue].mean()), 0.0)))

    def calibrate(self) -> Calibration | None:
        """Scale the spread to the error; None where there are too few pixels."""
        slab = self.slab
        std, error, known = self.std, self._error(), slab.tissue
        check = np.zeros(std.shape, np.bool_)
        if len(std) > 1:
            check[1::2] = True
        else:
            check[:, : std.shape[1] // 2] = True
        learn, check = known & ~check, known & check
        if min(learn.sum(), check.sum()) < 100 * _CLASSES:
            return None
        edges = np.unique(np.quantile(std[learn], np.linspace(0, 1, _CLASSES + 1)[1:-1]))
        noise = float((slab.std[known] ** 2).mean())
        found = []
        for number in range(len(edges) + 1):
            own, other = (where & (np.searchsorted(edges, std) == number) for where in (learn, check))
            if not (own.any() and other.any()):
                continue
            expected = max(float(error[own].mean()), _LEAST_ERROR * noise)
            seen = float(np.sqrt(max(float(error[other].mean()), 0.0) / expected))
            # Half the relative std of two means, what is expected being one, whose pixels are correlated.
            each = _correlated(slab) * (1 / own.sum() + 1 / other.sum())
            chance = 0.5 * float(error[own | other].std()) / expected * np.sqrt(each)
            found.append((float(np.sqrt((std[own] ** 2).mean())), np.sqrt(expected), seen, chance))
        spreads, errors, checked, chances = np.array(found).T
        rising = np.maximum.accumulate(errors)
        return Calibration(spreads, rising, checked, chances)

    def regions(self, side: int) -> Regions | None:
        """Return how far means over squares are off; None where there are too few of them.

        Parameters
        ----------
        side : int
            Of the squares in pixels.
        """
        slab = self.slab
        inside = square_means(slab.tissue.astype(np.float32), side) > _FULL
        if inside.sum() < _FEWEST:
            return None
        noises = [square_means(one, side)[inside].astype(np.float64) for one in self._noises]
        moved = [square_means(one, side)[inside].astype(np.float64) for one in self._moved]
        off = square_means(slab.denoised - slab.unbiased, side)[inside].astype(np.float64)
        before = np.mean([one**2 for one in noises], axis=0)
        alone = np.mean([one**2 for one in moved], axis=0)
        error = off**2 - before + 2 * np.mean([e * m for e, m in zip(noises, moved, strict=True)], axis=0)
        # Never less than what noise alone moves.
        after = max(error.mean(), alone.mean())
        return Regions(side, int(inside.sum()), float(np.sqrt(before.mean())), float(np.sqrt(after)))


def smoothed(squares: Stack) -> Stack:
    """Return the spread at each pixel of squares that are mostly chance, float32, same shape."""
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(squares, (0, _AROUND_PX, _AROUND_PX))
    return np.asarray(np.sqrt(np.maximum(around, 0)), np.float32)


def uncertainty(spread: Stack, calibration: Calibration) -> Stack:
    """Return the expected root mean squared error at each pixel of its spread, float32, same shape."""
    found = np.interp(spread, calibration.spreads, calibration.errors)
    # Beyond the classes' means in proportion.
    last = spread > calibration.spreads[-1]
    ratio = calibration.errors[-1] / max(calibration.spreads[-1], 1e-12)
    return np.where(last, spread * ratio, found).astype(np.float32)


def square_means(stack: Stack, side: int) -> Stack:
    """Means over squares side by side, (slices, rows, columns)."""
    count, height, width = stack.shape
    rows, columns = height // side, width // side
    cut = stack[:, : rows * side, : columns * side].reshape(count, rows, side, columns, side)
    return np.asarray(cut.mean((2, 4)))


def _correlated(slab: Slab) -> float:
    """Pixels that are as good as one independent one, for sums of squares."""
    plane = np.asarray(slab.correlation.full())
    return float(max(1.0, (plane**2).sum())) if plane.size else 1.0

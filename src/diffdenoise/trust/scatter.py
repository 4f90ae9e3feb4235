"""What residuals are like at each brightness, by which they become alike everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.paired import Pair

#: Classes of brightness, with as many pixels each; pixels of a slice that tell about them.
_CLASSES, _LOOKED_AT = 24, 20_000
#: Std in pixels of the Gaussian over which brightness is averaged.
_AROUND_PX = 1.5
#: Std of a Gaussian over the median of its absolute values.
_TO_STD = 1.4826
#: Stds beyond which residuals are outliers for mean and skewness; up to this over the skewness the map rises.
_OUTLIER, _RISING = 4.0, 2.8
#: Residuals beyond this many stds count as this.
LIMIT = 6.0

_Image = NDArray[np.float32]


@dataclass(frozen=True)
class Scatter:
    """Middle and spread of the residual by brightness of the denoised image.

    Attributes
    ----------
    edges : float array (classes - 1)
        Rising scaled intensities between the classes.
    middles, stds : float arrays (classes)
        Mean without outliers, and robust std, of the residual in each class; scaled intensities.
    skews : float array (classes)
        Skewness of the residual without outliers: that of magnitudes is skewed in air.
    """

    edges: NDArray[np.float64]
    middles: NDArray[np.float64]
    stds: NDArray[np.float64]
    skews: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Scatter | None:
        """Look at pairs; None where nothing was taken off of them."""
        rng = np.random.default_rng(0)
        brightness, residuals = [], []
        for pair in pairs:
            where = np.flatnonzero(pair.known)
            if where.size > _LOOKED_AT:
                where = rng.choice(where, _LOOKED_AT, replace=False)
            brightness.append(_around(pair).ravel()[where])
            residuals.append(pair.residual.ravel()[where])
        bright, residual = (np.concatenate(each).astype(np.float64) for each in (brightness, residuals))
        if not bright.size or not np.any(residual):
            return None
        edges = np.unique(np.quantile(bright, np.linspace(0, 1, _CLASSES + 1)[1:-1]))
        number = np.searchsorted(edges, bright)
        overall = robust_std(residual)
        middles, stds = np.zeros(edges.size + 1), np.full(edges.size + 1, overall)
        skews = np.zeros(edges.size + 1)
        for each in range(edges.size + 1):
            own = residual[number == each]
            if own.size:
                stds[each] = robust_std(own)
                centre = np.median(own)
                kept = np.clip(own, centre - _OUTLIER * stds[each], centre + _OUTLIER * stds[each])
                middles[each] = kept.mean()
                skews[each] = ((kept - kept.mean()) ** 3).mean() / max(float(kept.std()) ** 3, 1e-30)
        # Where most of a class was left as it was, the rest of it says nothing of chance.
        return cls(edges, middles, np.maximum(stds, 0.1 * max(overall, float(stds.max()))), skews)

    def even(self, pair: Pair) -> tuple[_Image, _Image]:
        """Return a residual as multiples of its std, 0 without data, and that std at each pixel.

        Skewed noise is mapped to what Gaussian noise would be (Cornish and Fisher 1938, first order): of its
        sums many more would be far from 0 else.
        """
        number = np.searchsorted(self.edges, _around(pair))
        std = self.stds[number].astype(np.float32)
        residual = (pair.residual - self.middles[number].astype(np.float32)) / std
        residual = residual.clip(-LIMIT, LIMIT)
        skew = self.skews[number].astype(np.float32)
        # Up to where the map still rises.
        turn = np.float32(_RISING) / np.maximum(np.abs(skew), np.float32(_RISING / LIMIT))
        inside = residual.clip(-turn, turn)
        residual = residual - skew / 6 * (inside**2 - 1)
        return np.where(pair.known, residual, np.float32(0)), std


def _around(pair: Pair) -> _Image:
    """Brightness about each pixel: that of a pixel alone is high where noise that was left is high."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(pair.denoised, _AROUND_PX), np.float32)


def robust_std(values: NDArray[np.floating]) -> float:
    """Std by the median of absolute deviations from the median."""
    return float(_TO_STD * np.median(np.abs(values - np.median(values))))

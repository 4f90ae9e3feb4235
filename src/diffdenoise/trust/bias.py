"""Whether brightness was kept: the mean of what was taken off, by tissue, with a confidence interval."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.otsu import threshold_otsu
from diffdenoise.trust.paired import Pair, Paired

#: Pixels that are looked at; tissue classes by brightness.
_LOOKED_AT, _BANDS = 4_000_000, 4
#: Std of the background's brightness as a share of the range: what varies more is tissue too.
_EVEN = 0.08
#: Std in pixels of the Gaussian whose mean tells a pixel's tissue: what one pixel's noise tells is biased.
_AROUND_PX = 2.0
#: Side of blocks, whose means are taken for independent; fewest of them.
_BLOCK, _FEWEST = 16, 8
#: Stds of the normal distribution's middle 95 %.
_CONFIDENCE = 1.96


@dataclass(frozen=True)
class Band:
    """A class of tissue.

    Attributes
    ----------
    low, high : float
        Of its blocks' brightness, scaled intensities.
    shift : float
        Mean by which the denoised image is brighter than the noisy one, less what the noise adds to
        magnitudes where the denoised image doesn't have it.
    half_width : float
        Of the 95 % confidence interval of the shift.
    noise_std : float
        Mean stated std of the noise there; 0: not known.
    """

    low: float
    high: float
    shift: float
    half_width: float
    noise_std: float

    @property
    def beyond_chance(self) -> float:
        """The part of the shift that the confidence interval doesn't cover, positive."""
        return max(0.0, abs(self.shift) - self.half_width)


def bands_of(paired: Paired) -> tuple[Band, ...]:
    """Return the shift of brightness in classes of tissue; none where there is too little of it.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    """
    seen = [_blocks_of(pair) for pair in paired.pairs(paired.parts(_LOOKED_AT))]
    blocks = np.concatenate([one for one in seen if one.size] or [np.zeros((0, 3))])
    if len(blocks) < _FEWEST:
        return ()
    bands = (_band(blocks[each]) for each in _classes(blocks[:, 0]))
    return tuple(band for band in bands if band is not None)


def _classes(bright: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Background, where there is an even dark one, and tissue in parts of equal size."""
    found, tissue = [], np.ones(len(bright), np.bool_)
    if float(np.ptp(bright)) > 0:
        dark = bright <= threshold_otsu(bright)
        if float(bright[dark].std()) < _EVEN * float(np.ptp(bright)) and not dark.all():
            found, tissue = [dark], ~dark
    edges = np.quantile(bright[tissue], np.linspace(0, 1, _BANDS + 1))
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        last = number == _BANDS - 1
        found.append(tissue & (bright >= low) & ((bright <= high) if last else (bright < high)))
    return found


def _blocks_of(pair: Pair) -> NDArray[np.float64]:
    """Brightness, shift and noise std of blocks, (blocks, 3)."""
    from scipy.ndimage import gaussian_filter

    rows, columns = (size // _BLOCK for size in pair.noisy.shape)
    if not rows or not columns:
        return np.zeros((0, 3))
    around = gaussian_filter(pair.denoised, _AROUND_PX)
    planes = np.stack([around, -pair.residual, pair.std]).astype(np.float64)
    cut = planes[:, : rows * _BLOCK, : columns * _BLOCK].reshape(3, rows, _BLOCK, columns, _BLOCK)
    full = pair.known[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return np.asarray(cut.mean((2, 4))[:, full.all((1, 3))].T)


def _band(own: NDArray[np.float64]) -> Band | None:
    """A class of blocks; None where they are too few."""
    if len(own) < _FEWEST:
        return None
    bright, shifts, stds = own.T
    half = _CONFIDENCE * float(shifts.std(ddof=1)) / np.sqrt(len(own))
    return Band(
        float(bright.min()), float(bright.max()), float(shifts.mean()), float(half), float(stds.mean())
    )

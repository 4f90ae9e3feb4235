"""Spatial correlation of noise inside slices: autocorrelation along both axes, and kernels that make it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.spectrum import spectrum_of

#: Least power at any frequency, as a share of the mean: the measured numbers may allow less than none.
_LEAST_POWER = 1e-4
#: Kernel width in pixels from which on noise counts as wide.
_WIDE_FROM_PX = 0.75
#: Reach of a kernel in pixels.
_REACH = 10
#: Differences between pixels are taken over the first step at which noise is correlated less than this.
_NEARLY_INDEPENDENT = 0.5


@dataclass(frozen=True)
class Correlation:
    """Autocorrelation of noise, taken to be the product of one along each axis.

    Attributes
    ----------
    down, right : tuple of float
        Correlation of pixels 1, 2, ... apart down the columns and along the rows; 0 beyond. Empty for
        noise that is independent along that axis.
    """

    down: tuple[float, ...] = ()
    right: tuple[float, ...] = ()

    @classmethod
    def gaussian(cls, down_px: float, right_px: float | None = None) -> Correlation:
        """Return the correlation of white noise smoothed by a sampled Gaussian kernel.

        Parameters
        ----------
        down_px, right_px : float
            Std of the kernel in pixels along each axis; `right_px` None: the same.
        """
        return cls(_gaussian_lags(down_px), _gaussian_lags(down_px if right_px is None else right_px))

    @property
    def is_white(self) -> bool:
        """Whether pixels are independent."""
        return not (self.down or self.right)

    @property
    def width_px(self) -> tuple[float, float]:
        """Std in pixels of the Gaussian kernels that come nearest, down and right; 0: independent."""
        return _width(self.down), _width(self.right)

    @property
    def is_wide(self) -> bool:
        """Whether levels are to be read from large patches."""
        return max(self.width_px) > _WIDE_FROM_PX

    @property
    def steps(self) -> tuple[int, int]:
        """Pixels down and right over which to take differences that hold most of the noise."""
        return _step(self.down), _step(self.right)

    @property
    def difference_gain(self) -> float:
        """Std of (a - b - c + d) / 2 over `steps` for noise of std 1."""
        down, right = self.steps
        return float(np.sqrt((1 - _at(self.down, down)) * (1 - _at(self.right, right))))

    def kernels(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Filters of unit norm that make white noise this correlated, down and right, of odd length."""
        return _kernel(self.down), _kernel(self.right)


#: Noise whose pixels are independent.
WHITE = Correlation()


def _at(lags: tuple[float, ...], step: int) -> float:
    return lags[step - 1] if step <= len(lags) else 0.0


def _step(lags: tuple[float, ...]) -> int:
    steps = range(1, len(lags) + 2)
    return next(step for step in steps if _at(lags, step) <= _NEARLY_INDEPENDENT)


def _gaussian_lags(width_px: float, count: int = _REACH) -> tuple[float, ...]:
    if width_px <= 0:
        return ()
    offsets = np.arange(-4 * count, 4 * count + 1)
    kernel = np.exp(-0.5 * (offsets / width_px) ** 2)
    full = np.correlate(kernel, kernel, "full")[2 * 4 * count :]
    lags = full[1 : count + 1] / full[0]
    return tuple(float(lag) for lag in lags[lags > 1e-4])


def _width(lags: tuple[float, ...]) -> float:
    """Width whose correlation is the measured one over the step at which that is nearest to a half."""
    # Lobes beyond the first zero are ripples, not width.
    lobe = list(takewhile(lambda lag: lag > 0, lags))
    if not lobe:
        return 0.0
    step = 1 + int(np.argmin([abs(lag - 0.5) for lag in lobe]))
    widths = np.arange(0.25, 4.01, 0.05)
    values = [_at(_gaussian_lags(float(width), max(step, 2)), step) for width in widths]
    return round(float(np.interp(_at(lags, step), values, widths)), 2)


def _kernel(lags: tuple[float, ...]) -> NDArray[np.float64]:
    """Symmetric square root of an autocorrelation: its spectrum is the root of the noise's."""
    if not lags:
        return np.ones(1)
    full = np.fft.irfft(np.sqrt(spectrum_of(lags, _LEAST_POWER)))
    kernel = np.concatenate([full[-_REACH:], full[: _REACH + 1]])
    return np.asarray(kernel / np.linalg.norm(kernel))

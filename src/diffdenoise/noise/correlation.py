"""Spatial correlation of noise inside slices: its autocorrelation in two dimensions, and its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import SettingsError

#: Least power at any frequency, as a share of the mean: the measured numbers may allow less than none.
_LEAST_POWER = 1e-4
#: Kernel width in pixels from which on noise counts as wide.
_WIDE_FROM_PX = 0.75
#: Lags in pixels over which a Gaussian's autocorrelation is kept.
_REACH = 10
#: Differences between pixels are taken over the first step at which noise is correlated less than this.
_NEARLY_INDEPENDENT = 0.5
#: Correlation that is no width.
_NOTHING = 0.03
#: Most by which lags that are one and the same may differ: they are written with five digits.
_SAME = 2e-5
#: Lags that differ by no more than this are about the same: estimates scatter so far.
_ABOUT = 0.1


@dataclass(frozen=True, repr=False)
class Correlation:
    """Autocorrelation of noise inside slices.

    It is the same for a lag and its opposite, so that half of the plane says it all.

    Attributes
    ----------
    plane : tuple of tuples of float
        `plane[i][reach + j]`: correlation of pixels i >= 0 down and j = -reach ... reach to the right of each
        other; 0 beyond. The first row is the same from either end, with 1 in its middle. Empty for noise
        whose pixels are independent.
    """

    plane: tuple[tuple[float, ...], ...] = ()

    def __repr__(self) -> str:
        """One line, without the lags."""
        down, right = self.width_px
        return f"Correlation({down:g} x {right:g} px)"

    @classmethod
    def of_plane(cls, plane: NDArray[np.float64] | Sequence[Sequence[float]]) -> Correlation:
        """Return the correlation with these lags.

        Parameters
        ----------
        plane : array (lags down, 2 reach + 1)
            As the attribute; rows and columns of zeros at its ends are left out.

        Raises
        ------
        SettingsError
            If it is no half of a plane of lags.
        """
        try:
            lags = np.array(plane, dtype=np.float64)
        except ValueError as error:
            raise SettingsError("noise correlation: its rows differ in length") from error
        if lags.size == 0:
            return cls()
        if lags.ndim != 2 or not lags.shape[1] % 2 or not np.isfinite(lags).all():
            raise SettingsError("noise correlation: expected rows of an odd number of finite lags")
        middle = lags.shape[1] // 2
        if abs(lags[0, middle] - 1) > _SAME or np.abs(lags[0] - lags[0, ::-1]).max() > _SAME:
            raise SettingsError(
                "noise correlation: expected 1 in the middle of a first row with equal halves"
            )
        lags[0, middle:] = [1.0, *lags[0, middle + 1 :]]
        lags[0, :middle] = lags[0, :middle:-1]
        rows, columns = np.nonzero(lags)
        reach = int(np.abs(columns - middle).max())
        if not rows.max() and not reach:
            return cls()
        kept = lags[: rows.max() + 1, middle - reach : middle + reach + 1]
        return cls(tuple(tuple(float(lag) for lag in row) for row in kept))

    @classmethod
    def of_axes(cls, down: Sequence[float], right: Sequence[float]) -> Correlation:
        """Return the correlation that is the product of one along each axis.

        Parameters
        ----------
        down, right : sequence of float
            Correlation of pixels 1, 2, ... apart down the columns and along the rows.
        """
        across = np.array([*right[::-1], 1.0, *right])
        return cls.of_plane(np.outer([1.0, *down], across))

    @classmethod
    def gaussian(cls, down_px: float, right_px: float | None = None) -> Correlation:
        """Return the correlation of white noise smoothed by a sampled Gaussian kernel.

        Parameters
        ----------
        down_px, right_px : float
            Std of the kernel in pixels along each axis; `right_px` None: the same.
        """
        return cls.of_axes(_gaussian_lags(down_px), _gaussian_lags(down_px if right_px is None else right_px))

    @property
    def reach(self) -> tuple[int, int]:
        """Largest lags, down and right, at which pixels are correlated."""
        return (len(self.plane) - 1, len(self.plane[0]) // 2) if self.plane else (0, 0)

    @property
    def down(self) -> tuple[float, ...]:
        """Correlation of pixels 1, 2, ... apart down the columns; 0 beyond."""
        middle = self.reach[1]
        return _without_end(tuple(row[middle] for row in self.plane[1:]))

    @property
    def right(self) -> tuple[float, ...]:
        """Correlation of pixels 1, 2, ... apart along the rows; 0 beyond."""
        return _without_end(self.plane[0][self.reach[1] + 1 :] if self.plane else ())

    @property
    def is_white(self) -> bool:
        """Whether pixels are independent."""
        return not self.plane

    @property
    def width_px(self) -> tuple[float, float]:
        """Std in pixels of the Gaussian kernels that come nearest, down and right; 0: independent.

        For words alone: it knows nothing of negative lags nor of slanting ones.
        """
        return _width(self.down), _width(self.right)

    @property
    def is_wide(self) -> bool:
        """Whether levels are to be read from large patches."""
        return max(self.width_px) > _WIDE_FROM_PX

    @property
    def is_alike_turned(self) -> bool:
        """Whether it is the same along both axes and diagonals, so that turned noise is like noise."""
        full = self.full()
        square = full.shape[0] == full.shape[1]
        return square and all(np.abs(full - other).max() <= _SAME for other in (full.T, full[::-1]))

    def alike_turns(self) -> tuple[int, ...]:
        """Return which of the eight turns of an image leave noise about as it is.

        Returns
        -------
        tuple of int
            Quarter turns, and 4 more where the image is then mirrored; always 0 and 2.
        """
        rows, columns = self.reach
        side = max(rows, columns)
        full = np.pad(self.full(), [(side - rows,) * 2, (side - columns,) * 2])
        turned = [np.rot90(full, turn % 4) for turn in range(8)]
        turned[4:] = [one[:, ::-1] for one in turned[4:]]
        return tuple(turn for turn, one in enumerate(turned) if np.abs(one - full).max() <= _ABOUT)

    @property
    def steps(self) -> tuple[int, int]:
        """Pixels down and right over which to take differences that hold most of the noise."""
        return _step(self.down), _step(self.right)

    @property
    def difference_gain(self) -> float:
        """Std of (a - b - c + d) / 2 over `steps` for noise of std 1."""
        down, right = self.steps
        slanting = (self.at(down, right) + self.at(down, -right)) / 2
        # Lags that were measured may be a little more than any noise has.
        return float(np.sqrt(max(1 - self.at(down, 0) - self.at(0, right) + slanting, _LEAST_POWER)))

    def at(self, down: int, right: int) -> float:
        """Correlation of pixels so many down and to the right of each other; either may be negative."""
        if down < 0:
            down, right = -down, -right
        rows, columns = self.reach
        inside = bool(self.plane) and down <= rows and abs(right) <= columns
        return self.plane[down][columns + right] if inside else float(down == right == 0)

    def full(self) -> NDArray[np.float64]:
        """Whole plane of lags, (2 reach down + 1, 2 reach right + 1)."""
        half = np.array(self.plane or ((1.0,),))
        return np.concatenate([half[:0:-1, ::-1], half])

    def spectrum(self, height: int, width: int) -> NDArray[np.float64]:
        """Power at the frequencies of `numpy.fft.fft2` of an image, of mean 1.

        Parameters
        ----------
        height, width : int
            Of the image in pixels, at whose ends the noise goes on at the other end.

        Returns
        -------
        array (height, width)
            Never less than 1e-4 of the mean.
        """
        return power_of(self.full(), height, width)

    def as_dict(self) -> dict[str, Any]:
        """Return the correlation as plain lists."""
        return {
            "down": list(self.down),
            "right": list(self.right),
            "plane": [list(row) for row in self.plane],
        }


#: Noise whose pixels are independent.
WHITE = Correlation()


def power_of(full: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Power (height, width) of an autocorrelation, a whole plane of lags; see `Correlation.spectrum`."""
    rows, columns = (np.arange(side) - side // 2 for side in full.shape)
    around = np.zeros((height, width))
    np.add.at(around, np.ix_(rows % height, columns % width), full)
    power = np.fft.fft2(around).real
    power = np.maximum(power, _LEAST_POWER * power.mean())
    return np.asarray(power / power.mean())


def _without_end(lags: tuple[float, ...]) -> tuple[float, ...]:
    """Lags without the zeros at their end."""
    last = max((index + 1 for index, lag in enumerate(lags) if lag), default=0)
    return lags[:last]


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
    lobe = list(takewhile(lambda lag: lag > _NOTHING, lags))
    if not lobe:
        return 0.0
    step = 1 + int(np.argmin([abs(lag - 0.5) for lag in lobe]))
    widths = np.arange(0.25, 4.01, 0.05)
    values = [_at(_gaussian_lags(float(width), max(step, 2)), step) for width in widths]
    return round(float(np.interp(_at(lags, step), values, widths)), 2)

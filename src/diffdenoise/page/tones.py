"""Values of a scan as 8-bit tones that can still be windowed, and tones as small images."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.window import Window

#: Tones below and above the window that a page opens with, where there are values: of 256. The rest are
#: for the window itself, so that a narrow one (400 HU of a CT's 3000) is not shown in steps.
_BELOW, _ABOVE = 64, 48
#: Percentiles of the values that still have a tone of their own, and HU beyond which a CT's have none.
_TAILS, _HOUNSFIELD = (0.01, 99.99), (-1024.0, 2000.0)
#: Tone of a residual of zero; those of its bounds are as far from it on both sides.
ZERO = 127


@dataclass(frozen=True)
class Tones:
    """Which tone a value has: straight lines between knots.

    Attributes
    ----------
    tones : tuple of int
        Of the knots: from 0 to 255, rising.
    values : tuple of float
        Of the knots, in the scan's units, rising.
    """

    tones: tuple[int, ...]
    values: tuple[float, ...]

    def of(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the tones of values; what is not a number has the lowest."""
        tones = np.interp(np.nan_to_num(values, nan=self.values[0]), self.values, self.tones)
        return np.asarray(np.rint(tones), dtype=np.uint8)


def tones_for(window: Window, values: NDArray[np.float64]) -> Tones:
    """Return tones for a window and what lies beyond it.

    Parameters
    ----------
    window : Window
        That the page opens with; it gets most tones.
    values : float64 array
        Of the scan.
    """
    values = values[np.isfinite(values)]
    least, most = (float(each) for each in np.percentile(values, _TAILS)) if values.size else (0.0, 0.0)
    if window.unit == "HU":
        least, most = max(least, _HOUNSFIELD[0]), min(most, _HOUNSFIELD[1])
    knots = [(0, window.low), (255, window.high)]
    if least < window.low:
        knots[0] = (_BELOW, window.low)
        knots.insert(0, (0, least))
    if most > window.high:
        knots[-1] = (255 - _ABOVE, window.high)
        knots.append((255, most))
    return Tones(tuple(tone for tone, _ in knots), tuple(value for _, value in knots))


def residual_tones(residual: NDArray[np.float64], bound: float) -> NDArray[np.uint8]:
    """Return the tones of a residual: 0 at minus the bound, `ZERO` at zero, twice that at the bound."""
    share = np.clip(np.nan_to_num(residual / bound, nan=0.0), -1, 1)
    return np.asarray(np.rint(ZERO + ZERO * share), dtype=np.uint8)


def share_tones(values: NDArray[np.float64], top: float) -> NDArray[np.uint8]:
    """Return the tones of values from zero to a top."""
    share = np.clip(np.nan_to_num(values / top, nan=0.0), 0, 1)
    return np.asarray(np.rint(255 * share), dtype=np.uint8)


def encode(tones: NDArray[np.uint8], quality: int | None) -> bytes:
    """Return tones as a WebP image; exactly where no quality (0 to 100) is given."""
    from PIL import Image

    stream = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(tones))
    if quality is None:
        image.save(stream, "WEBP", lossless=True)
    else:
        image.save(stream, "WEBP", quality=quality)
    return stream.getvalue()

"""The slices of a scan that are denoised again and again, for tests that change them on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.trust.paired import Paired, magnitude_of
from diffdenoise.types import Stack

#: Denoises slices once more, as the scan was: volume, number of the first slice, scaled intensities.
Redenoise = Callable[[int, int, Stack], Stack]
#: Pixels at most, slices at most and at least.
_PIXELS, _MOST, _LEAST = 500_000, 10, 1
#: Std in pixels of the Gaussian that tells tissue; where intensities begin and end; share of these that is
#: dark; least signal of magnitudes in stds of the noise.
_AROUND_PX, _ENDS, _DARK, _SIGNAL = 2.0, (0.02, 0.98), 0.1, 3.0


@dataclass(frozen=True)
class Slab:
    """Adjacent slices about the one with most to see, denoised again.

    Attributes
    ----------
    volume, first : int
        Where they are.
    noisy, denoised : float32 array (slices, height, width)
        Scaled intensities before and after.
    expected : float32 array, same shape
        What the noisy image would be on average if the denoised one were the truth: of magnitudes more.
    known : bool array, same shape
        Where there is data.
    std : float32 array, same shape
        Stated std of the noise.
    correlation : Correlation
        Of the noise inside slices.
    is_magnitude : bool
        Whether the noise is that of magnitudes.
    thickness : float
        Distance of slices in pixels; infinite: they are images of their own.
    """

    volume: int
    first: int
    noisy: Stack
    denoised: Stack
    expected: Stack
    known: NDArray[np.bool_]
    std: Stack
    correlation: Correlation
    is_magnitude: bool
    thickness: float

    @cached_property
    def tissue(self) -> NDArray[np.bool_]:
        """Where there is something to see: data, and of magnitudes a signal well above the noise."""
        from scipy.ndimage import gaussian_filter

        smooth = gaussian_filter(self.denoised, (0, _AROUND_PX, _AROUND_PX))
        if not self.known.any():
            return self.known
        low, high = np.quantile(smooth[self.known], _ENDS)
        above = _SIGNAL * self.std if self.is_magnitude else _DARK * (high - low)
        return np.asarray(self.known & (smooth > low + above))

    @property
    def unbiased(self) -> Stack:
        """Noisy slices less what noise adds to magnitudes."""
        return self.noisy - (self.expected - self.denoised)


def cut_slab(paired: Paired, again: Redenoise, thickness: float = np.inf) -> Slab | None:
    """Cut out a slab and denoise it; None where the noise isn't known.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    again : callable
        The denoiser.
    thickness : float
        Distance of slices in pixels.
    """
    noise, shapes = paired.noise, paired.shapes
    if noise.diagnosis.std <= 0:
        return None
    volume = len(shapes) // 2
    count, height, width = shapes[volume]
    wanted = min(count, _MOST, max(_LEAST, _PIXELS // (height * width)))
    first = max(0, _fullest(paired, volume, count) - wanted // 2)
    first = min(first, count - wanted)
    pairs = [paired.slice(volume, number) for number in range(first, first + wanted)]
    noisy = np.stack([pair.noisy for pair in pairs])
    known = np.stack([pair.known for pair in pairs])
    denoised = again(volume, first, noisy)
    factor = (
        1.0 if noise.factors is None else np.stack([noise.factors[volume][first + k] for k in range(wanted)])
    )
    std = noise.model.levels(denoised, factor).astype(np.float32)
    expected = magnitude_of(noise, denoised, factor)
    return Slab(
        volume,
        first,
        noisy,
        denoised,
        expected,
        known,
        std,
        noise.model.correlation,
        noise.diagnosis.rician_std is not None,
        thickness,
    )


def _fullest(paired: Paired, volume: int, count: int) -> int:
    """Number of the slice with the most contrast, of a few from the middle half."""
    numbers = np.unique(np.linspace(count // 4, max(count // 4, count - 1 - count // 4), 5).astype(int))
    return int(max(numbers, key=lambda number: float(paired.slice(volume, int(number)).denoised.std())))


def draw_noise(std: Stack, correlation: Correlation, rng: np.random.Generator) -> Stack:
    """Draw noise of a level at each pixel and a correlation, float32 (slices, height, width)."""
    count, height, width = std.shape
    down, right = correlation.reach
    size = (height + down, width + right)
    root = np.sqrt(correlation.spectrum(*size))
    white = rng.standard_normal((count, *size))
    # On a torus larger than the image (Dietrich and Newsam 1997), so that its edges don't meet.
    unit = np.fft.ifft2(np.fft.fft2(white) * root).real[:, :height, :width]
    return (std * unit).astype(np.float32)

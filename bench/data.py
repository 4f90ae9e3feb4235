"""What a method of the benchmark is given, and what its result is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.noise import Noise
from bench.observer import Phantom
from diffdenoise.types import Stack

Array = NDArray[np.float64]
#: Slices that are scored, evenly spaced: enough for a mean, few enough for the slow methods.
MOST_SCORED = 16
#: Reach in pixels to which differences of repeats tell the autocorrelation of their noise.
_REACH_PX = 18


class MissingDataError(Exception):
    """A case's files are not in the data folder."""


@dataclass
class Data:
    """What a method is given, and what its result is held against.

    Attributes
    ----------
    noisy : list of float32 arrays (slices, height, width)
        Denoised and scored.
    clean : list of arrays, same shapes
        References; for real noise, the mean of other repeats.
    train : list of arrays
        Noisy stacks that may be learned from: `noisy` itself where there is one scan.
    train_clean : list of arrays or None
        Their references for the ceiling; None where no clean image exists.
    noise : Noise
    data_range : float or None
        Peak in PSNR and SSIM; None: the reference's own range.
    reference_std : float
        Std of the reference's own noise, scaled intensities.
    differences : list of arrays (slices, height, width)
        Of real repeats, scaled to the noise of one: what tells its level and spectrum to peers.
    others : list of arrays
        Clean stacks of other subjects, for the ceiling that has not seen this scan.
    phantom : Phantom or None
        What an observer is to find in the scored slices.
    scored : list of (stack, slice)
        Which are scored; none given: evenly spaced ones.
    spacing_mm : tuple of float or None
        Voxel sizes across the slices, down and right; None: single slices, or thick ones.
    """

    noisy: list[Stack]
    clean: list[Stack]
    train: list[Stack]
    train_clean: list[Stack] | None
    noise: Noise
    data_range: float | None = 1.0
    reference_std: float = 0.0
    differences: list[Stack] = field(default_factory=list)
    others: list[Stack] = field(default_factory=list)
    phantom: Phantom | None = None
    scored: list[tuple[int, int]] = field(default_factory=list)
    spacing_mm: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.scored:
            return
        places = [(s, k) for s, stack in enumerate(self.noisy) for k in range(len(stack))]
        chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_SCORED)).round().astype(int))
        self.scored = [places[index] for index in chosen]

    def reference(self) -> Stack:
        """Scored slices of the reference, (slices, height, width)."""
        return np.stack([self.clean[s][k] for s, k in self.scored])

    @property
    def told_std(self) -> float:
        """Level that is told to methods that take one: the true one in the middle, or a wavelet estimate."""
        noise = self.noise
        if noise.kind == "poisson-gaussian":
            middle = float(np.median(np.concatenate([stack.ravel() for stack in self.clean])))
            return float(np.sqrt(noise.gain * max(middle, 0.0) + noise.offset_variance))
        if noise.rises_to > 1:
            return noise.std * float(np.median(noise.place(self.noisy[0].shape)))
        return noise.std or self.estimated_std

    @property
    def estimated_std(self) -> float:
        """Wavelet MAD over the scored slices (Donoho and Johnstone 1994), by scikit-image."""
        from skimage.restoration import estimate_sigma

        levels = [estimate_sigma(self.noisy[s][k]) for s, k in self.scored]  # type: ignore[no-untyped-call]
        return float(np.median(levels))

    def repeats_power(self, shape: Sequence[int]) -> Array:
        """Power spectral density that the repeats' differences show, as `Noise.spectrum` gives it.

        Its level is that in tissue: air of magnitude images is calmer.
        """
        power = power_of(self.differences, shape)
        reference = np.concatenate([stack.ravel() for stack in self.clean])
        if len(self.differences) == 1 and self.differences[0].size == reference.size:
            inside = reference > 0.1 * reference.max()
            power *= np.mean(self.differences[0].ravel()[inside] ** 2) / np.mean(self.differences[0] ** 2)
        return power


def power_of(noises: Sequence[Stack], shape: Sequence[int]) -> Array:
    """Power spectral density of noise, from slices of it.

    Parameters
    ----------
    noises : sequence of arrays (slices, height, width)
        Noise alone; autocorrelation beyond 18 px is taken for none.
    shape : (height, width) or (slices, height, width)
        Of what is to be denoised; slices are independent.

    Returns
    -------
    array of that shape
        Mean of |FFT of the noise|^2.
    """
    height, width = shape[-2:]
    total, count = np.zeros((2 * _REACH_PX + 1,) * 2), 0
    for stack in noises:
        padded = [size + _REACH_PX for size in stack.shape[1:]]
        ones = np.abs(np.fft.rfft2(np.ones(stack.shape[1:]), padded)) ** 2
        pairs = np.fft.irfft2(ones, padded)
        for image in stack:
            products = np.fft.irfft2(np.abs(np.fft.rfft2(image - image.mean(), padded)) ** 2, padded)
            total += _around_zero(products / np.maximum(pairs, 1))
            count += 1
    # A taper, since what is cut off at once rings: its own spectrum smooths the one that is estimated.
    far = np.abs(np.arange(-_REACH_PX, _REACH_PX + 1)) / (_REACH_PX + 1)
    taper = np.cos(np.pi / 2 * np.clip(2 * far - 1, 0, 1)) ** 2
    if min(height, width) < 2 * _REACH_PX + 1:
        raise ValueError(f"power_of: {height}x{width} is too small; expected {2 * _REACH_PX + 1} px and more")
    covariance = np.zeros((height, width))
    lags = np.arange(-_REACH_PX, _REACH_PX + 1)
    covariance[np.ix_(lags, lags)] = total / count * np.outer(taper, taper)
    power = np.fft.fft2(covariance).real
    power = np.maximum(power, 1e-4 * power.mean())
    return np.asarray(np.broadcast_to(power, shape) * float(np.prod(shape)))


def _around_zero(products: Array) -> Array:
    """Lags up to the reach on either side, of products that wrap around."""
    lags = np.arange(-_REACH_PX, _REACH_PX + 1)
    return np.asarray(products[np.ix_(lags, lags)])

"""Made-up scans before and after, whose noise is stated as it is, and linear denoisers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.statement import Noise
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from diffdenoise.scan.voxels import as_voxels
from diffdenoise.trust.paired import Paired
from diffdenoise.types import Stack

#: Std of the noise, scaled intensities.
LEVEL = 0.05
Volume = NDArray[np.float64]


def rounds(count: int = 6, side: int = 96, width_px: float = 0.8) -> Volume:
    """Soft discs on a slope inside a round head, (count, side, side), 0 to 1; slices differ."""
    y, x = np.mgrid[:side, :side] / (side - 1) - 0.5
    found = []
    for number in range(count):
        turn = 0.3 * number
        image = 0.4 + 0.3 * x + 0.1 * np.sin(6 * y)
        for step in range(5):
            angle = turn + 2 * np.pi * step / 5
            near = np.hypot(y - 0.25 * np.sin(angle), x - 0.25 * np.cos(angle)) < 0.04 + 0.015 * step
            image = image + (0.3 if step % 2 else -0.2) * near
        found.append(gaussian_filter(np.where(np.hypot(y, x) < 0.46, image, 0.0), width_px))
    return np.stack(found)


def noise_like(
    shape: tuple[int, ...], std: float = LEVEL, seed: int = 0, correlation: Correlation = WHITE
) -> Volume:
    """Gaussian noise of a correlation inside slices."""
    white = np.random.default_rng(seed).standard_normal(shape)
    if correlation.is_white:
        return std * white
    root = np.sqrt(correlation.spectrum(*shape[1:]))
    return std * np.fft.ifft2(np.fft.fft2(white) * root).real


def paired_of(
    noisy: Volume,
    denoised: Volume,
    std: float = LEVEL,
    correlation: Correlation = WHITE,
    *,
    model: NoiseModel | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
    **known: object,
) -> Paired:
    """A scan (slices, height, width) before and after, its noise stated to be this.

    Scaled intensities 0 and 1 are those of `scale`: by default the scan's own.
    """
    ready = replace(prepare(from_array(np.asarray(noisy)), 0), intensities=IntensityMap(*scale))
    noise = Noise(ready)
    stated = Diagnosis(model or NoiseModel.constant(std, correlation), 0.0, (), None)
    noise.__dict__["diagnosis"] = replace(stated, **known)
    return Paired(noise, as_voxels(np.asarray(denoised)))


class Blur:
    """A linear denoiser: each slice smoothed by a Gaussian of this std in pixels."""

    def __init__(self, width_px: float) -> None:
        self.width_px = width_px

    def __call__(self, volume: int, first: int, values: Stack) -> Stack:
        return np.asarray(self.of(values), np.float32)

    def of(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Slices smoothed."""
        width = (0, self.width_px, self.width_px)
        return np.asarray(gaussian_filter(values, width, mode="wrap"))


def same(volume: int, first: int, values: Stack) -> Stack:
    """The denoiser that leaves all as it is."""
    return values


def nothing(volume: int, first: int, values: Stack) -> Stack:
    """The denoiser that gives zeros."""
    return np.zeros_like(values)

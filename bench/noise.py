"""Noise of known law: added to clean scans, drawn anew on patches, and told to peers as it is.

One power spectrum serves all three, and nothing of the package's own simulation is used, so that neither
can hide a fault of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffdenoise.types import Stack

Kind = Literal["gaussian", "rician", "chi", "poisson-gaussian", "real"]
Array = NDArray[np.float64]

#: Share of the Poisson-Gaussian noise's variance, at the intensity 1, that does not depend on the signal.
GAUSSIAN_SHARE = 0.1
#: Ramp-filtered noise: power at no frequency, as if of this one in cycles per pixel; and the floor that views
#: of finite number and electronics leave everywhere, as a share of the mean.
_LOWEST_RAMP, _FLOOR = 0.01, 1e-3
#: Where the level varies in place: centre and width of the hill, as shares of a slice's sides.
_HILL_AT, _HILL_WIDTH = (0.45, 0.55), 0.22


@dataclass(frozen=True)
class Colour:
    """Power spectrum of stationary noise inside slices.

    Attributes
    ----------
    kernel_px : float
        Std in pixels of the Gaussian kernel that white noise is smoothed with; 0: none.
    ramp : bool
        Whether it is ramp-filtered as in CT: a band-pass, f cos^2(pi f), with its peak near 0.2 cycles a
        pixel.
    cut : float
        Frequency in cycles a pixel beyond which there is none along either axis, as after zero-filling.
    """

    kernel_px: float = 0.0
    ramp: bool = False
    cut: float = 0.5

    @property
    def is_white(self) -> bool:
        """Whether pixels are independent."""
        return not (self.kernel_px or self.ramp or self.cut < 0.5)

    def power(self, shape: tuple[int, int]) -> Array:
        """Power at each frequency of an FFT of a slice of that shape, mean 1."""
        power = np.ones(shape)
        if self.kernel_px:
            from scipy.ndimage import gaussian_filter

            delta = np.zeros(shape)
            delta[0, 0] = 1.0
            power = np.abs(np.fft.fft2(gaussian_filter(delta, self.kernel_px, mode="wrap"))) ** 2
        down, right = (np.fft.fftfreq(size) for size in shape)
        if self.cut < 0.5:
            inside = (np.abs(down) < self.cut)[:, None] & (np.abs(right) < self.cut)
            power = power * np.maximum(inside, _FLOOR)
        if self.ramp:
            frequency = np.hypot(down[:, None], right)
            window = np.where(frequency < 0.5, np.cos(np.pi * frequency), 0)
            # Quantum noise after the ramp |f| has the power f^2 / f; apodisation counts twice.
            power = power * (frequency + _LOWEST_RAMP) * window**2
            power += _FLOOR * power.mean()
        return np.asarray(power / power.mean())


WHITE = Colour()


@dataclass(frozen=True)
class Noise:
    """Noise of a case.

    Attributes
    ----------
    kind : str
        "real" where it came with the scan.
    std : float
        In scaled intensities (Poisson-Gaussian: at the intensity 1; Rician and chi: of each part). 0 for real
        noise.
    colour : Colour
        Spectrum inside slices.
    coils : int
        Whose sum of squares a magnitude is the root of.
    rises_to : float
        The level rises in place, from `std` at the edge to this many times it inside, as a g-factor does.
    """

    kind: Kind
    std: float = 0.0
    colour: Colour = WHITE
    coils: int = 1
    rises_to: float = 1.0

    @property
    def is_magnitude(self) -> bool:
        """Whether it is that of a magnitude image."""
        return self.kind in ("rician", "chi")

    @property
    def gain(self) -> float:
        """Variance that one unit of signal brings (Poisson-Gaussian)."""
        return (1 - GAUSSIAN_SHARE) * self.std**2 if self.kind == "poisson-gaussian" else 0.0

    @property
    def offset_variance(self) -> float:
        """Variance without signal (Poisson-Gaussian)."""
        return GAUSSIAN_SHARE * self.std**2

    def place(self, shape: Sequence[int]) -> Array:
        """Level in place as multiples of `std`, (height, width)."""
        down, right = (np.arange(size) / size for size in shape[-2:])
        distance = ((down - _HILL_AT[0]) ** 2)[:, None] + (right - _HILL_AT[1]) ** 2
        return np.asarray(1 + (self.rises_to - 1) * np.exp(-0.5 * distance / _HILL_WIDTH**2))

    def add(self, clean: Stack, rng: np.random.Generator) -> Stack:
        """Noisy copy of a stack (slices, height, width)."""
        first = self._unit(clean.shape, rng)
        if self.is_magnitude:
            squares = (clean.clip(0) + self.std * first) ** 2
            for _ in range(2 * self.coils - 1):
                squares += (self.std * self._unit(clean.shape, rng)) ** 2
            noisy = np.sqrt(squares)
        elif self.kind == "poisson-gaussian":
            noisy = clean + np.sqrt(self.gain * clean.clip(0) + self.offset_variance) * first
        else:
            noisy = clean + self.std * self.place(clean.shape) * first
        return noisy.astype(np.float32)

    def _unit(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Gaussian noise of std 1 with the colour, (slices, height, width)."""
        white = rng.standard_normal(shape)
        if self.colour.is_white:
            return white
        root = np.sqrt(self.colour.power(shape[-2:]))  # type: ignore[arg-type]
        return np.asarray(np.fft.ifft2(root * np.fft.fft2(white)).real)

    def add_to_patches(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Noisy copy of patches (batch, channels, height, width), each channel with its own noise.

        Where a patch lies is not known, so that a level that varies in place is drawn from anywhere.
        """
        first = self._unit_patches(clean, generator)
        if self.is_magnitude:
            squares = (clean.clamp_min(0) + self.std * first) ** 2
            for _ in range(2 * self.coils - 1):
                squares += (self.std * self._unit_patches(clean, generator)) ** 2
            magnitude: Tensor = squares.sqrt()
            return magnitude
        if self.kind == "poisson-gaussian":
            return clean + (self.gain * clean.clamp_min(0) + self.offset_variance).sqrt() * first
        level = torch.full((len(clean), 1, 1, 1), self.std)
        if self.rises_to > 1:
            places = torch.from_numpy(self.place((64, 64))).float().flatten()
            drawn = torch.randint(len(places), (len(clean),), generator=generator)
            level = level * places[drawn].view(-1, 1, 1, 1)
        return clean + level.to(clean.device) * first

    def _unit_patches(self, like: Tensor, generator: torch.Generator) -> Tensor:
        height, width = like.shape[-2:]
        if self.colour.is_white:
            return torch.randn(like.shape, generator=generator).to(like.device)
        # Drawn on twice the patch and cropped, so that it does not wrap around inside of it.
        shape = (2 * height, 2 * width)
        root = torch.from_numpy(self.colour.power(shape)).float().sqrt()
        white = torch.randn((*like.shape[:-2], *shape), generator=generator)
        coloured: Tensor = torch.fft.ifft2(root * torch.fft.fft2(white)).real
        return coloured[..., :height, :width].contiguous().to(like.device)

    def spectrum(self, shape: Sequence[int]) -> Array:
        """Power spectral density as BM3D and BM4D want it: mean of |FFT of the noise|^2.

        Of a slice (height, width) or a stack (slices, height, width), whose slices are independent.
        """
        power = self.colour.power((shape[-2], shape[-1]))
        return np.asarray(self.std**2 * np.broadcast_to(power, shape) * np.prod(shape))

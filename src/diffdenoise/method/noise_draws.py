"""Draw noise like the scan's own, for the losses and estimates that need it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.training.slices import turn_square

#: Std in pixels of the blur that tells the local brightness from a noisy slice.
_BRIGHTNESS_BLUR_PX = 1.5


class NoiseDraws:
    """A noise model on a device.

    Parameters
    ----------
    model : NoiseModel
        Level by brightness, and correlation, in the domain in which it is wanted: the same at every place.
    device : torch.device
        Where the noise is wanted.
    """

    def __init__(self, model: NoiseModel, device: torch.device) -> None:
        self._device = device
        self._knots = torch.tensor(model.brightness, device=device)
        self._stds = torch.tensor(model.stds, device=device)
        self._constant = model.is_constant
        self._colour = _Colour(model.correlation, device)
        self._background = None if model.background is None else _Colour(model.background, device)
        correlations = [model.correlation, model.background or model.correlation]
        self._alike_turned = all(one.is_alike_turned for one in correlations)
        self._blur = gaussian_kernel(_BRIGHTNESS_BLUR_PX, device)

    def std(self, centre: Tensor) -> Tensor:
        """Noise std at each pixel of noisy slices (batch, 1, height, width).

        Parameters
        ----------
        centre : Tensor (batch, 1, height, width)
            Noisy slices, which tell the brightness at each pixel.
        """
        if self._constant:
            return self._stds[:1].reshape(1, 1, 1, 1)
        return interpolate(self._brightness(centre), self._knots, self._stds)

    def draw(
        self,
        centre: Tensor,
        generator: torch.Generator,
        turns: Sequence[int] | None = None,
    ) -> Tensor:
        """Draw noise like that of noisy slices.

        Parameters
        ----------
        centre : Tensor (batch, 1, height, width)
            Noisy slices, which tell the level at each pixel.
        generator, turns
            See `unit`.
        """
        noise = self.unit(centre.shape, generator, turns)
        if self._background is not None:
            other = self._turned(self._background.draw(centre.shape, generator), turns)
            low, high = self._knots[:2]
            signal = ((self._brightness(centre) - low) / (high - low)).clamp(0, 1)
            noise = signal.sqrt() * noise + (1 - signal).sqrt() * other
        return self.std(centre) * noise

    def unit(
        self,
        shape: tuple[int, ...] | torch.Size,
        generator: torch.Generator,
        turns: Sequence[int] | None = None,
    ) -> Tensor:
        """Draw noise of unit variance with the model's correlation.

        Parameters
        ----------
        shape : (batch, 1, height, width)
            Of the noise.
        generator : torch.Generator
            Source of the draws.
        turns : sequence of int, optional
            How each (square) patch of the batch was turned: its noise is correlated along the axes of the
            scan, not of the patch.
        """
        return self._turned(self._colour.draw(shape, generator), turns)

    def _turned(self, noise: Tensor, turns: Sequence[int] | None) -> Tensor:
        if turns is None or self._alike_turned:
            return noise
        return torch.stack([turn_square(one, turn) for one, turn in zip(noise, turns, strict=True)])

    def _brightness(self, centre: Tensor) -> Tensor:
        """Local brightness of noisy slices, same shape."""
        with torch.autocast(centre.device.type, enabled=False):
            return smooth(centre, self._blur, self._blur) / smooth(
                torch.ones_like(centre[:1]), self._blur, self._blur
            )


class _Colour:
    """Draws unit noise of one correlation: white noise times the root of the spectrum.

    It is drawn on a torus that is larger than the image by the largest lag, and cropped: no two pixels of
    the image are then neighbours around the back, so that variance and correlation are exact up to the edges
    (circulant embedding: Dietrich and Newsam 1997, "Fast and exact simulation of stationary Gaussian
    processes through circulant embedding of the covariance matrix").
    """

    def __init__(self, correlation: Correlation, device: torch.device) -> None:
        self._correlation, self._device = correlation, device
        self._roots: dict[tuple[int, int], Tensor] = {}

    def draw(self, shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
        """Draw (batch, 1, height, width)."""
        if self._correlation.is_white:
            return torch.randn(shape, generator=generator).to(self._device)
        height, width = shape[-2:]
        torus = self._torus(height, width)
        white = torch.randn(*shape[:-2], *torus, generator=generator).to(self._device)
        with torch.autocast(self._device.type, enabled=False):
            coloured: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * self._root(torus), s=torus)
        return coloured[..., :height, :width]

    def _torus(self, height: int, width: int) -> tuple[int, int]:
        from scipy.fft import next_fast_len

        down, right = self._correlation.reach
        rows = next_fast_len(max(height + down, 2 * down + 1), real=True)
        return rows, next_fast_len(max(width + right, 2 * right + 1), real=True)

    def _root(self, torus: tuple[int, int]) -> Tensor:
        if torus not in self._roots:
            half = np.sqrt(self._correlation.spectrum(*torus))[:, : torus[1] // 2 + 1]
            self._roots[torus] = torch.from_numpy(half).float().to(self._device)
        return self._roots[torus]


def interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear, constant beyond the ends."""
    upper = torch.searchsorted(knots, x.detach().clamp(knots[0], knots[-1]).contiguous())
    upper = upper.clamp(1, len(knots) - 1)
    low, high = knots[upper - 1], knots[upper]
    part = ((x - low) / (high - low)).clamp(0, 1)
    return torch.lerp(values[upper - 1], values[upper], part)

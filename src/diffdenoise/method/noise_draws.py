"""Draw noise like the scan's own, for the losses and estimates that need it."""

from __future__ import annotations

from collections.abc import Sequence

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
        Level by brightness, and correlation.
    device : torch.device
        Where the noise is wanted.
    """

    def __init__(self, model: NoiseModel, device: torch.device) -> None:
        self._device = device
        self._knots = torch.tensor(model.brightness, device=device)
        self._stds = torch.tensor(model.stds, device=device)
        self._constant = model.is_constant
        self._kernels = self._on_device(model.correlation)
        self._background = None if model.background is None else self._on_device(model.background)
        correlations = [model.correlation, model.background or model.correlation]
        self._isotropic = all(one.down == one.right for one in correlations)
        self._blur = gaussian_kernel(_BRIGHTNESS_BLUR_PX, device)

    def std(self, centre: Tensor) -> Tensor:
        """Noise std at each pixel of noisy slices (batch, 1, height, width)."""
        if self._constant:
            return self._stds[:1].reshape(1, 1, 1, 1)
        return _interpolate(self._brightness(centre), self._knots, self._stds)

    def draw(self, centre: Tensor, generator: torch.Generator, turns: Sequence[int] | None = None) -> Tensor:
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
            other = self._turned(self._coloured(centre.shape, generator, self._background), turns)
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
        return self._turned(self._coloured(shape, generator, self._kernels), turns)

    def _turned(self, noise: Tensor, turns: Sequence[int] | None) -> Tensor:
        if turns is None or self._isotropic:
            return noise
        return torch.stack([turn_square(one, turn) for one, turn in zip(noise, turns, strict=True)])

    def _on_device(self, correlation: Correlation) -> tuple[Tensor, Tensor]:
        down, right = (torch.from_numpy(kernel).float() for kernel in correlation.kernels())
        return down.to(self._device), right.to(self._device)

    def _brightness(self, centre: Tensor) -> Tensor:
        """Local brightness of noisy slices, same shape."""
        with torch.autocast(centre.device.type, enabled=False):
            return smooth(centre, self._blur, self._blur) / smooth(
                torch.ones_like(centre[:1]), self._blur, self._blur
            )

    def _coloured(
        self,
        shape: tuple[int, ...] | torch.Size,
        generator: torch.Generator,
        kernels: tuple[Tensor, Tensor],
    ) -> Tensor:
        down, right = kernels
        batch, channels, height, width = shape
        reach_down, reach_right = len(down) // 2, len(right) // 2
        white = torch.randn(
            batch, channels, height + 2 * reach_down, width + 2 * reach_right, generator=generator
        ).to(self._device)
        if not (reach_down or reach_right):
            return white
        with torch.autocast(self._device.type, enabled=False):
            # Drawn wider by the kernels' reach and cropped, so that the variance is 1 up to the edge.
            coloured = smooth(white, down, right)
        return coloured[..., reach_down : reach_down + height, reach_right : reach_right + width]


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear, constant beyond the ends."""
    upper = torch.searchsorted(knots, x.clamp(knots[0], knots[-1]).contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[upper - 1], knots[upper]
    part = ((x - low) / (high - low)).clamp(0, 1)
    return torch.lerp(values[upper - 1], values[upper], part)

"""Draw noise like the scan's own, for the losses and estimates that need it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffdenoise.noise.model import NoiseModel
from diffdenoise.stages.filters import gaussian_kernel, smooth
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
        self._down, self._right = (
            torch.from_numpy(kernel).float().to(device) for kernel in model.correlation.kernels()
        )
        self._isotropic = model.correlation.down == model.correlation.right
        self._blur = gaussian_kernel(_BRIGHTNESS_BLUR_PX, device)

    def std(self, centre: Tensor) -> Tensor:
        """Noise std at each pixel of noisy slices (batch, 1, height, width)."""
        if self._constant:
            return self._stds[:1].reshape(1, 1, 1, 1)
        with torch.autocast(centre.device.type, enabled=False):
            brightness = smooth(centre, self._blur, self._blur) / smooth(
                torch.ones_like(centre[:1]), self._blur, self._blur
            )
        return _interpolate(brightness, self._knots, self._stds)

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
        noise = self._unturned(shape, generator)
        if turns is None or self._isotropic:
            return noise
        return torch.stack([turn_square(one, turn) for one, turn in zip(noise, turns, strict=True)])

    def _unturned(self, shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
        batch, channels, height, width = shape
        reach_down, reach_right = len(self._down) // 2, len(self._right) // 2
        white = torch.randn(
            batch, channels, height + 2 * reach_down, width + 2 * reach_right, generator=generator
        ).to(self._device)
        if not (reach_down or reach_right):
            return white
        with torch.autocast(self._device.type, enabled=False):
            # Drawn wider by the kernels' reach and cropped, so that the variance is 1 up to the edge.
            coloured = smooth(white, self._down, self._right)
        return coloured[..., reach_down : reach_down + height, reach_right : reach_right + width]


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear, constant beyond the ends."""
    upper = torch.searchsorted(knots, x.clamp(knots[0], knots[-1]).contiguous()).clamp(1, len(knots) - 1)
    low, high = knots[upper - 1], knots[upper]
    part = ((x - low) / (high - low)).clamp(0, 1)
    return torch.lerp(values[upper - 1], values[upper], part)

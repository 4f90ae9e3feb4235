"""U-Net without normalisation, the backbone of stages 2 and 3.

Residual blocks of two 3x3 convolutions with ReLU between, strided 2x2 convolutions down and
transposed ones up, additive skips, as in DRUNet (Zhang et al. 2021, "Plug-and-Play Image
Restoration with Deep Denoiser Prior", section 4.1). On a CPU normalisation layers and smooth
activations cost as much as the convolutions, and here they gain nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Features of the embedded noise level.
_EMBEDDING = 64


class ResidualBlock(nn.Module):
    """x + conv(relu(gain * conv(x) + shift)): these carry what is known of the noise, if anything is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # A block starts near the identity, so that the whole net trains without normalisation.
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=0.1 * (2 / (9 * channels)) ** 0.5)
        nn.init.zeros_(self.first.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, shift: Tensor | None = None, gain: Tensor | None = None) -> Tensor:
        """Return features of the same shape (batch, channels, height, width); others (batch, channels)."""
        inner = self.first(x)
        if gain is not None:
            inner = inner * gain[:, :, None, None]
        if shift is not None:
            inner = inner + shift[:, :, None, None]
        outer: Tensor = self.second(functional.relu_(inner))
        return x + outer


class UNet(nn.Module):
    """Image-to-image network for any image size.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    width : int
        Channels at full resolution; doubled at each level.
    levels : int
        Resolutions, each half of the one before.
    level_input : bool
        Whether `forward` takes the logarithm of a noise level (stage 2).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        *,
        levels: int = 3,
        level_input: bool = False,
    ) -> None:
        super().__init__()
        self.levels = levels
        widths = [width * 2**level for level in range(levels)]
        self.entry = nn.Conv2d(in_channels, width, 3, padding=1)
        self.down_blocks = nn.ModuleList(ResidualBlock(channels) for channels in widths)
        self.down = nn.ModuleList(nn.Conv2d(narrow, wide, 2, stride=2) for narrow, wide in pairwise(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 2, stride=2) for narrow, wide in pairwise(widths)
        )
        self.up_blocks = nn.ModuleList(ResidualBlock(channels) for channels in widths[:-1])
        self.exit = nn.Conv2d(width, out_channels, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]
        self.embed: nn.Module | None = None
        self.frequencies: Tensor
        if level_input:
            self.embed = nn.Sequential(nn.Linear(_EMBEDDING, _EMBEDDING), nn.ReLU())
            self.level_biases = nn.ModuleList(nn.Linear(_EMBEDDING, channels) for channels in widths)
            self.register_buffer("frequencies", torch.linspace(0.1, 3.0, _EMBEDDING // 2), persistent=False)

    def forward(
        self,
        x: Tensor,
        log_level: Tensor | None = None,
        modulations: Sequence[tuple[Tensor, Tensor]] | None = None,
    ) -> Tensor:
        """Map an image to an image.

        Parameters
        ----------
        x : Tensor (batch, in_channels, height, width)
            Any height and width.
        log_level : Tensor (batch,), optional
            Natural logarithm of the diffusion noise level, where the network takes one.
        modulations : sequence of (Tensor (batch, channels), Tensor (batch, channels)), optional
            Shift and gain inside each block on the way down, then of those on the way up, finest first.

        Returns
        -------
        Tensor (batch, out_channels, height, width)
        """
        height, width = x.shape[-2:]
        step = 2 ** (self.levels - 1)
        # Replicated rather than reflected, which would need images larger than the margin.
        x = functional.pad(x, (0, -width % step, 0, -height % step), mode="replicate")
        told = self._biases(log_level) if modulations is None else list(modulations)
        x = self.entry(x)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down_blocks):
            if level:
                skips.append(x)
                x = self.down[level - 1](x)
            x = block(x, *told[level])
        for level in reversed(range(self.levels - 1)):
            x = self.up_blocks[level](self.up[level](x) + skips[level], *told[self.levels + level])
        return self.exit(x)[..., :height, :width]  # type: ignore[no-any-return]

    def _biases(self, log_level: Tensor | None) -> list[tuple[Tensor] | tuple[()]]:
        """One (batch, channels) shift a block from the embedded noise level, alike for both of a level."""
        if self.embed is None or log_level is None:
            return [()] * (2 * self.levels - 1)
        angles = log_level[:, None] * self.frequencies
        features = self.embed(torch.cat([angles.cos(), angles.sin()], dim=1))
        shifts: list[tuple[Tensor]] = [(bias(features),) for bias in self.level_biases]
        return [*shifts, *shifts[:-1]]

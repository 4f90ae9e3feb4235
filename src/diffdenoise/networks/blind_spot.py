"""Half-plane blind-spot network whose blind spot's size is chosen at run time.

Four copies of one network, each seeing only the half plane above (the image is rotated), shifted
down so that a pixel's own row is not seen: Laine et al. 2019, "High-Quality Self-Supervised Deep
Image Denoising", section 3.1. A shift of s rows makes a blind square of 2s-1 pixels (AT-BSN, Chen
et al. 2024), so the same weights serve several sizes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class _UpConv(nn.Conv2d):
    """3x3 convolution in which an output row sees its own row and the two above, none below."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=(0, 1))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        # Padded on one side first: cropping a result padded on both trains half as fast.
        return super().forward(functional.pad(x, (0, 0, 2, 0)))


class _UpBlock(nn.Module):
    """x + conv(relu(conv(x))) of upward-looking convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _UpConv(channels, channels)
        self.second = _UpConv(channels, channels)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(functional.relu_(self.first(x)))
        return x + inner


def ring_mean(centre: Tensor, blind_spot: int) -> Tensor:
    """Gaussian-weighted mean of the pixels around the blind spot, (batch, 1, height, width).

    Where training starts from: the network learns the difference to it.
    """
    # Single precision whatever the networks run in: these are intensities, not features.
    with torch.autocast(centre.device.type, enabled=False):
        return _ring_mean(centre, blind_spot)


def _ring_mean(centre: Tensor, blind_spot: int) -> Tensor:
    reach = blind_spot // 2 + 2
    offsets = torch.arange(-reach, reach + 1, device=centre.device, dtype=torch.float32)
    profile = torch.exp(-0.5 * (offsets / (0.5 * (blind_spot + 1))) ** 2)
    seen = (offsets.abs()[:, None] > blind_spot // 2) | (offsets.abs()[None, :] > blind_spot // 2)
    kernel = (profile[:, None] * profile[None, :] * seen)[None, None].to(centre.dtype)
    total = functional.conv2d(centre, kernel, padding=reach)
    return total / functional.conv2d(torch.ones_like(centre[:1]), kernel, padding=reach)


def _shift_down(x: Tensor, rows: int) -> Tensor:
    """Move the image down by `rows`, zeros entering at the top."""
    return functional.pad(x, (0, 0, rows, -rows))


class HalfPlaneUNet(nn.Module):
    """U-Net in which an output row sees no row below its own."""

    def __init__(self, in_channels: int, width: int, levels: int = 3) -> None:
        super().__init__()
        self.levels = levels
        widths = [width * 2**level for level in range(levels)]
        self.entry = _UpConv(in_channels, width)
        self.down_blocks = nn.ModuleList(_UpBlock(channels) for channels in widths)
        self.down = nn.ModuleList(nn.Conv2d(narrow, wide, 2, stride=2) for narrow, wide in pairwise(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(wide, narrow, 2, stride=2) for narrow, wide in pairwise(widths)
        )
        self.up_blocks = nn.ModuleList(_UpBlock(channels) for channels in widths[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, h, w) to (batch, width, h, w); h and w multiples of 2**(levels-1)."""
        x = self.entry(x)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down_blocks):
            if level:
                skips.append(x)
                # Shifted by one row, a 2x2 cell holds rows 2i-1 and 2i: nothing below row 2i, so
                # that both rows 2i and 2i+1 may use it.
                x = self.down[level - 1](_shift_down(x, 1))
            x = block(x)
        for level in reversed(range(self.levels - 1)):
            x = self.up_blocks[level](self.up[level](x) + skips[level])
        return x


class BlindSpotNet(nn.Module):
    """Predicts mean and logarithm of the variance of each pixel without seeing it.

    Parameters
    ----------
    neighbours : int
        Slices on either side given as extra channels. Their noise is independent of the centre
        slice's, so they need no blind spot.
    width : int
        Channels at full resolution in each of the four half-plane branches.
    """

    def __init__(self, width: int, *, neighbours: int = 0) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.branch = HalfPlaneUNet(1 + 2 * neighbours, width)
        self.head = nn.Sequential(
            nn.Conv2d(4 * width, 4 * width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * width, 2 * width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2, 1),
        )
        last = self.head[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, noisy: Tensor, blind_spot: int = 1) -> tuple[Tensor, Tensor]:
        """Predict every pixel from its surroundings.

        Parameters
        ----------
        noisy : Tensor (batch, 1 + 2 * neighbours, height, width)
            The centre slice first, then its neighbours.
        blind_spot : int
            Odd side in pixels of the unseen square around each pixel of the centre slice.

        Returns
        -------
        mean, log_variance : Tensor (batch, 1, height, width)
        """
        shift = (blind_spot + 1) // 2
        height, width = noisy.shape[-2:]
        step = 2 ** (self.branch.levels - 1)
        size_h, size_w = height + -height % step, width + -width % step
        # Zeros (not copies of pixels, which a branch could see) fill up to a whole number of cells.
        padded = functional.pad(noisy, (0, size_w - width, 0, size_h - height))
        if size_h == size_w:
            rotated = torch.cat([self._rotate(padded, turn, shift) for turn in range(4)])
            parts = self.branch(rotated).chunk(4)
            features = [self._rotate_back(part, turn, shift) for turn, part in enumerate(parts)]
        else:
            features = [
                self._rotate_back(self.branch(self._rotate(padded, turn, shift)), turn, shift)
                for turn in range(4)
            ]
        correction, log_variance = self.head(torch.cat(features, dim=1)).chunk(2, dim=1)
        mean = ring_mean(noisy[:, :1], blind_spot) + correction[..., :height, :width]
        return mean, log_variance[..., :height, :width]

    def _rotate(self, x: Tensor, turn: int, shift: int) -> Tensor:
        """Turn the image; lift the neighbour slices so that the last shift puts them in place."""
        x = torch.rot90(x, turn, (2, 3))
        if not self.neighbours:
            return x
        centre, others = x[:, :1], x[:, 1:]
        return torch.cat([centre, functional.pad(others, (0, 0, -shift, shift))], dim=1)

    def _rotate_back(self, features: Tensor, turn: int, shift: int) -> Tensor:
        return torch.rot90(_shift_down(features, shift), -turn, (2, 3))

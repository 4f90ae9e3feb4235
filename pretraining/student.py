"""The student for all noise: a U-Net, and the layers that set it for what is told of a noise."""

from __future__ import annotations

from torch import Tensor, nn

from diffdenoise.networks.known_noise import BLOCKS, FEATURES, HIDDEN, UNIT
from diffdenoise.networks.unet import ResidualBlock, UNet
from pretraining.pictures import SLICES
from pretraining.told_noise import ToldNoise


class StudentForAll(nn.Module):
    """A student whose blocks have gains and shifts by what is told of the noise.

    Parameters
    ----------
    width : int
        Its features at full resolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.student = UNet(SLICES, 1, width)
        self.embed = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        blocks = [self.student.get_submodule(name) for name in BLOCKS]
        channels = [block.first.out_channels for block in blocks if isinstance(block, ResidualBlock)]
        self.modulations = nn.ModuleList(nn.Linear(HIDDEN, 2 * count) for count in channels)
        for layer in self.modulations:
            # Nothing is known at first.
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, drawn: ToldNoise) -> Tensor:
        """Denoise patches, (count, 1, side, side)."""
        hidden = self.embed(drawn.features)
        modulations = []
        for layer in self.modulations:
            gain, shift = layer(hidden).chunk(2, dim=1)
            modulations.append((shift, 1 + gain))
        seen = UNIT * (drawn.noisy - 0.5) / drawn.told_std
        correction: Tensor = self.student(seen, None, modulations)
        return drawn.noisy[:, :1] + drawn.told_std / UNIT * correction.float()

"""The network of stage 3, which denoises."""

from __future__ import annotations

from diffdenoise.config import Settings
from diffdenoise.networks.unet import UNet


def student_network(settings: Settings, neighbours: int) -> UNet:
    """Return an untrained student for slices with that many neighbours on either side."""
    return UNet(1 + 2 * neighbours, 1, settings.stage3.width)

"""Students with random weights, as torch has them and as arrays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from diffdenoise.networks.unet import UNet


def student(channels: int = 3, width: int = 8, seed: int = 0) -> UNet:
    """A network none of whose weights is zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = UNet(channels, 1, width)
        for parameter in network.parameters():
            # As in a trained one, features stay of one size.
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 16
            torch.nn.init.normal_(parameter, std=fan_in**-0.5)
    return network.eval()


def weights_of(network: UNet) -> dict[str, NDArray[np.float32]]:
    """Its weights as a model folder holds them."""
    return {name: value.numpy() for name, value in network.state_dict().items()}


def images(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Noise of range about 0 to 1."""
    return np.random.default_rng(seed).random(shape, np.float32)

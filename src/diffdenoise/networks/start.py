"""Starting weights that come with the package (see `pretraining/`)."""

from __future__ import annotations

from typing import Literal

import torch
from safetensors.torch import load
from torch import Tensor, nn

from diffdenoise.networks.known_noise import Known, start_student
from diffdenoise.networks.shipped import read_shipped

#: The networks whose starting weights are the same whatever the noise.
Start = Literal["blind-spot", "diffusion"]
#: Inputs that no weights were learned for begin with none.
_ENTRY = "entry.weight"


def load_start(network: nn.Module, name: Start) -> None:
    """Put the starting weights into a network, whatever the number of its neighbour slices.

    Parameters
    ----------
    network : BlindSpotNet or UNet
        Of the default width.
    name : {"blind-spot", "diffusion"}
        Which of them it is.

    Raises
    ------
    ValueError
        If the network is of another width.
    """
    _put_in(network, load(read_shipped(f"{name}.safetensors")), name)


def load_student(network: nn.Module, known: Known) -> None:
    """Put the student's starting weights for a scan's noise into it.

    Parameters
    ----------
    network : UNet
        Of the default width.
    known : Known
        What is known of the noise.

    Raises
    ------
    ValueError
        If the network is of another width.
    """
    weights = start_student(known)
    _put_in(network, {name: torch.from_numpy(value) for name, value in weights.items()}, "student")


def _put_in(network: nn.Module, stored: dict[str, Tensor], name: str) -> None:
    own = network.state_dict()
    fitted = {
        key: _fit_inputs(value, own[key].shape[1]) if key.endswith(_ENTRY) else value
        for key, value in stored.items()
    }
    wrong = [key for key, value in fitted.items() if value.shape != own[key].shape]
    if wrong:
        raise ValueError(f"the starting weights of {name} are of another width ({wrong[0]})")
    network.load_state_dict(fitted)


def _fit_inputs(weight: Tensor, channels: int) -> Tensor:
    """Leave out, or fill up with zeros, the last input channels of a convolution (out, in, h, w).

    The channels are ordered by their distance from the slice, so that those left out are the farthest.
    """
    known = weight[:, :channels]
    missing = channels - known.shape[1]
    return torch.cat([known, known.new_zeros(len(known), missing, *known.shape[2:])], dim=1)

"""Choose where the arithmetic runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import nn

from diffdenoise.errors import DeviceError, option
from diffdenoise.threads import check_threads

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Hardware:
    """Device and precision.

    Attributes
    ----------
    device : torch.device
        Where networks and batches live.
    bf16 : bool
        Whether networks run in bfloat16 autocast; weights, losses and intensities stay float32.
    """

    device: torch.device
    bf16: bool

    @property
    def precision(self) -> Literal["bf16-mixed", "32-true"]:
        """Name of the precision, for records."""
        return "bf16-mixed" if self.bf16 else "32-true"

    def place(self, network: Network) -> Network:
        """Move a network to the device, in the memory layout in which convolutions run fastest."""
        network.to(self.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def autocast(self) -> torch.autocast:
        """Context in which networks run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def describe(self) -> str:
        """Name of the device for records: no host name."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"CPU, {torch.get_num_threads()} threads"


def choose_hardware(device: str = "auto", threads: int | None = None) -> Hardware:
    """Return the device asked for, with bfloat16 where it is computed natively.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        "auto" takes a GPU if there is one.
    threads : int, optional
        CPU threads; by default as many as torch takes, and at most one a core.

    Raises
    ------
    DeviceError
        If the device is unknown or absent, or there are fewer cores than threads.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device {device}: expected auto, cpu or cuda")
    if threads is not None:
        check_threads(threads)
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"device cuda: no CUDA GPU is available to torch; use {option('device', 'cpu')}")
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return Hardware(torch.device("cuda"), torch.cuda.is_bf16_supported(including_emulation=False))
    return Hardware(torch.device("cpu"), _cpu_has_bf16())


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 natively; emulated, it would be slower than float32."""
    capabilities = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name)()) for name in capabilities if hasattr(torch.cpu, name))

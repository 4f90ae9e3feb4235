"""What computes a student: one method, by ONNX Runtime on the CPU, or by torch on a GPU."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from diffdenoise.errors import DeviceError, option
from diffdenoise.model.graph import DENOISED, NOISY, Weights, student_graph
from diffdenoise.model.tiles import Channels
from diffdenoise.threads import check_threads, usual_threads

if TYPE_CHECKING:
    import torch


class Backend(Protocol):
    """A student on some device."""

    def run(self, channels: Channels) -> Channels:
        """Denoise slices.

        Parameters
        ----------
        channels : float32 array (n, channels, height, width)
            Slices and their neighbours, in tenths of the noise's std; height and width are multiples of 4.

        Returns
        -------
        float32 array (n, 1, height, width)
        """


class OnnxBackend:
    """ONNX Runtime on the CPU, float32.

    Parameters
    ----------
    weights : dict of str to float32 array
        The student's.
    threads : int, optional
        CPU threads.
    """

    def __init__(self, weights: Weights, threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        how = onnxruntime.SessionOptions()
        how.intra_op_num_threads = usual_threads() if threads is None else threads
        how.inter_op_num_threads = 1
        # Threads that wait don't compute, and another process may.
        how.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A pattern of the memory taken holds for one size of slices, and takes half as much again.
        how.enable_mem_pattern = False
        how.log_severity_level = 4
        self._session: Any = onnxruntime.InferenceSession(
            student_graph(weights), how, providers=["CPUExecutionProvider"]
        )

    def run(self, channels: Channels) -> Channels:
        """Denoise slices; see `Backend`."""
        [denoised] = self._session.run([DENOISED], {NOISY: channels})
        return np.asarray(denoised, dtype=np.float32)


class TorchBackend:
    """Torch on a GPU, or wherever it is told, float32.

    Parameters
    ----------
    weights : dict of str to float32 array
        The student's.
    device : str
        As torch names it.
    """

    def __init__(self, weights: Weights, device: str) -> None:
        import torch

        from diffdenoise.networks.unet import UNet

        width, channels = weights["entry.weight"].shape[:2]
        network = UNet(channels, 1, width)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        self._network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._device = device

    def run(self, channels: Channels) -> Channels:
        """Denoise slices; see `Backend`."""
        import torch

        noisy: torch.Tensor = torch.from_numpy(channels).to(self._device, memory_format=torch.channels_last)
        try:
            # TF32 keeps but ten bits of what it multiplies.
            with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                return np.asarray((noisy[:, :1] + self._network(noisy)).cpu().numpy())
        except torch.OutOfMemoryError as error:
            raise DeviceError(f"the GPU's memory is full; use {option('device', 'cpu')}") from error


def choose_device(device: str = "auto", threads: int | None = None) -> str:
    """Return where to compute, loading torch only where there is, or should be, a GPU.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        "auto" takes a GPU if there is one.
    threads : int, optional
        CPU threads.

    Raises
    ------
    DeviceError
        If the device is unknown or absent, or there are fewer cores than threads.
    """
    if threads is not None:
        check_threads(threads)
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    from diffdenoise.training.hardware import choose_hardware

    return choose_hardware(device, threads).device.type


def make_backend(weights: Weights, device: str, threads: int | None) -> Backend:
    """Return the backend of a device."""
    return OnnxBackend(weights, threads) if device == "cpu" else TorchBackend(weights, device)


def _may_have_gpu() -> bool:
    """Whether a GPU's driver is there: NVIDIA's library, or the device file of AMD's."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True

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
from diffdenoise.packages import is_installed
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


#: ONNX Runtime's names of where it computes.
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxBackend:
    """ONNX Runtime on the CPU, or by its own build on a GPU; float32.

    Parameters
    ----------
    weights : dict of str to float32 array
        The student's.
    threads : int, optional
        CPU threads.
    provider : str
        Where, as ONNX Runtime names it.
    """

    def __init__(self, weights: Weights, threads: int | None = None, provider: str = _CPU) -> None:
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
        places = [(provider, {"use_tf32": "0"})] if provider == _CUDA else [provider]
        self._session: Any = onnxruntime.InferenceSession(student_graph(weights), how, providers=places)
        if provider not in self._session.get_providers():
            # It goes on with the CPU by itself where the GPU's libraries are not there.
            raise DeviceError(
                "onnxruntime finds no GPU that it can use (its CUDA libraries, or the driver, are missing); "
                f"use {option('device', 'cpu')}"
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
    if not is_installed("torch") and device in ("auto", "cuda"):
        return _device_without_torch(device)
    from diffdenoise.training.hardware import choose_hardware

    return choose_hardware(device, threads).device.type


def make_backend(weights: Weights, device: str, threads: int | None) -> Backend:
    """Return the backend of a device: a GPU's is torch if that is there, else ONNX Runtime."""
    if device == "cpu":
        return OnnxBackend(weights, threads)
    return TorchBackend(weights, device) if is_installed("torch") else OnnxBackend(weights, threads, _CUDA)


def _device_without_torch(device: str) -> str:
    """Return the GPU if there is a build of ONNX Runtime for it, and it wasn't only asked for."""
    import onnxruntime

    if _CUDA in onnxruntime.get_available_providers():
        return "cuda"
    if device == "cuda":
        raise DeviceError(
            "a GPU needs torch (python -m pip install 'diffdenoise[train]'), or onnxruntime-gpu in place of "
            f"onnxruntime; use {option('device', 'cpu')}"
        )
    return "cpu"


def _may_have_gpu() -> bool:
    """Whether a GPU's driver is there: NVIDIA's library, or the device file of AMD's."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True

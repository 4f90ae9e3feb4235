"""Where a model runs: on the CPU without torch, on a GPU that was asked for or is there."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest
import torch

from diffdenoise.errors import DeviceError
from diffdenoise.model import backends
from diffdenoise.model.backends import OnnxBackend, TorchBackend, choose_device, make_backend
from diffdenoise.networks.unet import UNet
from diffdenoise.threads import usual_threads
from diffdenoise.training import hardware
from tests.model.students import images, student, weights_of


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_may_have_gpu", lambda: False)
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert choose_device("cpu") == choose_device("auto") == "cpu"
    with pytest.raises(DeviceError, match="no CUDA GPU is available"):
        choose_device("cuda")
    with pytest.raises(DeviceError, match="expected auto, cpu or cuda"):
        choose_device("tpu")


def test_a_gpu_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(hardware.torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    assert choose_device("cpu") == "cpu"
    # A driver alone is no GPU.
    monkeypatch.setattr(hardware.torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_threads_that_cannot_be_are_refused(threads: int) -> None:
    with pytest.raises(DeviceError, match=f"threads {threads}"):
        choose_device("cpu", threads)


def test_threads_are_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    seen = []
    real = onnxruntime.InferenceSession

    def session(graph: bytes, how: Any, **more: Any) -> Any:
        seen.append(how.intra_op_num_threads)
        return real(graph, how, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    weights = weights_of(student())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    OnnxBackend(weights, 2)
    OnnxBackend(weights)
    assert seen == [2, 1]


def test_usual_threads_are_the_cores_or_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = usual_threads()
    assert 1 <= cores <= (os.cpu_count() or 1)
    for given, expected in (("1", 1), ("999999", cores), ("many", cores), ("0", cores)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert usual_threads() == expected


def test_the_cpu_is_onnx_runtimes_and_any_other_device_torchs() -> None:
    weights = weights_of(student())
    assert isinstance(make_backend(weights, "cpu", 1), OnnxBackend)
    # Torch's stand-in for a device that only knows shapes.
    assert isinstance(make_backend(weights, "meta", 1), TorchBackend)


def test_a_gpu_computes_by_cudnn_in_float32_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = UNet.forward

    def noted(self: UNet, x: torch.Tensor) -> torch.Tensor:
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32, x.dtype))
        return forward(self, x)

    monkeypatch.setattr(UNet, "forward", noted)
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    TorchBackend(weights_of(student()), "cpu").run(images((1, 3, 8, 8)))
    assert seen == [(True, False, torch.float32)]
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before


def test_a_full_gpu_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(UNet, "forward", full)
    with pytest.raises(DeviceError, match="use device='cpu'"):
        TorchBackend(weights_of(student()), "cpu").run(images((1, 3, 8, 8)))


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    OnnxBackend(weights_of(student()), 1).run(images((1, 3, 8, 8)))
    assert capfd.readouterr() == ("", "")


def test_torch_is_not_loaded_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = make_backend(weights_of_arrays(), choose_device("cpu"), 1).run(images((1, 1, 8, 8)))
    assert np.isfinite(found).all()


def weights_of_arrays() -> dict[str, Any]:
    from diffdenoise.model.graph import shapes

    return {name: images(shape) for name, shape in shapes(1, 4).items()}

from __future__ import annotations

import pytest
import torch
from torch import nn

from diffdenoise.errors import DeviceError
from diffdenoise.training import hardware
from diffdenoise.training.hardware import Hardware, choose_hardware


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("device", ["gpu", "", "CPU", "cuda:1"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(DeviceError, match="expected auto, cpu or cuda"):
        choose_hardware(device)


@pytest.mark.parametrize("threads", [0, -2])
def test_no_threads_are_refused(threads):
    with pytest.raises(DeviceError, match=f"threads {threads}: expected 1 or more"):
        choose_hardware("cpu", threads)


@pytest.mark.parametrize(("cores", "word"), [(1, "1 core;"), (4, "4 cores;")])
def test_more_threads_than_cores_are_refused_with_the_number_of_cores(monkeypatch, cores, word):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    before = torch.get_num_threads()
    with pytest.raises(
        DeviceError, match=f"threads {cores + 1}: this machine has {word} expected 1 to {cores}"
    ):
        choose_hardware("cpu", cores + 1)
    assert torch.get_num_threads() == before
    try:
        choose_hardware("cpu", cores)
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("no_gpu")
def test_an_absent_gpu_is_refused_and_auto_does_without():
    with pytest.raises(DeviceError, match="no CUDA GPU"):
        choose_hardware("cuda")
    assert choose_hardware("auto").device == torch.device("cpu")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_present_gpu_is_taken_unless_the_cpu_is_asked_for(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert choose_hardware(device) == Hardware(torch.device("cuda"), True)
    assert choose_hardware("cpu").device.type == "cpu"


def test_threads_are_set(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before = torch.get_num_threads()
    try:
        assert choose_hardware("cpu", 2).describe() == "CPU, 2 threads"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_used_where_the_cpu_computes_it(monkeypatch, native):
    monkeypatch.setattr(hardware, "_cpu_has_bf16", lambda: native)
    chosen = choose_hardware("cpu")
    layer = chosen.place(nn.Conv2d(3, 8, 3))
    with chosen.autocast():
        output = layer(torch.zeros(1, 3, 8, 8))
    assert output.dtype == (torch.bfloat16 if native else torch.float32)
    assert layer.weight.dtype == torch.float32
    assert chosen.precision == ("bf16-mixed" if native else "32-true")
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)

"""Without torch, matplotlib and a GPU's build of ONNX Runtime: what works, and what is said of the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import diffdenoise as dd
from diffdenoise import packages
from diffdenoise.errors import DeviceError, PackageError
from diffdenoise.model import backends
from diffdenoise.networks.known_noise import Known, start_student
from tests.conftest import make_volume, tiny_settings

TRAINING = r"training on scans needs torch, .* python -m pip install 'diffdenoise\[train\]'"
PICTURE = r"a picture needs matplotlib, .* python -m pip install 'diffdenoise\[pictures\]'"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of them is there."""
    monkeypatch.setattr(packages, "find_spec", lambda _: None)


def without(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python where neither can be imported."""
    hidden = "import sys; sys.modules.update(dict.fromkeys(('torch', 'matplotlib', 'skimage')));"
    return subprocess.run(
        [sys.executable, "-c", f"{hidden} {code}"], capture_output=True, text=True, cwd=folder, check=False
    )


def test_a_scan_is_denoised_at_once_without_either(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_volume((64, 64, 6), std=60.0))
    command = "from diffdenoise.cli.app import main; sys.argv = ['diffdenoise', {}]; main()"
    done = without(command.format("'denoise', 'scan.npy', '-o', 'out.npy', '--threads', '1'"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.npy").is_file()
    wishes = {
        "needs matplotlib": "'denoise', 'scan.npy', '-o', 'b.npy', '--picture', 'b.png'",
        "needs torch": "'denoise', 'scan.npy', '-o', 'b.npy', '--minutes', '1'",
        "training on scans needs torch": "'train', 'scan.npy', '-o', 'model'",
    }
    for said, words in wishes.items():
        asked = without(command.format(words), tmp_path)
        assert (asked.returncode, said in asked.stderr) == (2, True), asked.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npy", "scan.npy"]


@pytest.mark.usefixtures("bare")
def test_what_trains_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=TRAINING):
        dd.denoise(make_volume(), minutes=1)
    with pytest.raises(PackageError, match=TRAINING):
        dd.denoise(make_volume(), settings=tiny_settings())
    with pytest.raises(PackageError, match=TRAINING):
        dd.train(make_volume(), tmp_path / "model", minutes=1)
    assert not (tmp_path / "model").exists()
    with pytest.raises(PackageError, match=PICTURE):
        packages.check_matplotlib()


@pytest.mark.usefixtures("bare")
def test_a_gpu_without_torch_is_onnx_runtimes_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert backends.choose_device("auto") == "cpu"
    with pytest.raises(DeviceError, match=r"needs torch .*diffdenoise\[train\].* or onnxruntime-gpu"):
        backends.choose_device("cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert backends.choose_device("auto") == backends.choose_device("cuda") == "cuda"
    assert backends.choose_device("cpu") == "cpu"


@pytest.mark.usefixtures("bare")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_onnx_runtime_cannot_use_is_no_cpu() -> None:
    weights = start_student(Known(np.ones((16, 9)), 0.1))
    with pytest.raises(DeviceError, match="finds no GPU that it can use"):
        backends.make_backend(weights, "cuda", 1)
    assert isinstance(backends.make_backend(weights, "cpu", 1), backends.OnnxBackend)

"""The starting weights' own training, in seconds: it learns, and writes what the package reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.unet import UNet
from pretraining import train
from pretraining.progress import Progress
from pretraining.student import StudentForAll


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("weights")
    train.main(["--steps", "3", "--stacks", "2", "--batch", "2", "--out", str(out)])
    return out


def test_all_three_are_written_with_how_they_came_about(folder: Path) -> None:
    networks = {
        "blind-spot": BlindSpotNet(16, neighbours=1),
        "diffusion": UNet(4, 1, 32, level_input=True),
        "student": StudentForAll(32),
    }
    for name, network in networks.items():
        with safe_open(folder / f"{name}.safetensors", "pt") as stored:
            assert set(stored.keys()) == set(network.state_dict())
            assert stored.metadata()["steps"] == "3"


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    arguments = ["--steps", "3", "--stacks", "2", "--batch", "2", "--out", str(tmp_path)]
    train.main(arguments)
    for name in train.NETWORKS:
        first, second = (load_file(place / f"{name}.safetensors") for place in (folder, tmp_path))
        assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_one_that_paused_ends_with_the_same_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--steps", "3", "--stacks", "2", "--batch", "2", "--out", str(tmp_path)]
    asked = iter([False, True])
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "pauses", lambda _: next(asked))
        train.main([*arguments, "--only", "student"])
    with safe_open(tmp_path / "student.safetensors", "pt") as stored:
        assert stored.metadata()["steps"] == "1"
    train.main([*arguments, "--only", "student"])
    train.main(
        ["--steps", "3", "--stacks", "2", "--batch", "2", "--out", str(tmp_path / "b"), "--only", "student"]
    )
    first, second = (load_file(place / "student.safetensors") for place in (tmp_path, tmp_path / "b"))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_state_of_another_training_is_not_gone_on_with(folder: Path) -> None:
    with pytest.raises(SystemExit, match="--batch 2"):
        train.main(["--steps", "3", "--stacks", "2", "--batch", "4", "--out", str(folder)])


@pytest.mark.parametrize("name", train.NETWORKS)
def test_a_network_learns(name: str) -> None:
    source = train.Source(4, 0, torch.device("cpu"))
    torch.manual_seed(0)
    job = train.jobs(source, train.make_networks(), 4)[name]
    optimizer = torch.optim.Adam(job.network.parameters(), 2e-3)

    def loss_now() -> float:
        source.generator.manual_seed(7)
        with torch.no_grad():
            return float(torch.stack([job.loss_of() for _ in range(4)]).mean())

    before = loss_now()
    for _ in range(25):
        loss = job.loss_of()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(job.network.parameters(), 1.0)
        optimizer.step()
    assert loss_now() < before

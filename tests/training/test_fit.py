from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from diffdenoise.config import Steps
from diffdenoise.errors import DivergedError
from diffdenoise.training.clock import StagePlan
from diffdenoise.training.fit import fit
from diffdenoise.training.hardware import Hardware
from diffdenoise.types import Quiet

CPU = Hardware(torch.device("cpu"), bf16=False)


def new_network():
    torch.manual_seed(0)
    return nn.Conv2d(1, 1, 3, padding=1)


def train(network, folder, steps=12, factor=1.0):
    def loss_of(step):
        image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        return factor * (network(image) - 2 * image).square().mean()

    return fit(
        network,
        loss_of,
        StagePlan(Steps(steps=steps)),
        learning_rate=1e-2,
        hardware=CPU,
        folder=folder,
        progress=Quiet(),
        checkpoint_s=0.0,
    )


def test_a_run_stopped_right_after_its_last_step_is_not_trained_further(tmp_path: Path) -> None:
    first, second = new_network(), new_network()
    train(first, tmp_path)
    train(second, tmp_path)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, new_network().weight)


def test_training_lowers_the_loss_and_tells_its_curve(tmp_path: Path) -> None:
    curve = train(new_network(), tmp_path, steps=200)
    assert [step for step, _ in curve] == list(range(20, 201, 20))
    assert curve[-1][1] < curve[0][1]


def test_a_loss_that_is_not_a_number_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="step 1 "):
        train(new_network(), tmp_path, factor=float("nan"))

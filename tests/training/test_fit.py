from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from diffdenoise.config import Steps
from diffdenoise.errors import DivergedError
from diffdenoise.training.clock import StagePlan
from diffdenoise.training.fit import _averaged, fit
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


class _Recorded:
    """A loss whose gradient is pushed to and fro, and the weights that it met."""

    def __init__(self, network: nn.Conv2d, factor: float = 1.0) -> None:
        self._network, self._factor = network, factor
        self.weights: list[torch.Tensor] = []

    def __call__(self, step: int) -> torch.Tensor:
        self.weights.append(self._network.weight.detach().clone())
        image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        return self._factor * (self._network(image) - (-1) ** (step // 3) * 2 * image).square().mean()


def fit_recorded(
    folder: Path, steps: int, *, factor: float = 1.0, rate: float = 0.5
) -> tuple[nn.Conv2d, _Recorded]:
    """Train with steps whose learning rates do not depend on how many there are."""
    network = new_network()
    recorded = _Recorded(network, factor)
    plan = StagePlan(Steps(steps=steps, decay_start=1000, decay_steps=1))
    fit(
        network,
        recorded,
        plan,
        learning_rate=rate,
        hardware=CPU,
        folder=folder,
        progress=Quiet(),
        checkpoint_s=3600.0,
    )
    return network, recorded


def test_what_is_left_is_the_moving_average_of_the_weights(tmp_path: Path) -> None:
    steps = 40
    network, _ = fit_recorded(tmp_path / "run", steps)
    # One step more shows the weights after the last of them.
    _, longer = fit_recorded(tmp_path / "longer", steps + 1)
    _, *after = longer.weights
    average = after[0]
    for updates, weight in enumerate(after[1:], 1):
        decay = min(0.995, (updates + 1) / (updates + 10))
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(network.weight.detach(), average, atol=1e-5, rtol=1e-4)
    assert float((average - after[-1]).abs().max()) > 0.01


def test_the_average_forgets_nothing_faster_than_its_decay(tmp_path: Path) -> None:
    assert float(_averaged(torch.tensor(1.0), torch.tensor(0.0), 10**6)) == pytest.approx(0.995)


@pytest.mark.parametrize(("factor", "clipped"), [(1e4, True), (1e-3, False)])
def test_gradients_are_no_longer_than_one(tmp_path: Path, factor: float, clipped: bool) -> None:
    lengths = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        gradients = [one.grad for group in optimizer.param_groups for one in group["params"]]
        lengths.append(float(torch.cat([one.flatten() for one in gradients if one is not None]).norm()))

    handle = register_optimizer_step_post_hook(note)
    try:
        _, recorded = fit_recorded(tmp_path, 5, factor=factor)
    finally:
        handle.remove()
    assert len(lengths) == len(recorded.weights) == 5
    if clipped:
        assert lengths == pytest.approx([1.0] * 5, rel=1e-3)
    else:
        assert 0 < max(lengths) < 0.9


def test_the_first_step_is_as_long_as_the_rate_says(tmp_path: Path) -> None:
    # Adam's first step is the rate itself, whatever the gradient; the warm-up begins with a 50th of it.
    _, recorded = fit_recorded(tmp_path, 2, rate=0.05)
    change = (recorded.weights[1] - recorded.weights[0]).abs()
    torch.testing.assert_close(change, torch.full_like(change, 0.05 / 50), rtol=1e-2, atol=0)


def test_a_loss_that_is_not_a_number_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="step 1 "):
        train(new_network(), tmp_path, factor=float("nan"))


class _Net(nn.Module):
    """Convolutions laid out in memory in both ways, and weights that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(4, 4, 3, padding=1).to(memory_format=torch.channels_last)
        self.second = nn.Conv2d(4, 1, 3, padding=1)
        self.unused = nn.Linear(3, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image to image."""
        return self.second(torch.relu(self.first(image)))


class _StopError(Exception):
    pass


class _Stopper(Quiet):
    """Stops training at a step, before its checkpoint."""

    def __init__(self, last: int) -> None:
        self._last = last

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        if step == self._last:
            raise _StopError


def fit_net(network: nn.Module, folder: Path, last: int = 0) -> list[tuple[int, float]]:
    """Train for 50 steps, or stop at one."""

    def loss_of(step: int) -> torch.Tensor:
        image = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(step))
        return (network(image) - image[:, :1] ** 2).square().mean()

    return fit(
        network,
        loss_of,
        StagePlan(Steps(steps=50)),
        learning_rate=1e-2,
        hardware=CPU,
        folder=folder,
        progress=_Stopper(last),
        checkpoint_s=0.0,
    )


def test_a_run_that_was_stopped_goes_on_as_if_unbroken_whatever_the_memory_layout(tmp_path: Path) -> None:
    whole, broken = _Net(), _Net()
    curve = fit_net(whole, tmp_path / "whole")
    for last in (4, 30):
        with pytest.raises(_StopError):
            fit_net(broken, tmp_path / "broken", last)
        broken = _Net()
    assert fit_net(broken, tmp_path / "broken") == curve
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, broken.state_dict()[name]), name
    assert not torch.equal(whole.second.weight, _Net().second.weight)

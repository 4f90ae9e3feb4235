"""Which pixels stages 1 and 2 learn on: those that the network was not shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from diffdenoise.method import blind_spot, diffusion, refinement, student
from diffdenoise.method.intensities import unsigned
from diffdenoise.method.recorruption import Recorruption
from diffdenoise.method.step_data import StepData
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.model import NoiseModel
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.held_out import Place, Window
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices, Target
from tests.conftest import tiny_settings

CPU = torch.device("cpu")
STEP = 3


def data_of(**changes: object) -> StepData:
    """Six slices of nothing but noise, so that a replaced pixel never has its own value."""
    noise = np.random.default_rng(0).standard_normal((6, 40, 44))
    settings = tiny_settings(data={"patch": 32, "batch": 12}, **changes)
    return StepData(Slices(in_memory([(0.5 + 0.1 * noise).astype(np.float32)]), 1), settings, CPU)


class _Leaves(torch.nn.Module):
    """Outputs that do not depend on what is seen; their gradients tell which pixels count."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.seen = torch.zeros(0)
        self.outputs: list[Tensor] = []

    def forward(self, x: Tensor, _: object = None) -> Tensor | tuple[Tensor, ...]:
        self.seen = x
        self.outputs = [torch.zeros_like(x[:, :1]).requires_grad_() for _ in range(self.count)]
        return self.outputs[0] if self.count == 1 else tuple(self.outputs)

    def counts(self) -> Tensor:
        """Where the first output has a gradient, bool (batch, 1, height, width)."""
        gradient = self.outputs[0].grad
        assert gradient is not None
        return gradient != 0


def replaced(seen: Tensor, noisy: Tensor) -> Tensor:
    """Pixels of the slice that were not shown as they are."""
    return (seen - noisy[:, :1]).abs() > 3e-7


def all_around(replaced_pixels: Tensor, width: int) -> Tensor:
    """Pixels all of whose square of `width` pixels was replaced."""
    shown = functional.max_pool2d(1 - replaced_pixels.float(), width, stride=1, padding=width // 2)
    return shown == 0


@pytest.mark.parametrize("blind", [1, 3])
def test_stage_1_learns_on_all_pixels_of_whole_patches_and_on_hidden_ones_of_filled_patches(blind) -> None:
    data, network = data_of(), _Leaves(2)
    blind_spot.step_loss(data, network, blind, 0.1, 0.1)(STEP).backward()
    noisy = data.patches(generator(data.settings.seed, "blind-spot", STEP), STEP).noisy
    gone, counts = replaced(unsigned(network.seen[:, :1]), noisy), network.counts()
    # The neighbours are never hidden.
    torch.testing.assert_close(unsigned(network.seen[:, 1:]), noisy[:, 1:])
    filled = gone.flatten(1).any(1)
    assert 0 < int(filled.sum()) < len(filled)
    assert counts[~filled].all()
    assert not (counts[filled] & ~all_around(gone[filled], blind)).any()
    assert counts[filled].flatten(1).any(1).all()
    if blind == 1:
        assert torch.equal(counts[filled], gone[filled])


@pytest.mark.parametrize("blind", [1, 3])
def test_stage_2_learns_on_pixels_that_the_condition_was_not_shown(blind) -> None:
    data, network = data_of(), _Leaves(1)
    shown: list[Tensor] = []

    def condition_of(seen: Tensor) -> Tensor:
        shown.append(seen)
        return torch.full_like(seen[:, :1], 0.5)

    diffusion.step_loss(data, network, condition_of, blind, 0.1, "diffusion")(STEP).backward()
    noisy = data.patches(generator(data.settings.seed, "diffusion", STEP), STEP).noisy
    gone, counts = replaced(shown[0][:, :1], noisy), network.counts()
    torch.testing.assert_close(shown[0][:, 1:], noisy[:, 1:])
    assert not (counts & ~all_around(gone, blind)).any()
    assert 0.1 < float(gone.float().mean()) < 0.4
    assert counts.flatten(1).any(1).all()
    if blind == 1:
        assert torch.equal(counts, gone)


def test_in_the_papers_form_stage_2_learns_on_all_pixels_and_hides_none() -> None:
    data, network = data_of(stage2={"width": 4, "jointly_blind": False}), _Leaves(1)
    shown: list[Tensor] = []

    def condition_of(seen: Tensor) -> Tensor:
        shown.append(seen)
        return torch.full_like(seen[:, :1], 0.5)

    diffusion.step_loss(data, network, condition_of, 1, 0.1, "diffusion")(STEP).backward()
    noisy = data.patches(generator(data.settings.seed, "diffusion", STEP), STEP).noisy
    assert torch.equal(shown[0], noisy)
    assert network.counts().all()


def test_distillation_is_the_distance_to_the_target_in_units_of_the_noise() -> None:
    data, network = data_of(), _Leaves(1)
    targets = {
        number: Target(0, 0, data.slices.whole(number)[0, 0] + 0.3) for number in range(len(data.slices))
    }
    found = student.step_loss(data, network, targets, 0.1, "student")(STEP)
    assert found.item() == pytest.approx((0.3 / 0.1) ** 2, rel=1e-4)


def test_the_losses_of_stage_1_are_in_units_of_the_noise() -> None:
    data = data_of()
    one, two = (float(blind_spot.step_loss(data, _Leaves(2), 1, std, 0.1)(STEP)) for std in (0.1, 0.2))
    assert one == pytest.approx(2 * two)


def with_gaps() -> StepData:
    """The same slices, half of each pixel's row without data."""
    data = data_of()
    stack = np.stack([data.slices.whole(k)[0, 0].numpy() for k in range(len(data.slices))])
    known = np.ones(stack.shape, bool)
    known[:, ::2, 11:29] = False
    return StepData(Slices(in_memory([stack], [known]), 1), data.settings, CPU)


def with_windows() -> StepData:
    """The same slices, half of each held out."""
    data = data_of()
    height, width = data.slices.size(0)
    half = Window(0, 0, height, width // 2)
    data.slices.hold_out([Place(number, half) for number in range(len(data.slices))])
    return data


both = pytest.mark.parametrize(
    "make", [pytest.param(with_gaps, id="no data"), pytest.param(with_windows, id="held out")]
)


@both
@pytest.mark.parametrize("stage", [1, 2])
def test_stages_1_and_2_do_not_learn_where_nothing_counts(stage: int, make: Callable[[], StepData]) -> None:
    data, network = make(), _Leaves(2 if stage == 1 else 1)
    if stage == 1:
        blind_spot.step_loss(data, network, 1, 0.1, 0.1)(STEP).backward()
    else:
        diffusion.step_loss(data, network, lambda seen: 0 * seen[:, :1], 1, 0.1, "diffusion")(STEP).backward()
    purpose = "blind-spot" if stage == 1 else "diffusion"
    counted = data.patches(generator(data.settings.seed, purpose, STEP), STEP).counted
    assert counted is not None
    assert 0.3 < float(counted.mean()) < 0.9
    assert not network.counts()[counted == 0].any()
    assert network.counts()[counted > 0].any()


@both
@pytest.mark.parametrize("last", ["student", "refine"])
def test_the_student_does_not_learn_where_nothing_counts(last: str, make: Callable[[], StepData]) -> None:
    data, network = make(), _Leaves(1)
    if last == "student":
        slices = data.slices
        targets = {k: Target(0, 0, slices.whole(k)[0, 0] + 0.3) for k in range(len(slices))}
        found = student.step_loss(data, network, targets, 0.1, last)(STEP)
        # The mean is over what is data.
        assert found.item() == pytest.approx(9, rel=1e-4)
        counted = data.patches(generator(data.settings.seed, last, STEP), STEP, targets).counted
    else:
        noise = NoiseModel.constant(0.1)
        recorruption = Recorruption(Domain(noise, 0.1), noise, 0.5, CPU)
        found = refinement.step_loss(data, network, recorruption, last)(STEP)
        counted = data.patches(generator(data.settings.seed, last, STEP), STEP, count=6).counted
        assert counted is not None
        counted = torch.cat([counted, counted])
        # With alpha 0.5, source and target differ by 2.5 times the noise where there is any; the mean of some
        # 3000 squares is known to a few percent.
        assert found.item() == pytest.approx(2.5**2, rel=0.1)
    found.backward()
    assert counted is not None
    assert torch.equal(network.counts(), counted > 0)

"""The risk that refines the student: unbiased, and steadier with a noise and its negative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.method import self_training
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.refinement import recorrupt, step_loss
from diffdenoise.method.step_data import StepData
from diffdenoise.method.student import denoise, squared_distance
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices
from tests.conftest import tiny_settings

CPU = torch.device("cpu")
LEVEL, ALPHA = 0.1, 0.5


class _Shrink(torch.nn.Module):
    """A student with one weight: x + w (mean - x), the best w of which is known."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Intensities come signed; a student's output is a correction in scaled intensities.
        return -self.weight * 0.5 * x[:, :1]


@pytest.fixture(scope="module")
def data() -> StepData:
    rng = np.random.default_rng(0)
    clean = 0.5 + 0.1 * rng.standard_normal((1, 256, 256))
    noisy = (clean + LEVEL * rng.standard_normal(clean.shape)).astype(np.float32)
    settings = tiny_settings(data={"patch": 64, "batch": 16})
    return StepData(Slices(in_memory([noisy]), 0), settings, CPU)


def gradients(data: StepData, steps: range, weight: float) -> torch.Tensor:
    student = _Shrink(weight)
    draws = NoiseDraws(NoiseModel.constant(LEVEL), CPU)
    loss_of = step_loss(data, student, draws, ALPHA, "refine")
    found = []
    for step in steps:
        student.weight.grad = None
        loss_of(step).backward()
        assert student.weight.grad is not None
        found.append(student.weight.grad.clone())
    return torch.stack(found)


def test_the_best_student_is_that_of_the_clean_image(data: StepData) -> None:
    # Signal variance 0.01, noise of the first half 0.01 (1 + alpha^2): Wiener keeps the share below.
    source_noise = LEVEL**2 * (1 + ALPHA**2)
    noise_share = source_noise / (0.01 + source_noise)
    scale = float(denoise(_Shrink(1.0), torch.zeros(1, 1, 1, 1)).detach())
    best = noise_share * 0.5 / scale
    mean = [float(gradients(data, range(30), best + offset).mean()) for offset in (-0.2, 0.0, 0.2)]
    assert mean[0] < 0 < mean[2]
    assert abs(mean[1]) < 0.2 * min(-mean[0], mean[2])


def test_the_pair_of_noises_makes_gradients_steadier(data: StepData) -> None:
    pairs = gradients(data, range(60), 0.3)
    singles = []
    for step in range(60):
        student = _Shrink(0.3)
        draws = torch.Generator().manual_seed(step)
        noisy = data.slices.patches(draws, 16, 64).noisy
        source, target = recorrupt(noisy, torch.randn(noisy.shape, generator=draws), LEVEL, ALPHA)
        (squared_distance(denoise(student, source), target) / LEVEL**2).backward()
        assert student.weight.grad is not None
        singles.append(student.weight.grad.clone())
    assert float(pairs.std()) < 0.8 * float(torch.stack(singles).std())


def test_noise_is_drawn_along_the_axes_of_the_scan_however_patches_are_turned() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal((1, 300, 301))
    # Correlated by a half along the rows alone.
    noisy = (LEVEL * (white[..., 1:] + white[..., :-1]) / np.sqrt(2)).astype(np.float32)
    slices = Slices(in_memory([noisy]), 0)
    generator = torch.Generator().manual_seed(0)
    batch = slices.patches(generator, 400, 32)
    draws = NoiseDraws(NoiseModel.constant(LEVEL, Correlation.of_axes((), (0.5,))), CPU)
    added = LEVEL * draws.unit(batch.noisy.shape, generator, batch.turns)
    source, target = recorrupt(batch.noisy, added, 1.0, ALPHA)
    for dims in ((0, 1), (1, 0)):
        down, right = dims
        product = source[..., : 32 - down, : 32 - right] * target[..., down:, right:]
        assert float(product.mean()) / LEVEL**2 == pytest.approx(0.0, abs=0.03)
    # Drawn along the patches' own axes, half of them would not be independent.
    wrong = LEVEL * draws.unit(batch.noisy.shape, generator)
    source, target = recorrupt(batch.noisy, wrong, 1.0, ALPHA)
    turned = [k for k, turn in enumerate(batch.turns) if turn % 2]
    product = source[turned][..., :-1, :] * target[turned][..., 1:, :]
    assert float(product.mean()) / LEVEL**2 > 0.2


class _Watched(NoiseDraws):
    """Noise that keeps the images whose level was asked for."""

    def __init__(self, model: NoiseModel) -> None:
        super().__init__(model, CPU)
        self.asked: list[torch.Tensor] = []

    def std(self, centre: torch.Tensor, factor: torch.Tensor | None = None) -> torch.Tensor:
        self.asked.append(centre)
        return super().std(centre, factor)


class _Seeing(torch.nn.Module):
    """A student that changes nothing and keeps what it saw, in scaled intensities."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = (x + 1) / 2
        return 0 * x[:, :1]


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_a_step_is_the_risk_of_a_noise_and_its_negative_weighted_by_what_the_student_sees(alpha) -> None:
    rng = np.random.default_rng(1)
    clean = np.linspace(0.1, 0.9, 64)[None, :, None] * np.ones((3, 1, 64))
    noisy = (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)
    settings = tiny_settings(data={"patch": 48, "batch": 6})
    slices = StepData(Slices(in_memory([noisy]), 1), settings, CPU)
    student, noise = _Seeing(), _Watched(NoiseModel((0.1, 0.9), (0.02, 0.2)))
    found = float(step_loss(slices, student, noise, alpha, "refine")(4))

    plus, minus = student.seen.chunk(2)
    patches = slices.patches(generator(settings.seed, "refine", 4), 4, count=3).noisy
    # Both halves are about the noisy patch itself, which is in the middle of them; so are the neighbours.
    torch.testing.assert_close((plus + minus) / 2, patches)
    torch.testing.assert_close(plus[:, 1:], patches[:, 1:])
    source = student.seen[:, :1]
    added = (plus - minus)[:, :1] / (2 * alpha)
    assert float(added.std()) == pytest.approx(
        float(noise.std(patches[:, :1]).square().mean().sqrt()), rel=0.1
    )
    # The target has the opposite noise, 1 / alpha times as strong; the weight is told by the source alone.
    target = torch.cat([patches[:, :1] - added / alpha, patches[:, :1] + added / alpha])
    level = NoiseDraws(NoiseModel((0.1, 0.9), (0.02, 0.2)), CPU).std(source)
    assert found == pytest.approx(float(((source - target) / level).square().mean()), rel=1e-4)
    assert any(one.shape == source.shape and torch.allclose(one, source, atol=1e-6) for one in noise.asked)


@pytest.mark.parametrize("self_trains", [False, True])
def test_a_step_draws_and_weighs_by_the_level_of_each_place(self_trains: bool) -> None:
    rng = np.random.default_rng(0)
    noisy = (0.5 + 0.1 * rng.standard_normal((2, 80, 80))).astype(np.float32)
    place = PlaceMap.of_grid(np.log([[[0.2, 0.5], [1.0, 2.0]]]))
    settings = tiny_settings(data={"patch": 64, "batch": 64})
    slices = StepData(Slices(in_memory([noisy]), 0, places=[place]), settings, CPU)
    student, draws = _Seeing(), NoiseDraws(NoiseModel.constant(0.1), CPU)
    if self_trains:
        found = float(self_training.step_loss(slices, student, _Seeing(), draws, "step")(0))
    else:
        found = float(step_loss(slices, student, draws, 1.0, "step")(0))
    plus, minus = student.seen.chunk(2)
    factor = slices.patches(generator(settings.seed, "step", 0), 0, count=32).factor
    assert factor is not None
    unit = (plus - minus) / 2 / (0.1 * factor)
    # Equally strong in units of the level, where that is a tenth as strong too.
    for part in (unit[factor < 0.3], unit[factor > 1.2]):
        assert float(part.std()) == pytest.approx(1, abs=0.03)
    # The student gives what it sees: an error of twice the noise at alpha 1, and of once the drawn noise.
    assert found == pytest.approx(float(unit.square().mean()) * (1 if self_trains else 4), rel=1e-3)


@pytest.mark.parametrize("self_trains", [False, True])
def test_a_step_draws_noise_along_the_axes_of_the_scan(self_trains: bool) -> None:
    rng = np.random.default_rng(0)
    noisy = (0.5 + 0.1 * rng.standard_normal((2, 80, 80))).astype(np.float32)
    settings = tiny_settings(data={"patch": 64, "batch": 64})
    slices = StepData(Slices(in_memory([noisy]), 0), settings, CPU)
    student = _Seeing()
    draws = NoiseDraws(NoiseModel.constant(0.1, Correlation.of_axes((), (0.5,))), CPU)
    if self_trains:
        self_training.step_loss(slices, student, _Seeing(), draws, "step")(0)
    else:
        step_loss(slices, student, draws, 1.0, "step")(0)
    plus, minus = student.seen.chunk(2)
    turns = slices.patches(generator(settings.seed, "step", 0), 0, count=32).turns
    assert {turn % 2 for turn in turns} == {0, 1}
    for noise, turn in zip((plus - minus) / 2, turns, strict=True):
        # A patch that was turned by a quarter has the scan's rows as its columns.
        along, across = noise[0].T if turn % 2 else noise[0], noise[0] if turn % 2 else noise[0].T
        lags = [float((one[:, 1:] * one[:, :-1]).mean() / one.square().mean()) for one in (along, across)]
        assert lags == pytest.approx([0.5, 0.0], abs=0.12)

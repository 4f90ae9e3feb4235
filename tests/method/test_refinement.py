"""The risk that refines the student: unbiased, and steadier with a noise and its negative."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.recorruption import Recorruption, recorrupt
from diffdenoise.method.refinement import step_loss
from diffdenoise.method.step_data import StepData
from diffdenoise.method.student import denoise, squared_distance
from diffdenoise.networks.known_noise import UNIT
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.model import NoiseModel
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
        return -self.weight * x[:, :1]


@pytest.fixture
def not_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorruption, "shift", lambda _, source: torch.zeros_like(source))


@pytest.fixture(scope="module")
def data() -> StepData:
    rng = np.random.default_rng(0)
    clean = 0.5 + 0.1 * rng.standard_normal((1, 256, 256))
    noisy = (clean + LEVEL * rng.standard_normal(clean.shape)).astype(np.float32)
    settings = tiny_settings(data={"patch": 64, "batch": 16})
    return StepData(Slices(in_memory([noisy]), 0), settings, CPU)


def recorruption(noise: NoiseModel, alpha: float, zero: float | None = None) -> Recorruption:
    return Recorruption(Domain(noise, LEVEL, zero), noise, alpha, CPU)


def gradients(data: StepData, steps: range, weight: float) -> torch.Tensor:
    student = _Shrink(weight)
    loss_of = step_loss(data, student, recorruption(NoiseModel.constant(LEVEL), ALPHA), "refine")
    found = []
    for step in steps:
        student.weight.grad = None
        loss_of(step).backward()
        assert student.weight.grad is not None
        found.append(student.weight.grad.clone())
    return torch.stack(found)


@pytest.mark.usefixtures("not_shifted")
def test_the_best_student_is_that_of_the_clean_image(data: StepData) -> None:
    # Signal variance 0.01, noise of the first half 0.01 (1 + alpha^2): Wiener keeps the share below.
    source_noise = LEVEL**2 * (1 + ALPHA**2)
    best = source_noise / (0.01 + source_noise)
    mean = [float(gradients(data, range(30), best + offset).mean()) for offset in (-0.2, 0.0, 0.2)]
    assert mean[0] < 0 < mean[2]
    assert abs(mean[1]) < 0.2 * min(-mean[0], mean[2])


@pytest.mark.usefixtures("not_shifted")
def test_the_pair_of_noises_makes_gradients_steadier(data: StepData) -> None:
    pairs = gradients(data, range(60), 0.3)
    singles = []
    for step in range(60):
        student = _Shrink(0.3)
        draws = torch.Generator().manual_seed(step)
        noisy = data.slices.patches(draws, 16, 64).noisy
        source, target = recorrupt(noisy, torch.randn(noisy.shape, generator=draws), LEVEL, ALPHA)
        (squared_distance(denoise(student, source, LEVEL), target) / LEVEL**2).backward()
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


class _Seeing(torch.nn.Module):
    """A student that changes nothing and keeps what it saw, in scaled intensities."""

    def __init__(self, told: float) -> None:
        super().__init__()
        self.told, self.seen = told, torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = 0.5 + x * self.told / UNIT
        return 0 * x[:, :1]


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_a_step_is_the_risk_of_a_noise_and_its_negative_weighted_by_what_the_student_sees(
    alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever is added to what the student sees is taken off again.
    monkeypatch.setattr(Recorruption, "shift", lambda _, source: torch.full_like(source, 0.03))
    rng = np.random.default_rng(1)
    clean = np.linspace(0.1, 0.9, 64)[None, :, None] * np.ones((3, 1, 64))
    noisy = (clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)
    settings = tiny_settings(data={"patch": 48, "batch": 6})
    slices = StepData(Slices(in_memory([noisy]), 1), settings, CPU)
    # Told the level of what it sees: the scan's own and what is added.
    student = _Seeing(LEVEL * math.sqrt(1 + alpha**2))
    # Of magnitudes, which are denoised as they are, the level varies.
    model = NoiseModel((0.1, 0.9), (0.02, 0.2))
    noise = NoiseDraws(model, CPU)
    found = float(step_loss(slices, student, recorruption(model, alpha, 0.0), "refine")(4))

    plus, minus = (student.seen - 0.03).chunk(2)
    patches = slices.patches(generator(settings.seed, "refine", 4), 4, count=3).noisy
    # Both halves are about the noisy patch itself, which is in the middle of them; so are the neighbours.
    torch.testing.assert_close((plus + minus) / 2, patches)
    torch.testing.assert_close(plus[:, 1:], patches[:, 1:])
    source = torch.cat([plus, minus])[:, :1]
    added = (plus - minus)[:, :1] / (2 * alpha)
    assert float(added.std()) == pytest.approx(
        float(noise.std(patches[:, :1]).square().mean().sqrt()), rel=0.1
    )
    # The target has the opposite noise, 1 / alpha times as strong; the weight is told by the source alone.
    target = torch.cat([patches[:, :1] - added / alpha, patches[:, :1] + added / alpha])
    level = noise.std(source)
    assert found == pytest.approx(float(((source - target) / level).square().mean()), rel=1e-4)
    # The target would tell another one, if it weren't the source of the other half.
    assert alpha == 1 or found != pytest.approx(
        float(((source - target) / noise.std(target)).square().mean()), rel=0.01
    )


def test_a_step_draws_noise_along_the_axes_of_the_scan() -> None:
    rng = np.random.default_rng(0)
    noisy = (0.5 + 0.1 * rng.standard_normal((2, 80, 80))).astype(np.float32)
    settings = tiny_settings(data={"patch": 64, "batch": 64})
    slices = StepData(Slices(in_memory([noisy]), 0), settings, CPU)
    student = _Seeing(LEVEL * math.sqrt(2))
    noise = NoiseModel.constant(LEVEL, Correlation.of_axes((), (0.5,)))
    step_loss(slices, student, recorruption(noise, 1.0), "step")(0)
    plus, minus = student.seen.chunk(2)
    turns = slices.patches(generator(settings.seed, "step", 0), 0, count=32).turns
    assert {turn % 2 for turn in turns} == {0, 1}
    for added, turn in zip((plus - minus) / 2, turns, strict=True):
        # A patch that was turned by a quarter has the scan's rows as its columns.
        along, across = added[0].T if turn % 2 else added[0], added[0] if turn % 2 else added[0].T
        lags = [float((one[:, 1:] * one[:, :-1]).mean() / one.square().mean()) for one in (along, across)]
        assert lags == pytest.approx([0.5, 0.0], abs=0.12)

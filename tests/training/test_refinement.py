"""The risk that refines the student: unbiased, and steadier with a noise and its negative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.stages import distil
from diffdenoise.training.noise_draws import NoiseDraws
from diffdenoise.training.slices import Slices
from diffdenoise.training.steps import StepData, refinement_loss
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
    return StepData(Slices([noisy], 0), settings, CPU)


def gradients(data: StepData, steps: range, weight: float) -> torch.Tensor:
    student = _Shrink(weight)
    draws = NoiseDraws(NoiseModel.constant(LEVEL), CPU)
    loss_of = refinement_loss(data, student, draws, ALPHA, "refine")
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
    scale = float(distil.denoise(_Shrink(1.0), torch.zeros(1, 1, 1, 1)).detach())
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
        source, target = distil.recorrupt(noisy, torch.randn(noisy.shape, generator=draws), LEVEL, ALPHA)
        (distil.squared_distance(distil.denoise(student, source), target) / LEVEL**2).backward()
        assert student.weight.grad is not None
        singles.append(student.weight.grad.clone())
    assert float(pairs.std()) < 0.8 * float(torch.stack(singles).std())


def test_noise_is_drawn_along_the_axes_of_the_scan_however_patches_are_turned() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal((1, 300, 301))
    # Correlated by a half along the rows alone.
    noisy = (LEVEL * (white[..., 1:] + white[..., :-1]) / np.sqrt(2)).astype(np.float32)
    slices = Slices([noisy], 0)
    generator = torch.Generator().manual_seed(0)
    batch = slices.patches(generator, 400, 32)
    draws = NoiseDraws(NoiseModel.constant(LEVEL, Correlation((), (0.5,))), CPU)
    added = LEVEL * draws.unit(batch.noisy.shape, generator, batch.turns)
    source, target = distil.recorrupt(batch.noisy, added, 1.0, ALPHA)
    for dims in ((0, 1), (1, 0)):
        down, right = dims
        product = source[..., : 32 - down, : 32 - right] * target[..., down:, right:]
        assert float(product.mean()) / LEVEL**2 == pytest.approx(0.0, abs=0.03)
    # Drawn along the patches' own axes, half of them would not be independent.
    wrong = LEVEL * draws.unit(batch.noisy.shape, generator)
    source, target = distil.recorrupt(batch.noisy, wrong, 1.0, ALPHA)
    turned = [k for k, turn in enumerate(batch.turns) if turn % 2]
    product = source[turned][..., :-1, :] * target[turned][..., 1:, :]
    assert float(product.mean()) / LEVEL**2 > 0.2

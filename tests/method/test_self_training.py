"""The student's own results with noise drawn anew: exact, and with no noise in the target."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.self_training import step_loss
from diffdenoise.method.step_data import StepData
from diffdenoise.method.student import denoise
from diffdenoise.noise.model import NoiseModel
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices
from tests.conftest import tiny_settings

CPU = torch.device("cpu")


class _Smooth(torch.nn.Module):
    """A denoiser with one weight: the correction towards the mean of 3x3 pixels."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Intensities come signed; a denoiser's output is a correction in scaled intensities.
        centre = 0.5 * x[:, :1]
        around = torch.nn.functional.avg_pool2d(centre, 3, 1, 1, count_include_pad=False)
        return self.weight * (around - centre)


@pytest.fixture(scope="module")
def data() -> StepData:
    rng = np.random.default_rng(0)
    brightness = np.linspace(0.1, 1, 128)[None, :, None] * np.ones((1, 1, 128))
    noisy = (brightness + 0.1 * brightness * rng.standard_normal(brightness.shape)).astype(np.float32)
    return StepData(Slices(in_memory([noisy]), 0), tiny_settings(data={"patch": 48, "batch": 8}), CPU)


def model_of_noise() -> NoiseModel:
    return NoiseModel((0.0, 1.0), (0.001, 0.1))


def test_a_student_that_does_nothing_is_left_with_the_noise(data: StepData) -> None:
    draws = NoiseDraws(model_of_noise(), CPU)
    loss_of = step_loss(data, _Smooth(0.0), _Smooth(1.0), draws, "self-training")
    # Errors count in units of the noise's level, so that what is left is 1 wherever it is looked at.
    assert float(torch.stack([loss_of(step) for step in range(20)]).mean()) == pytest.approx(1, abs=0.05)


def test_the_teacher_stays_and_the_student_learns(data: StepData) -> None:
    draws = NoiseDraws(model_of_noise(), CPU)
    teacher, student = _Smooth(1.0), _Smooth(0.2)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.05)
    loss_of = step_loss(data, student, teacher, draws, "self-training")
    for step in range(60):
        optimiser.zero_grad()
        loss_of(step).backward()
        optimiser.step()
    assert teacher.weight.grad is None
    # The smoother the target, the more of the noise is worth taking off.
    assert float(student.weight) > 0.7


def test_a_step_is_a_function_of_its_number(data: StepData) -> None:
    draws = NoiseDraws(model_of_noise(), CPU)
    loss_of = step_loss(data, _Smooth(0.3), _Smooth(1.0), draws, "self-training")
    assert float(loss_of(3)) == float(loss_of(3)) != float(loss_of(4))


def test_a_step_sees_the_teachers_result_with_a_noise_and_its_negative(data: StepData) -> None:
    seen: list[torch.Tensor] = []

    class _Seeing(_Smooth):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((x + 1) / 2)
            return super().forward(x)

    teacher, student = _Smooth(1.0), _Seeing(0.0)
    draws = NoiseDraws(model_of_noise(), CPU)
    found = float(step_loss(data, student, teacher, draws, "self-training")(2))
    plus, minus = seen[0].chunk(2)
    half = data.patches(generator(data.settings.seed, "self-training", 2), 2, count=4).noisy
    with torch.no_grad():
        clean = denoise(teacher, half)
    torch.testing.assert_close((plus + minus) / 2, clean)
    added = (plus - minus) / 2
    assert float((added / draws.std(clean)).std()) == pytest.approx(1, abs=0.05)
    error = torch.cat([added, -added]) / draws.std(seen[0])
    assert found == pytest.approx(float(error.square().mean()), rel=1e-4)

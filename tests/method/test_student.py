from __future__ import annotations

import pytest
import torch

from diffdenoise.method.student import denoise
from tests.model.students import student as random_student


def test_student_predicts_a_correction_of_the_slice_in_tenths_of_the_noises_std():
    noisy = torch.rand(2, 3, 5, 6)

    def student(seen):
        torch.testing.assert_close(seen, (noisy - 0.5) / 0.2)
        return torch.full((2, 1, 5, 6), 0.25, dtype=torch.bfloat16)

    output = denoise(student, noisy, 0.02)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, noisy[:, :1] + 0.25 * 0.2)


@pytest.mark.parametrize("times", [0.1, 3.0])
def test_it_denoises_alike_whatever_the_scale(times):
    network, noisy = random_student(3), torch.rand(1, 3, 24, 20)
    with torch.no_grad():
        expected = denoise(network, noisy, 0.1)
        found = denoise(network, 0.5 + times * (noisy - 0.5), times * 0.1)
    assert float((expected - noisy[:, :1]).abs().max()) > 0.1
    torch.testing.assert_close(found, 0.5 + times * (expected - 0.5), atol=1e-5 * times, rtol=1e-4)

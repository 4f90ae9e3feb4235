from __future__ import annotations

import torch

from diffdenoise.method.student import denoise


def test_student_predicts_a_correction_of_the_slice_from_signed_intensities():
    noisy = torch.rand(2, 3, 5, 6)

    def student(signed_input):
        torch.testing.assert_close(signed_input, 2 * noisy - 1)
        return torch.full((2, 1, 5, 6), 0.25, dtype=torch.bfloat16)

    output = denoise(student, noisy)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, noisy[:, :1] + 0.25)

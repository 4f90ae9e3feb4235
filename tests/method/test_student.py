from __future__ import annotations

import pytest
import torch

from diffdenoise.method.student import denoise, denoise_turned


def test_student_predicts_a_correction_of_the_slice_from_signed_intensities():
    noisy = torch.rand(2, 3, 5, 6)

    def student(signed_input):
        torch.testing.assert_close(signed_input, 2 * noisy - 1)
        return torch.full((2, 1, 5, 6), 0.25, dtype=torch.bfloat16)

    output = denoise(student, noisy)
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, noisy[:, :1] + 0.25)


class _Slope(torch.nn.Module):
    """A student that adds its input's slope along the columns: not the same in every orientation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1].roll(1, dims=3) - x[:, :1]


@pytest.mark.parametrize("orientations", [4, 8])
def test_orientations_are_turned_back_before_they_are_averaged(orientations):
    noisy = torch.rand(1, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    output = denoise_turned(_Slope(), noisy, orientations)
    one = denoise_turned(_Slope(), noisy, 1)
    torch.testing.assert_close(one, denoise(_Slope(), noisy))
    # The mean over all quarter turns does not depend on how the image was turned.
    turned = denoise_turned(_Slope(), torch.rot90(noisy, 1, (2, 3)), orientations)
    torch.testing.assert_close(torch.rot90(turned, -1, (2, 3)), output)
    assert not torch.allclose(one, output)
    if orientations == 8:
        mirrored = denoise_turned(_Slope(), noisy.flip(3), orientations)
        torch.testing.assert_close(mirrored.flip(3), output)


class _Nothing(torch.nn.Module):
    """A student that changes nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0 * x[:, :1]


@pytest.mark.parametrize("orientations", [1, 4, 8])
def test_what_the_student_leaves_alone_comes_back_as_it_was(orientations):
    # Neither side of the image is like another: a copy that is not turned or mirrored back would show.
    noisy = torch.rand(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(denoise_turned(_Nothing(), noisy, orientations), noisy[:, :1])


def test_the_average_is_over_the_eight_orientations_each_once():
    noisy = torch.rand(1, 3, 6, 9, generator=torch.Generator().manual_seed(1))
    results = []
    for mirrored in (False, True):
        for quarters in range(4):
            seen = torch.rot90(noisy.flip(3) if mirrored else noisy, quarters, (2, 3))
            back = torch.rot90(denoise(_Slope(), seen), -quarters, (2, 3))
            results.append(back.flip(3) if mirrored else back)
    for orientations in (1, 4, 8):
        expected = torch.stack(results[:orientations]).mean(0)
        torch.testing.assert_close(denoise_turned(_Slope(), noisy, orientations), expected)

"""Spectra of the noise of the student's own training, and what it is told of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pretraining.spectra import coloured, draw_spectra, told

SIDE, COUNT = 64, 400


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def spectra() -> Tensor:
    draws = generator()

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand((COUNT, 1, 1, 1), generator=draws)

    return draw_spectra(SIDE, uniform)


def over_the_plane(half: Tensor) -> Tensor:
    """Mean over all frequencies of what is told of those to the right."""
    others = half[..., 1:-1].sum((-2, -1))
    side = half.shape[-2]
    return (half.sum((-2, -1)) + others) / side**2


def test_they_are_of_mean_one_and_nowhere_less_than_nothing(spectra: Tensor) -> None:
    assert spectra.shape == (COUNT, 1, SIDE, SIDE // 2 + 1)
    assert torch.isfinite(spectra).all()
    assert (spectra >= 0).all()
    torch.testing.assert_close(over_the_plane(spectra), torch.ones(COUNT, 1), atol=1e-4, rtol=0)


def test_they_are_of_many_kinds(spectra: Tensor) -> None:
    white = (spectra == 1).all(-1).all(-1).flatten()
    assert 0.33 < float(white.float().mean()) < 0.47
    # Smooth: most of the power at the lowest frequencies; cut off: next to none at the highest; band-pass:
    # little at the lowest.
    low, high = spectra[:, 0, 0, 1], spectra[:, 0, SIDE // 2, -1]
    for kind in (low > 3, high < 0.01, low < 0.5):
        assert 0.05 < float(kind.float().mean()) < 0.5
    # Slanting: at a frequency down and to the right there is another power than up and to the right.
    slants = (spectra[:, 0, 8, 8] / spectra[:, 0, -8, 8]).log().abs() > 0.1
    assert 0.02 < float(slants.float().mean()) < 0.25


def test_what_is_told_without_an_error_is_the_spectrum_on_a_grid(spectra: Tensor) -> None:
    found = told(spectra, torch.zeros(COUNT, 1, 1, 1), generator(1))
    assert found.shape == (COUNT, 16, 9)
    torch.testing.assert_close(over_the_plane(found), torch.ones(COUNT), atol=1e-4, rtol=0)
    coarse = spectra[:, 0, :: SIDE // 16, :: SIDE // 16]
    torch.testing.assert_close(found, coarse / over_the_plane(coarse)[:, None, None])


def test_an_error_is_as_large_as_it_says(spectra: Tensor) -> None:
    wrong = torch.where(torch.arange(COUNT) % 2 == 0, 0.15, 0.0)[:, None, None, None]
    off, right = (told(spectra, share * wrong, generator(1)) for share in (1, 0))
    error = (off / right).log()[(spectra[:, 0, ::4, ::4] > 0).flatten(1).all(1)]
    # But for the mean, which is 1 again.
    error = error - error.mean((1, 2), keepdim=True)
    even = error[::2].std((1, 2)), error[1::2].std((1, 2))
    assert float(torch.cat(even).max()) == pytest.approx(0.15, abs=0.05)
    torch.testing.assert_close(off[1::2], right[1::2])


@pytest.mark.parametrize("number", range(0, 48, 4))
def test_noise_with_a_spectrum_has_variance_one_and_that_power(spectra: Tensor, number: int) -> None:
    power = spectra[number : number + 1]
    noise = coloured(torch.zeros(1, 400, SIDE, SIDE), power, generator(number))
    assert float(noise.square().mean()) == pytest.approx(1, abs=0.06)
    found = torch.fft.rfft2(noise)[0].abs().square().mean(0) / SIDE**2
    # Each is the mean of 400 draws, which scatter by 5 %; at both ends of the columns what slants is mixed.
    inside = (slice(1, SIDE // 2), slice(1, -1))
    torch.testing.assert_close(found[inside], power[0, 0][inside], rtol=0.3, atol=1e-3)


def test_slices_and_patches_have_noise_of_their_own(spectra: Tensor) -> None:
    noise = coloured(torch.zeros(64, 2, SIDE, SIDE), spectra[:64], generator())
    assert abs(float((noise[:, 0] * noise[:, 1]).mean())) < 0.02
    assert abs(float((noise[1:] * noise[:-1]).mean())) < 0.02

"""The benchmark's own noise: added to stacks, drawn on patches and told to peers alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data import power_of
from bench.noise import Colour, Noise

NOISES = [
    Noise("gaussian", 0.1),
    Noise("gaussian", 0.1, Colour(1.2)),
    Noise("gaussian", 0.1, Colour(ramp=True)),
    Noise("gaussian", 0.1, rises_to=3.0),
    Noise("rician", 0.1),
    Noise("rician", 0.1, Colour(cut=0.25)),
    Noise("chi", 0.1, coils=8),
    Noise("poisson-gaussian", 0.1),
]


@pytest.mark.parametrize("noise", NOISES)
def test_patches_get_the_same_noise_as_stacks(noise: Noise) -> None:
    clean = np.full((16, 64, 64), 0.6, np.float32)
    stack = noise.add(clean, np.random.default_rng(0)) - clean
    generator = torch.Generator().manual_seed(0)
    draws = [noise.add_to_patches(torch.from_numpy(clean)[:, None], generator) for _ in range(8)]
    patch = torch.cat(draws).numpy()[:, 0] - 0.6
    assert patch.std() == pytest.approx(stack.std(), rel=0.06)
    assert patch.mean() == pytest.approx(stack.mean(), abs=0.01)
    lag = [float((one[:, 1:] * one[:, :-1]).mean() / (one**2).mean()) for one in (stack, patch)]
    assert lag[0] == pytest.approx(lag[1], abs=0.06)


@pytest.mark.parametrize("colour", [Colour(0.8), Colour(ramp=True), Colour(cut=0.25)])
def test_the_spectrum_is_that_of_the_noise(colour: Colour) -> None:
    noise = Noise("gaussian", 0.1, colour)
    drawn = noise.add(np.zeros((600, 32, 32), np.float32), np.random.default_rng(0))
    found, expected = (np.abs(np.fft.fft2(drawn)) ** 2).mean(0), noise.spectrum((32, 32))
    assert found == pytest.approx(expected, rel=0.25, abs=0.01 * expected.mean())
    # Of a stack of independent slices, the same at each frequency across them.
    assert noise.spectrum((5, 32, 32))[3] == pytest.approx(5 * expected)


def test_ramp_filtered_noise_is_a_band_pass() -> None:
    power = Colour(ramp=True).power((128, 128))
    assert power.mean() == pytest.approx(1)
    assert 0.1 < power[0, 0] < 0.3
    assert 0.18 < power[0, :64].argmax() / 128 < 0.25
    # Neighbours two pixels apart are the less alike for it.
    assert np.fft.ifft2(power).real[0, 2] < -0.05


def test_a_level_that_rises_in_place_does_so_where_it_says() -> None:
    noise = Noise("gaussian", 0.05, rises_to=3.0)
    drawn = noise.add(np.zeros((2000, 24, 24), np.float32), np.random.default_rng(0))
    assert drawn.std(0) == pytest.approx(0.05 * noise.place((24, 24)), rel=0.1)
    assert noise.place((100, 100)).max() == pytest.approx(3, rel=0.01)
    assert noise.place((100, 100)).min() < 1.2


def test_magnitudes_of_several_coils_have_their_floor() -> None:
    drawn = Noise("chi", 0.1, coils=8).add(np.zeros((4, 64, 64), np.float32), np.random.default_rng(0))
    assert (drawn**2).mean() == pytest.approx(16 * 0.01, rel=0.02)


def test_the_power_of_noise_alone_is_found_from_its_slices() -> None:
    noise = Noise("gaussian", 0.1, Colour(ramp=True))
    drawn = noise.add(np.zeros((40, 96, 96), np.float32), np.random.default_rng(0))
    found, expected = power_of([drawn], (96, 96)), noise.spectrum((96, 96))
    assert found.mean() == pytest.approx(expected.mean(), rel=0.03)
    strong = expected > 0.5 * expected.mean()
    assert found[strong] == pytest.approx(expected[strong], rel=0.2)
    with pytest.raises(ValueError, match="too small"):
        power_of([drawn], (20, 20))

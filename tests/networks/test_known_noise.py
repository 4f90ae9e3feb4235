"""The weights that come with the package, set for what is known of a noise: as in their own training."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor

from diffdenoise.method.student import denoise
from diffdenoise.model.known import spectrum_of
from diffdenoise.networks import known_noise
from diffdenoise.networks.known_noise import FEATURES, Known, start_student, weights_for
from diffdenoise.networks.unet import UNet
from diffdenoise.noise.correlation import Correlation
from pretraining import told_noise
from pretraining.noise import rician_mean
from pretraining.pictures import SLICES
from pretraining.spectra import told
from pretraining.student import StudentForAll
from pretraining.told_noise import ToldNoise, add_told_noise

SIDE = 64


def anisotropic() -> Tensor:
    """Power of noise that is smoother along the rows, slanting a little, (1, 1, side, side // 2 + 1)."""
    down, right = torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)[None]
    power = torch.zeros(SIDE, SIDE // 2 + 1)
    # With what comes from beyond the highest frequency, so that it is the power of some noise.
    for more_down, more_right in product((-1, 0, 1), repeat=2):
        fast, slow = down + more_down, right + more_right
        power += torch.exp(-40 * ((0.55 * fast + 0.2 * slow) ** 2 + (0.8 * slow) ** 2))
    twice = torch.full((SIDE // 2 + 1,), 2.0)
    twice[0] = twice[-1] = 1
    return (power * SIDE**2 / (power * twice).sum())[None, None]


def of_power(power: Tensor) -> Correlation:
    """The correlation of noise with a power, as far as lags of ten pixels."""
    lags = torch.fft.irfft2(power[0, 0].double(), s=(SIDE, SIDE)).numpy()
    lags = np.roll(lags / lags[0, 0], 10, axis=1)
    return Correlation.of_plane(lags[:11, :21])


KNOWN = Known(told(anisotropic(), torch.zeros(1, 1, 1, 1), torch.Generator())[0].numpy(), 0.07, 3, 1.6, -0.09)


def for_all(width: int = 8) -> StudentForAll:
    """One that makes much of what it is told."""
    torch.manual_seed(3)
    network = StudentForAll(width)
    for parameter in network.parameters():
        fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 16
        torch.nn.init.normal_(parameter, std=fan_in**-0.5)
    return network.eval()


def told_of(known: Known, noisy: Tensor) -> ToldNoise:
    """Patches of which that is told."""
    level = torch.full((len(noisy), 1, 1, 1), known.level)
    features = torch.from_numpy(known.features()).float().expand(len(noisy), -1)
    return ToldNoise(noisy, noisy[:, :1], level, level, features, torch.ones_like(noisy[:, :1]))


def test_the_weights_for_a_noise_give_what_the_network_for_all_noise_gives() -> None:
    both = for_all()
    stored = {name: value.numpy() for name, value in both.state_dict().items()}
    noisy = 0.5 + 0.1 * torch.randn(2, SLICES, 20, 24, generator=torch.Generator().manual_seed(0))
    found = []
    for known in (KNOWN, replace(KNOWN, power=np.ones((16, 9)), zero=None)):
        network = UNet(SLICES, 1, 8)
        network.load_state_dict(
            {name: torch.from_numpy(value) for name, value in weights_for(stored, known).items()}
        )
        with torch.no_grad():
            found.append(denoise(network, noisy, known.level))
            torch.testing.assert_close(found[-1], both(told_of(known, noisy)), atol=2e-5, rtol=1e-4)
    # What is known makes a difference.
    assert float((found[0] - found[1]).abs().max()) > 0.01


def test_the_network_for_all_noise_is_as_it_was() -> None:
    stored = {name: value.numpy().copy() for name, value in for_all().state_dict().items()}
    before = {name: value.copy() for name, value in stored.items()}
    weights_for(stored, KNOWN)
    assert all(np.array_equal(stored[name], before[name]) for name in before)


@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize(("neighbours", "spaced"), [(0, True), (1, True), (1, False), (3, True), (3, False)])
def test_what_is_told_of_a_scan_is_what_was_told_in_training(
    monkeypatch: pytest.MonkeyPatch, magnitude: bool, neighbours: int, spaced: bool
) -> None:
    monkeypatch.setattr(told_noise, "draw_spectra", lambda *_: anisotropic())
    monkeypatch.setattr(told_noise, "_LOW", 0.07)
    monkeypatch.setattr(told_noise, "_HIGH", 0.07)
    shares = {"_WRONG": 0, "_RICIAN": magnitude, "_ALONE": neighbours == 0, "_MANY": neighbours == 3}
    for name, share in {**shares, "_SPACED": spaced, "_HOLES": 0, "_UNEVEN": 0}.items():
        monkeypatch.setattr(told_noise, name, float(share))
    clean = torch.full((1, SLICES, SIDE, SIDE), 0.4)
    drawn = add_told_noise(clean, torch.full((1, 1, 1, 1), 1.6), torch.Generator().manual_seed(1))
    zero = None
    if magnitude:
        zero = float((drawn.mean - rician_mean(clean[:, :1], drawn.std)).mean())
        assert zero < -0.001
    known = Known(
        spectrum_of(of_power(anisotropic())), 0.07, neighbours, 1.6 if spaced else None, zero
    ).features()
    assert known.shape == (FEATURES,) == drawn.features[0].shape
    # Lags are followed as far as ten pixels.
    np.testing.assert_allclose(known[:-7], drawn.features[0, :-7], atol=1e-4)
    np.testing.assert_allclose(known[-7:], drawn.features[0, -7:], atol=1e-5)
    assert not np.allclose(known[:144].reshape(16, 9)[:9], known[:144].reshape(16, 9)[:9].T, atol=0.1)


@pytest.mark.parametrize(
    ("zero", "file"), [(None, "student.safetensors"), (-0.02, "student-magnitude.safetensors")]
)
@pytest.mark.parametrize("neighbours", [0, 1, 2, 3])
def test_the_student_takes_the_slices_that_are_there_nearest_first(
    neighbours: int, zero: float | None, file: str
) -> None:
    with as_file(files("diffdenoise") / "weights" / file) as path:
        whole = load_file(path)["student.entry.weight"]
    assert whole.shape[1] == SLICES
    found = start_student(replace(KNOWN, neighbours=neighbours, zero=zero))["entry.weight"]
    np.testing.assert_array_equal(found, whole[:, : 1 + 2 * neighbours])


def test_two_slices_on_either_side_are_no_more_than_one_that_is_told_of() -> None:
    one, two, three = (replace(KNOWN, neighbours=count).features() for count in (1, 2, 3))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(two, three)


def test_levels_and_spectra_are_told_as_numbers_of_about_one() -> None:
    for level in (0.008, 0.35):
        features = Known(np.ones((16, 9)), level).features()
        assert np.abs(features).max() < 2
    # Even of no power at all.
    assert np.abs(Known(np.zeros((16, 9)), known_noise.MIDDLE_LEVEL).features()).max() < 2

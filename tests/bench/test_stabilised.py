"""Stabilisation around the classical peers: std 1 after the map, and no bias after the way back."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data import Data
from bench.noise import Colour, Noise
from bench.ours import plan_of
from bench.peers import classical
from bench.peers.stabilised import Stabiliser, anscombe, of_magnitudes
from diffdenoise.config import Settings
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array

Array = NDArray[np.float64]
DRAWS = 400_000
CASES = [Noise("rician", 0.1), Noise("chi", 0.1, coils=4), Noise("chi", 0.1, coils=8)]
CASES += [Noise("poisson-gaussian", 0.1), Noise("poisson-gaussian", 0.05)]


@cache
def stabiliser_of(noise: Noise) -> Stabiliser:
    if noise.is_magnitude:
        return of_magnitudes(noise.std, noise.coils, 2.0)
    return anscombe(noise.gain, noise.offset_variance, 2.0)


def level_of(noise: Noise, signal: float) -> float:
    if noise.is_magnitude:
        return noise.std
    return float(np.sqrt(noise.gain * signal + noise.offset_variance))


def draws_of(noise: Noise, signal: float) -> Array:
    flat = np.full((1, 1, DRAWS), signal, np.float32)
    return noise.add(flat, np.random.default_rng(0)).ravel().astype(np.float64)


@pytest.mark.parametrize("noise", CASES)
def test_a_constant_image_comes_back_from_snr_1_up(noise: Noise) -> None:
    found = stabiliser_of(noise)
    snrs = [1.0, 1.5, 2.0, 3.0, 6.0, 12.0]
    for snr in snrs:
        signal = snr * noise.std if noise.is_magnitude else _signal_at(noise, snr)
        back = float(found.inverse(found.forward(draws_of(noise, signal)).mean()))
        # 4 standard errors of the draws' own mean beside the bound of .01 std.
        assert abs(back - signal) < (0.01 + 4 / np.sqrt(DRAWS)) * level_of(noise, signal)


def _signal_at(noise: Noise, snr: float) -> float:
    """Signal that is as many stds of its own noise."""
    signals = np.linspace(0, 3, 30001)
    stds = np.sqrt(noise.gain * signals + noise.offset_variance)
    return float(np.interp(snr, signals / stds, signals))


@pytest.mark.parametrize("noise", CASES)
def test_the_std_is_1_above_the_floor(noise: Noise) -> None:
    found = stabiliser_of(noise)
    for snr in (0.5, 1.0, 2.0, 4.0, 10.0):
        signal = snr * noise.std if noise.is_magnitude else _signal_at(noise, snr)
        assert found.forward(draws_of(noise, signal)).std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("noise", CASES)
def test_the_map_rises_and_nothing_comes_back_below_no_signal(noise: Noise) -> None:
    found = stabiliser_of(noise)
    values = np.linspace(0, 5, 500)
    assert np.all(np.diff(found.forward(values)) > 0)
    assert np.all(np.diff(found.inverse(np.linspace(0, 60, 500))) >= 0)
    assert float(found.inverse(np.array(-5.0))) == 0.0


def test_the_inverse_is_not_the_algebraic_one() -> None:
    noise = Noise("rician", 0.1)
    found = stabiliser_of(noise)
    mapped = found.forward(draws_of(noise, 0.1)).mean()
    # The value that is mapped there is near the mean magnitude, far above the signal of 0.1.
    assert float(np.interp(mapped, found.mapped, found.values)) > 0.125


@pytest.fixture
def mean_instead(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Array | float]]:
    """Put a perfect filter of constant images in BM3D's place, which notes what it was given."""
    given: list[tuple[float, Array | float]] = []

    def perfect(image: Array, level: Array | float) -> Array:
        given.append((float(image.std()), level))
        return np.full_like(image, image.mean())

    monkeypatch.setattr("bm3d.bm3d", perfect)
    return given


def data_of(noise: Noise, signal: float = 0.15) -> Data:
    clean = [np.full((2, 200, 200), signal, np.float32)]
    noisy = [noise.add(clean[0], np.random.default_rng(0))]
    return Data(noisy, clean, noisy, clean, noise)


@pytest.mark.parametrize("noise", [Noise("rician", 0.1), Noise("poisson-gaussian", 0.1)])
def test_the_filter_gets_noise_of_std_1_and_its_result_the_way_back(
    noise: Noise, mean_instead: list[tuple[float, Array | float]]
) -> None:
    one = classical.FILTERS["bm3d-stabilised"]
    data = data_of(noise)
    assert one.applies(data)
    assert one.inverts
    assert one.run(data) == pytest.approx(0.15, abs=0.002)
    assert [std for std, _ in mean_instead] == pytest.approx([1, 1], abs=0.05)
    assert [level for _, level in mean_instead] == [1.0, 1.0]


def test_a_level_that_varies_in_place_is_divided_out(
    mean_instead: list[tuple[float, Array | float]],
) -> None:
    data = data_of(Noise("gaussian", 0.05, rises_to=3.0), 0.0)
    assert classical.FILTERS["bm3d-place"].applies(data)
    classical.FILTERS["bm3d-place"].run(data)
    assert [std for std, _ in mean_instead] == pytest.approx([1, 1], abs=0.02)


def told_by(method: str, data: Data, given: list[tuple[float, Array | float]]) -> Array:
    assert classical.FILTERS[method].applies(data)
    classical.FILTERS[method].run(data)
    return np.asarray(given[-1][1])


def test_spectra_are_the_true_one_that_of_repeats_and_that_of_our_diagnosis(
    mean_instead: list[tuple[float, Array | float]],
) -> None:
    noise = Noise("gaussian", 0.1, Colour(0.8))
    data = data_of(noise, 0.5)
    x = np.linspace(0, 6, 200)
    data.noisy[0] += (0.3 * np.sin(x)[:, None] * np.cos(x)).astype(np.float32)
    truth = told_by("bm3d-spectrum", data, mean_instead)
    assert truth == pytest.approx(noise.spectrum((200, 200)))
    ours = told_by("bm3d-our-spectrum", data, mean_instead)
    data.differences = [noise.add(np.zeros((2, 200, 200), np.float32), np.random.default_rng(1))]
    repeats = told_by("bm3d-repeats", data, mean_instead)
    strong = truth > truth.mean()
    assert repeats.mean() == pytest.approx(truth.mean(), rel=0.1)
    assert repeats[strong] == pytest.approx(truth[strong], rel=0.5)
    # Of the diagnosis what it says, right or wrong.
    plan = plan_of(data.train, Settings())
    std = plan.noise.typical_std * prepare(from_array(data.noisy[0]), 0).intensities.range
    assert ours.mean() == pytest.approx(std**2 * 200**2, rel=0.05)
    lags = np.fft.ifft2(ours).real / ours.mean()
    for place in ((0, 1), (1, 0), (1, 1), (0, 2)):
        assert lags[place] == pytest.approx(plan.noise.correlation.at(*place), abs=0.05)


@pytest.mark.parametrize(
    ("noise", "ways"),
    [
        (Noise("gaussian", 0.1), {""}),
        (Noise("rician", 0.1), {"", "-stabilised"}),
        (Noise("gaussian", 0.1, rises_to=3.0), {"", "-place"}),
    ],
)
def test_each_case_is_filtered_in_the_ways_that_suit_it(noise: Noise, ways: set[str]) -> None:
    data = data_of(noise)
    quick = {name for name, one in classical.FILTERS.items() if name.startswith("bm3d") and one.applies(data)}
    assert quick == {f"bm3d{way}" for way in ways} | {"bm3d-estimated"}

"""Too much, too little, and structure taken off are told from noise taken off."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.model import NoiseModel
from diffdenoise.trust.result_check import ResultCheck, check_result

LEVEL = 0.08


def clean():
    """Blocks and fine stripes, (3, 96, 80), from .2 to .9."""
    y, x = np.mgrid[:96, :80]
    image = 0.2 + 0.4 * ((y // 24 + x // 20) % 2) + 0.12 * np.sin(x / 1.5) * (y > 48)
    return np.stack([image, np.roll(image, 5, 0), np.roll(image, 9, 1)]).astype(np.float32)


def noise_of(width_px: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=clean().shape)
    if width_px:
        noise = gaussian_filter(noise, (0, width_px, width_px))
    return LEVEL * noise / noise.std()


def diagnosis(width_px: float = 0.0, level: float = LEVEL) -> Diagnosis:
    return Diagnosis(NoiseModel.constant(level, Correlation.gaussian(width_px)), 0.0, (), None)


def checked(noisy, denoised, **changes) -> ResultCheck:
    found = check_result([noisy], [denoised], diagnosis(**changes))
    assert found is not None
    return found


@pytest.mark.parametrize("width_px", [0.0, 1.0])
def test_noise_that_was_taken_off_raises_no_doubt(width_px):
    found = checked(clean() + noise_of(width_px), clean(), width_px=width_px)
    assert found.taken == pytest.approx(1, abs=0.02)
    assert abs(found.alike) < 0.06
    assert found.at_edges == pytest.approx(1, abs=0.15)
    assert found.doubts == []


@pytest.mark.parametrize("width_px", [0.0, 1.0])
def test_a_blurred_result_took_structure_off(width_px):
    noisy = clean() + noise_of(width_px)
    found = checked(noisy, gaussian_filter(noisy, (0, 3, 3)), width_px=width_px)
    assert found.taken > 1.25
    assert len(found.doubts) >= 2
    assert any("at edges" in doubt for doubt in found.doubts)


def test_a_level_twice_too_high_shows_by_what_was_taken():
    noisy = clean() + noise_of(0.0)
    found = checked(noisy, noisy - 2 * (noisy - clean()))
    assert found.taken == pytest.approx(2, abs=0.05)
    assert found.doubts == ["2 times the noise was taken off"]


def test_a_result_that_is_the_input_took_nothing_off():
    noisy = clean() + noise_of(0.0)
    assert checked(noisy, noisy).doubts == ["only 0% of the noise was taken off"]


def test_wide_noise_under_a_white_statement_is_smoother_than_stated():
    found = checked(clean() + noise_of(1.0), clean())
    assert found.alike > 0.3
    assert found.doubts == [f"what was taken off is smoother than the noise (correlation {found.alike:+.2f})"]


def test_what_is_no_data_counts_nowhere():
    noisy = clean() + noise_of(0.0)
    denoised = clean()
    noisy[:, :30], denoised[:, :30] = np.nan, 7.0
    assert checked(noisy, denoised).doubts == []


def test_where_the_noise_is_not_known_nothing_is_said():
    noisy = clean() + noise_of(0.0)
    unknown = Diagnosis(NoiseModel.constant(LEVEL), 0.0, (), None, is_upper_bound=True)
    found = check_result([noisy], [clean()], unknown)
    assert found is not None
    assert found.doubts == []
    # But that no more than the most that it can be is taken off.
    twice = check_result([clean() + 2 * noise_of(0.0)], [clean()], unknown)
    assert twice is not None
    assert twice.doubts == [f"{twice.taken:.2g} times the most that the noise can be was taken off"]
    assert check_result([noisy], [clean()], diagnosis(level=0.0)) is None


def test_large_slices_are_looked_at_in_parts() -> None:
    draws = np.random.default_rng(0)
    true = np.tile(clean()[:1], (1, 22, 19))
    noisy = (true + LEVEL * draws.normal(size=true.shape)).astype(np.float32)
    tracemalloc.start()
    found = check_result([noisy], [true], diagnosis())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert found.taken == pytest.approx(1, abs=0.01)
    assert found.at_edges == pytest.approx(1, abs=0.02)
    # Looked at as a whole, eight arrays of float64: 64 bytes a pixel.
    assert most < 35 * true.size
    # All parts count: nothing taken off in the lower half shows.
    half = true.copy()
    half[:, len(half[0]) // 2 :] = noisy[:, len(half[0]) // 2 :]
    less = check_result([noisy], [half], diagnosis())
    assert less is not None
    assert less.taken == pytest.approx(0.5**0.5, abs=0.02)


def test_what_is_taken_off_is_measured_by_the_level_at_each_place():
    factor = np.broadcast_to(np.linspace(0.3, 3, 80, dtype=np.float32), clean().shape)
    noisy = clean() + factor * noise_of(0.0)
    found = check_result([noisy], [clean()], diagnosis(), [factor])
    assert found is not None
    assert found.taken == pytest.approx(1, abs=0.02)
    wrong = check_result([noisy], [clean()], diagnosis())
    assert wrong is not None
    assert wrong.taken > 1.25

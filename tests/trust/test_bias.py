"""A shift of brightness is measured, tissue by tissue, and what magnitudes' noise adds is forgiven."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.rician import mean_of_signal
from diffdenoise.trust.bias import Band, bands_of

from .pairs import LEVEL, Volume, noise_like, paired_of


def tissue(count: int = 6, side: int = 144) -> Volume:
    """Slow changes from about .3 to .9, with a background of 0 in a third of the slice."""
    smooth = gaussian_filter(np.random.default_rng(3).standard_normal((count, side, side)), (0, 8, 8))
    image = 0.6 + 0.3 * smooth / np.abs(smooth).max()
    image[:, :, : side // 3] = 0.0
    return image


def magnitudes(clean: Volume, std: float, seed: int = 0) -> Volume:
    rng = np.random.default_rng(seed)
    return np.hypot(clean + std * rng.standard_normal(clean.shape), std * rng.standard_normal(clean.shape))


def inside(band: Band, shift: float) -> bool:
    return abs(band.shift - shift) <= band.half_width


@pytest.mark.parametrize("shift", [0.02, -0.03])
def test_a_shift_is_measured_with_its_sign_and_inside_its_interval(shift: float) -> None:
    clean = tissue()
    bands = bands_of(paired_of(clean + noise_like(clean.shape), clean + shift))
    assert len(bands) == 5
    # Of five 95 % intervals one may miss.
    assert sum(inside(band, shift) for band in bands) >= 4
    for band in bands:
        assert band.shift == pytest.approx(shift, abs=2.5 * band.half_width)
        assert band.half_width < 0.003
        assert band.noise_std == pytest.approx(LEVEL, rel=1e-3)
        assert band.beyond_chance == pytest.approx(abs(band.shift) - band.half_width)


def test_intervals_hold_as_often_as_they_say() -> None:
    clean = tissue(2)
    hits = [
        inside(band, 0.0)
        for seed in range(40)
        for band in bands_of(paired_of(clean + noise_like(clean.shape, seed=seed), clean))
    ]
    assert len(hits) == 200
    # 95 %, of which 200 tell to 1.5 %.
    assert np.mean(hits) == pytest.approx(0.95, abs=0.04)


def test_an_ideal_result_has_no_shift_beyond_chance() -> None:
    assert Band(0.0, 1.0, -0.01, 0.02, 0.1).beyond_chance == 0
    clean = tissue()
    bands = bands_of(paired_of(clean + noise_like(clean.shape, seed=1), clean))
    assert max(band.beyond_chance for band in bands) < 0.02 * LEVEL


def test_the_background_is_a_class_of_its_own() -> None:
    clean = tissue()
    # Shifted in air alone.
    denoised = clean + 0.04 * (clean == 0)
    bands = bands_of(paired_of(clean + noise_like(clean.shape), denoised))
    assert bands[0].high < 0.15
    assert bands[0].shift == pytest.approx(0.04, abs=0.002)
    for band in bands[2:]:
        assert abs(band.shift) < 0.003
    edges = [band.low for band in bands[1:]]
    assert edges == sorted(edges)
    assert edges[1] > 0.4


def test_a_shift_of_one_tissue_is_seen_there_alone() -> None:
    clean = tissue()
    denoised = clean + 0.03 * (clean > 0.6)
    bands = bands_of(paired_of(clean + noise_like(clean.shape), denoised))
    assert bands[-1].shift == pytest.approx(0.03, abs=0.006)
    assert abs(bands[0].shift) < 0.002
    assert abs(bands[1].shift) < 0.006


@pytest.mark.parametrize("undone", [True, False], ids=["signal", "mean"])
def test_the_bias_of_magnitudes_is_forgiven_whether_it_was_undone_or_not(undone: bool) -> None:
    clean, std = tissue(), 0.15
    denoised = clean if undone else mean_of_signal(clean, std)
    found = bands_of(paired_of(magnitudes(clean, std), denoised, std, rician_std=std))
    assert max(band.beyond_chance for band in found) < 0.05 * std


def test_a_shift_on_top_of_magnitudes_bias_is_not_forgiven() -> None:
    clean, std = tissue(), 0.15
    found = bands_of(paired_of(magnitudes(clean, std), clean * 1.1 + 0.02, std, rician_std=std))
    # Where it is bright, by a tenth of .75 and .02.
    assert found[-1].shift == pytest.approx(0.1 * 0.78 + 0.02, abs=0.02)
    assert found[-1].beyond_chance > 0.3 * std


def test_leaked_noise_is_no_shift() -> None:
    clean = tissue()
    noisy = clean + noise_like(clean.shape)
    bands = bands_of(paired_of(noisy, clean + 0.4 * (noisy - clean)))
    assert max(band.beyond_chance for band in bands) < 0.1 * LEVEL


def test_too_little_tissue_gives_no_class() -> None:
    clean = np.tile(np.linspace(0, 1, 40), (1, 40, 1))
    assert bands_of(paired_of(clean + noise_like(clean.shape), clean)) == ()
    clean = np.tile(np.linspace(0, 1, 15), (9, 200, 1))
    assert bands_of(paired_of(clean + noise_like(clean.shape), clean)) == ()


def test_blocks_without_data_are_left_out() -> None:
    clean = tissue()
    noisy = clean + noise_like(clean.shape)
    noisy[:, 70:] = np.nan
    denoised = np.where(np.isnan(noisy), 5.0, clean + 0.02)
    for band in bands_of(paired_of(noisy, denoised)):
        assert band.shift == pytest.approx(0.02, abs=2.5 * band.half_width)

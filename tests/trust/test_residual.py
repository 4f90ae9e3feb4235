"""Numbers of a residual have the values that known faults give them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.trust.residual import BANDS, ResidualFigures, look_at_residual

from .pairs import LEVEL, Volume, noise_like, paired_of, rounds

WIDE = Correlation.gaussian(0.8)


def looked_at(noisy: Volume, denoised: Volume, **known: object) -> ResidualFigures:
    found = look_at_residual(paired_of(noisy, denoised, **known))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("correlation", [WHITE, WIDE], ids=["white", "wide"])
def test_the_ideal_result_takes_the_noise_off_and_nothing_else(correlation: Correlation) -> None:
    clean = rounds(side=128)
    noisy = clean + noise_like(clean.shape, correlation=correlation)
    found = looked_at(noisy, clean, correlation=correlation)
    assert found.taken == pytest.approx(1, abs=0.02)
    assert len(found.bands) == len(BANDS) - 1
    assert found.bands == pytest.approx([1, 1, 1], abs=0.06)
    assert abs(found.blur) < 0.03
    assert abs(found.lost) < 0.1
    assert found.at_edges == pytest.approx(1, abs=0.08)
    assert abs(found.left) < 0.03
    assert found.peak < 1.5


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_noise_that_leaked_is_told_with_its_share(share: float) -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape)
    found = looked_at(noisy, clean + share * (noisy - clean))
    assert found.left == pytest.approx(share / (1 - share), abs=0.04)
    assert found.taken == pytest.approx(1 - share, abs=0.02)
    assert found.bands == pytest.approx([1 - share] * 3, abs=0.06)


def test_the_stated_level_is_what_it_is_held_against() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape)
    assert looked_at(noisy, clean, std=2 * LEVEL).taken == pytest.approx(0.5, abs=0.02)
    unknown = looked_at(noisy, clean, std=0.0)
    assert np.isnan(unknown.taken)
    assert unknown.bands == ()
    assert np.isfinite(unknown.left)
    assert np.isfinite(unknown.blur)


def test_blur_takes_off_structure_at_edges() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape, 0.02)
    figures = [
        looked_at(noisy, gaussian_filter(clean, (0, width, width)), std=0.02) for width in (0.0, 0.7, 1.2)
    ]
    for one, other in pairwise(figures):
        assert other.blur > one.blur + 0.05
        assert other.lost > one.lost + 0.2
        assert other.at_edges > one.at_edges + 0.3


def test_sharpening_puts_structure_in() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape, 0.02)
    sharper = clean + 0.5 * (clean - gaussian_filter(clean, (0, 1, 1)))
    assert looked_at(noisy, sharper, std=0.02).blur < -0.1


def test_stripes_are_peaks() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape)
    wave = np.sin(2 * np.pi * np.arange(96) / 6.3)[:, None]
    peaks = [looked_at(noisy, clean + share * LEVEL * wave).peak for share in (0.0, 0.15, 0.5)]
    assert peaks[0] < 1.5
    assert peaks[1] > 2 * peaks[0]
    # The power of a stripe goes with the square of its height.
    assert peaks[2] > 5 * peaks[1]
    assert looked_at(noisy, clean + 0.5 * LEVEL * wave.T).peak == pytest.approx(peaks[2], rel=0.3)


def test_the_fineness_that_was_left_is_told() -> None:
    clean = rounds(side=128)
    noise = noise_like(clean.shape, correlation=WIDE)
    coarse = gaussian_filter(noise, (0, 2.5, 2.5))
    bands = looked_at(clean + noise, clean + coarse, correlation=WIDE).bands
    assert bands[0] < 0.65
    assert bands[1:] == pytest.approx([1, 1], abs=0.1)
    bands = looked_at(clean + noise, clean + noise - coarse, correlation=WIDE).bands
    assert bands[0] > 3 * max(bands[1:])


def test_small_scans_have_no_bands() -> None:
    clean = rounds(1, 48)
    assert looked_at(clean + noise_like(clean.shape), clean).bands == ()


def test_what_has_no_data_counts_for_nothing() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape)
    noisy[:, :, :30] = np.nan
    found = looked_at(noisy, np.where(np.isnan(noisy), 7.0, clean))
    assert found.taken == pytest.approx(1, abs=0.02)
    noisy[2] = np.nan
    assert looked_at(noisy, np.where(np.isnan(noisy), 7.0, clean)).taken == pytest.approx(1, abs=0.02)


def test_a_scan_that_was_left_as_it_was_has_no_figures() -> None:
    noisy = rounds() + noise_like((6, 96, 96))
    assert look_at_residual(paired_of(noisy, noisy)) is None

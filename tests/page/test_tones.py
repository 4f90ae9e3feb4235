"""Tones keep values: most tones for the window, some for what lies beyond; scales are fixed."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.page.tones import ZERO, encode, residual_tones, share_tones, tones_for
from diffdenoise.trust.window import Window
from tests.page.made import opened


def test_a_narrow_window_of_a_ct_keeps_its_greys() -> None:
    values = np.linspace(-3000, 30000, 1000)
    tones = tones_for(Window(-160, 240, unit="HU"), values)
    assert (tones.values[0], tones.values[-1]) == (-1024, 2000)
    inside = np.linspace(-160, 240, 500)
    back = np.interp(tones.of(inside), tones.tones, tones.values)
    # 256 tones for all would be 12 HU each.
    assert np.abs(back - inside).max() <= 1.5
    wide = np.array([-1000.0, -600, 700, 1500])
    assert np.abs(np.interp(tones.of(wide), tones.tones, tones.values) - wide).max() < 25


def test_a_window_that_holds_all_has_all_tones() -> None:
    tones = tones_for(Window(0, 255), np.arange(256.0))
    assert tones.of(np.arange(256.0)).tolist() == list(range(256))


def test_what_is_no_number_is_dark_and_what_lies_beyond_is_cut() -> None:
    tones = tones_for(Window(0, 100), np.array([-50.0, 200.0]))
    assert tones.of(np.array([np.nan, -np.inf, np.inf])).tolist() == [0, 0, 255]
    assert (np.diff(tones.of(np.linspace(-50, 200, 99)).astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("residual", "tone"), [(0, ZERO), (4, 254), (-4, 0), (9, 254), (2, 190), (np.nan, ZERO)]
)
def test_a_residual_of_nothing_is_in_the_middle(residual: float, tone: int) -> None:
    assert residual_tones(np.array([float(residual)]), 4.0)[0] == pytest.approx(tone, abs=0.5)


def test_shares_go_from_zero_to_the_top() -> None:
    assert share_tones(np.array([-1, 0, 5, 10, 99, np.nan]), 10.0).tolist() == [0, 0, 128, 255, 255, 0]


def test_without_a_quality_nothing_is_lost() -> None:
    tones = np.random.default_rng(0).integers(0, 256, (60, 70)).astype(np.uint8)
    assert np.array_equal(opened(encode(tones, None)), tones)
    lossy = encode(tones, 80)
    assert len(lossy) < len(encode(tones, None))
    assert np.abs(opened(lossy).astype(float) - tones).mean() < 20

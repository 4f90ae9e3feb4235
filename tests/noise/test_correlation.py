"""Autocorrelations and the kernels that make them."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import Correlation


def lags_of(kernel):
    full = np.correlate(kernel, kernel, "full")[len(kernel) - 1 :]
    return full / full[0]


@pytest.mark.parametrize("width", [0.4, 0.8, 1.2, 1.6])
def test_kernels_make_the_correlation_they_were_made_for(width):
    correlation = Correlation.gaussian(width)
    down, _ = correlation.kernels()
    assert np.linalg.norm(down) == pytest.approx(1)
    assert lags_of(down)[1 : 1 + len(correlation.down)] == pytest.approx(correlation.down, abs=0.03)


def test_negative_lobes_are_kept():
    # A zero-filled image's noise: positive next door, negative beyond.
    correlation = Correlation((0.4, -0.1, 0.05), ())
    down, right = correlation.kernels()
    assert lags_of(down)[1:4] == pytest.approx([0.4, -0.1, 0.05], abs=0.02)
    assert right.tolist() == [1.0]


def test_an_autocorrelation_that_no_noise_can_have_is_brought_to_the_nearest():
    down, _ = Correlation((0.9, -0.4), ()).kernels()
    assert np.isfinite(down).all()
    assert np.linalg.norm(down) == pytest.approx(1)


@pytest.mark.parametrize("width", [0.5, 0.8, 1.2, 1.6, 2.0])
def test_the_width_of_a_gaussian_is_found_again(width):
    assert Correlation.gaussian(width, 0).width_px == pytest.approx((width, 0), abs=0.03)


def test_ripples_are_no_width():
    assert Correlation((-0.07, -0.01, 0.3), (0.6, 0.1, -0.05, 0.55)).width_px == pytest.approx(
        (0, 0.7), abs=0.03
    )


def test_differences_are_taken_where_little_correlation_is_left():
    assert Correlation().steps == (1, 1)
    assert Correlation().difference_gain == 1
    wide = Correlation.gaussian(1.6, 0.5)
    assert wide.steps[0] >= 3
    assert wide.steps[1] == 1
    rng = np.random.default_rng(0)
    down, right = wide.kernels()
    white = rng.standard_normal((400, 400))
    noise = np.apply_along_axis(np.convolve, 0, white, down, "same")
    noise = np.apply_along_axis(np.convolve, 1, noise, right, "same")[20:-20, 20:-20]
    i, j = wide.steps
    differences = (noise[:-i, :-j] - noise[:-i, j:] - noise[i:, :-j] + noise[i:, j:]) / 2
    assert differences.std() / noise.std() == pytest.approx(wide.difference_gain, rel=0.05)


def test_white_noise_has_no_lags():
    assert Correlation.gaussian(0).is_white
    assert Correlation.gaussian(0).width_px == (0, 0)
    assert not Correlation((0.2,), ()).is_white

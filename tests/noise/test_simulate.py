from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffdenoise.errors import DiffDenoiseError, IntensityError, SettingsError
from diffdenoise.noise.simulate import gaussian, parse_std, poisson, rician, simulate
from diffdenoise.scan.read import from_array

FLAT = np.full((256, 256), 100.0)
RAMP = np.linspace(0, 200, 64 * 64 * 4).reshape(64, 64, 4)


def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 1.0, 2.5])
def test_gaussian_noise_has_the_stated_std_whatever_its_correlation(correlation):
    noise = np.stack(
        [gaussian(FLAT, 7.0, correlation_px=correlation, rng=each) - FLAT for each in rng().spawn(8)]
    )
    # A correlated patch of 2 sqrt(pi) x correlation pixels across counts as one sample.
    samples = noise.size / max(1.0, (2 * np.sqrt(np.pi) * correlation) ** 2)
    assert noise.std() == pytest.approx(7.0, rel=4 / np.sqrt(2 * samples))
    assert noise.mean() == pytest.approx(0.0, abs=4 * 7.0 / np.sqrt(samples))


def test_the_gain_is_exact_even_where_the_kernel_is_wider_than_the_slice():
    draws = [gaussian(np.zeros((8, 9)), 1.0, correlation_px=6.0, rng=each) for each in rng().spawn(4000)]
    # Almost constant slices: 4000 samples or few more.
    assert np.std(draws) == pytest.approx(1.0, rel=4 / np.sqrt(2 * 4000))


@pytest.mark.parametrize("correlation", [1.0, 2.0])
def test_correlation_is_that_of_a_gaussian_kernel(correlation):
    noise = gaussian(np.zeros((512, 512)), 1.0, correlation_px=correlation, rng=rng())
    for lag in (1, 2, 3):
        expected = np.exp(-(lag**2) / (4 * correlation**2))
        for axis in (0, 1):
            assert (noise * np.roll(noise, lag, axis)).mean() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_noise_is_correlated_inside_slices_only(axis):
    noise = gaussian(np.zeros((40, 42, 44, 3)), 1.0, correlation_px=1.5, axis=axis, rng=rng())
    for other in range(4):
        correlation = (noise * np.roll(noise, 1, other)).mean()
        assert correlation == pytest.approx(0.0 if other in (axis, 3) else np.exp(-1 / 9), abs=0.05)


def test_rician_noise_has_the_moments_of_its_distribution():
    # E[y^2] = s^2 + 2 std^2 holds exactly; with no signal the mean is std sqrt(pi / 2).
    noisy = rician(np.array([FLAT, 0 * FLAT]), 7.0, rng=rng())
    assert (noisy[0] ** 2).mean() == pytest.approx(100.0**2 + 2 * 7.0**2, rel=0.005)
    assert noisy[1].mean() == pytest.approx(7.0 * np.sqrt(np.pi / 2), rel=0.01)
    assert noisy.min() >= 0


def test_poisson_noise_grows_with_the_signal_and_has_its_std_at_the_foregrounds_mean():
    clean = np.zeros((3, 256, 256))
    clean[1], clean[2] = 60.0, 100.0  # Otsu's threshold parts 0 from both
    noise = poisson(clean, 4.0, rng=rng()) - clean
    assert np.array_equal(noise[0], np.zeros((256, 256)))
    per_unit = noise[1].var() / 60.0
    assert noise[2].var() / 100.0 == pytest.approx(per_unit, rel=0.05)
    assert np.sqrt(per_unit * 80.0) == pytest.approx(4.0, rel=0.02)
    assert noise.mean() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("add", [rician, poisson])
def test_negative_values_are_refused_where_they_have_no_meaning(add):
    with pytest.raises(IntensityError, match=r"down to -1;.*use gaussian"):
        add(FLAT - 101, 1.0, rng=rng())


@pytest.mark.parametrize("std", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("add", [gaussian, rician, poisson])
def test_a_std_that_is_none_is_refused(add, std):
    with pytest.raises(SettingsError, match="expected a positive, finite number"):
        add(FLAT, std, rng=rng())


@pytest.mark.parametrize("std", [1e-9, 1e-200])
def test_a_std_too_small_to_count_is_refused(std):
    with pytest.raises(SettingsError, match="too small"):
        poisson(FLAT, std, rng=rng())


@pytest.mark.parametrize(
    ("correlation", "reason"), [(-1.0, "0 or more"), (np.nan, "0 or more"), (1.0, "axis")]
)
def test_a_correlation_that_does_not_fit_is_refused(correlation, reason):
    with pytest.raises(SettingsError, match=reason):
        gaussian(RAMP, 1.0, correlation_px=correlation, rng=rng())


@pytest.mark.parametrize(
    ("text", "expected"), [("10%", 99.0), (" 2.5 % ", 24.75), ("25", 25.0), ("1e-3", 0.001), ("200%", 1980.0)]
)
def test_a_std_is_a_share_of_the_range_or_a_number(text, expected):
    assert parse_std(text, np.arange(1001)) == pytest.approx(expected)  # percentiles 5 and 995


@pytest.mark.parametrize("text", ["", "%", "ten", "10%%", "-5", "0", "0%", "nan", "inf%", "10 20"])
def test_a_text_that_is_no_std_is_refused(text):
    with pytest.raises(SettingsError, match="expected"):
        parse_std(text, np.arange(1001))


@given(st.text(max_size=8))
def test_any_text_is_a_positive_std_or_refused(text):
    with suppress(SettingsError):
        assert 0 < parse_std(text, np.arange(1001)) < np.inf


@pytest.mark.parametrize("kind", ["gaussian", "rician", "poisson"])
def test_the_same_seed_gives_the_same_noise(kind):
    scan = from_array(RAMP)
    first, again, other = (simulate(scan, kind, 5.0, seed=seed).data for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(scan.data, RAMP)


def test_the_result_is_float32_of_the_same_geometry():
    affine = np.diag([1.0, 2, 3, 1])
    scan = replace(
        from_array(RAMP.astype(np.uint8)), spacing_mm=(1.0, 2.0, 3.0), affine=affine, name="x", format="nifti"
    )
    noisy = simulate(scan, "gaussian", "10%")
    assert noisy.data.dtype == noisy.stored_dtype == np.float32
    assert noisy.data.min() < 0  # not clipped
    assert (noisy.data - RAMP.astype(np.uint8)).std() == pytest.approx(19.8, rel=0.03)
    assert replace(noisy, data=scan.data, stored_dtype=scan.stored_dtype) == scan


@pytest.mark.parametrize(("fmt", "keep"), [("png", False), ("tiff", True)])
def test_integers_are_rounded_and_clipped_for_png_or_if_asked(fmt, keep):
    scan = replace(from_array(RAMP[:, :, 1].astype(np.uint8)), format=fmt)
    noisy = simulate(scan, "gaussian", 50.0, keep_dtype=keep)
    assert noisy.data.dtype == noisy.stored_dtype == np.uint8
    assert (noisy.data.min(), noisy.data.max()) == (0, 255)


def test_correlated_noise_follows_the_slice_axis():
    scan = from_array(np.random.default_rng(0).random((64, 64, 9)))
    for axis, expected in [(None, 2), (0, 0)]:
        noise = simulate(scan, "gaussian", 1.0, 2.0, axis=axis).data - scan.data
        assert (noise * np.roll(noise, 1, expected)).mean() == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize(
    ("data", "arguments", "reason"),
    [
        (RAMP, {"kind": "speckle", "std": 1.0}, "expected gaussian, rician, poisson"),
        (RAMP, {"kind": "gaussian", "std": "x"}, "expected such as"),
        (RAMP, {"kind": "gaussian", "std": 1.0, "seed": -1}, "expected 0 or more"),
        (RAMP, {"kind": "poisson", "std": 1.0, "correlation_px": 1.0}, "no correlation"),
        (RAMP, {"kind": "gaussian", "std": 1.0, "axis": 5}, "expected 0, 1 or 2"),
        (RAMP * np.nan, {"kind": "gaussian", "std": 1.0}, "NaN"),
    ],
)
def test_wrong_use_is_refused(data, arguments, reason):
    with pytest.raises(DiffDenoiseError, match=reason) as caught:
        simulate(from_array(data), **arguments)
    assert "\n" not in str(caught.value)

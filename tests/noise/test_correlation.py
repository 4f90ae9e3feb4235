from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import fftconvolve

from diffdenoise.noise.correlation import REACH, haar_gain, independent, kernel_for, measure_correlation
from diffdenoise.noise.level import diagonal_haar


def gaussian_lags(down_px, right_px):
    """Autocorrelation of noise smoothed by a sampled Gaussian, lags -REACH to REACH."""
    parts = []
    for width in (down_px, right_px):
        kernel = np.exp(-0.5 * (np.arange(-20, 21) / width) ** 2) if width else np.eye(41)[20]
        lags = np.correlate(kernel, kernel, "full")[40 - REACH : 41 + REACH]
        parts.append(lags / lags[REACH])
    return np.outer(*parts)


def noise_of(correlation, seed=0, shape=(6, 200, 180)):
    """Noise of unit variance made with `kernel_for`."""
    kernel = kernel_for(correlation)
    white = np.random.default_rng(seed).standard_normal((shape[0], shape[1] + 30, shape[2] + 30))
    coloured = np.stack([fftconvolve(image, kernel, mode="same") for image in white])
    return coloured[:, 15:-15, 15:-15].astype(np.float32)


def measure(noise, clean=0.5, std=0.1):
    clean = np.broadcast_to(np.asarray(clean, np.float32), noise.shape)
    variance = np.broadcast_to(np.asarray(std, np.float32) ** 2, noise.shape)
    return measure_correlation(list((clean + std * noise).astype(np.float32)), list(clean), list(variance))


@pytest.mark.parametrize("widths", [(0.4, 0.4), (0.6, 0.0), (0.0, 0.8), (0.8, 0.5)])
def test_a_filter_of_unit_energy_gives_the_noise_its_correlation(widths):
    correlation = gaussian_lags(*widths)
    kernel = kernel_for(correlation)
    assert (kernel**2).sum() == pytest.approx(1.0)
    again = fftconvolve(kernel, kernel[::-1, ::-1])
    middle = len(again) // 2
    window = slice(middle - REACH, middle + REACH + 1)
    assert again[window, window] == pytest.approx(correlation, abs=0.02)


def test_independent_noise_needs_no_filter():
    assert kernel_for(independent()) == pytest.approx(independent(), abs=1e-12)
    assert haar_gain(independent()) == 1.0


@pytest.mark.parametrize("widths", [(0.0, 0.0), (0.6, 0.0), (0.5, 0.8)])
def test_haar_gain_is_that_of_such_noise(widths):
    correlation = gaussian_lags(*widths)
    coefficients, _ = diagonal_haar(noise_of(correlation)[0])
    assert coefficients.std() == pytest.approx(haar_gain(correlation), rel=0.03)


@pytest.mark.parametrize("widths", [(0.5, 0.5), (0.7, 0.0), (0.0, 0.6), (0.9, 0.7)])
def test_the_correlation_of_noise_is_measured(widths):
    correlation = gaussian_lags(*widths)
    found = measure(np.concatenate([noise_of(correlation, seed) for seed in range(3)]))
    assert found[REACH, REACH] == 1.0
    assert np.array_equal(found, found[::-1, ::-1])
    assert found == pytest.approx(correlation, abs=0.08)


def test_independent_noise_is_told_as_such():
    noise = np.concatenate([noise_of(independent(), seed) for seed in range(8)])
    assert np.array_equal(measure(noise), independent())


def test_brightness_with_a_level_of_its_own_tells_the_same():
    correlation = gaussian_lags(0.6, 0.6)
    noise = np.concatenate([noise_of(correlation, seed) for seed in range(3)])
    clean = np.broadcast_to(np.linspace(0, 1, noise.shape[2], dtype=np.float32), noise.shape)
    assert measure(noise, clean, 0.02 + 0.1 * clean) == pytest.approx(correlation, abs=0.1)


def test_images_without_variation_have_independent_noise():
    flat = [np.full((40, 40), 0.5, np.float32)]
    assert np.array_equal(measure_correlation(flat, flat, flat), independent())

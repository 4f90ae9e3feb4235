"""Noise of magnitude images is recognised by their air, whatever its correlation and number of coils."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.magnitude import Magnitude, _has_darker, find_magnitude
from diffdenoise.noise.simulate import gaussian
from tests.noise.test_rician import object_in_air

SHAPE = (10, 128, 128)


def head():
    """A disc of 400 to 750 in an empty background."""
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]] - 64.0
    shade = 600 + 150 * np.cos(x / 20) * np.sin(y / 15)
    return np.where(np.hypot(y, x) < 44, shade, 0.0)[None].repeat(SHAPE[0], 0)


def complex_noise(rng, std, kernel_px):
    white = rng.standard_normal(SHAPE)
    if kernel_px:
        white = np.stack([gaussian_filter(one, kernel_px, mode="wrap") for one in white])
    return std * white / white.std()


def magnitude(clean, std=80.0, kernel_px=0.0, coils=1, seed=0):
    rng = np.random.default_rng(seed)
    squares = np.zeros(SHAPE)
    for _ in range(coils):
        real, imaginary = complex_noise(rng, std, kernel_px), complex_noise(rng, std, kernel_px)
        squares += (clean / np.sqrt(coils) + real) ** 2 + imaginary**2
    return np.sqrt(squares).astype(np.float32)


def lags(kernel_px):
    """Correlation 1 and 2 pixels apart of white noise under a sampled Gaussian."""
    kernel = np.exp(-0.5 * (np.arange(-12, 13) / kernel_px) ** 2)
    full = np.correlate(kernel, kernel, "full")[24:]
    return full[1:3] / full[0]


@pytest.mark.parametrize("kernel_px", [0.0, 0.4, 0.6, 0.8, 1.0, 1.3])
def test_level_and_correlation_of_rician_noise(kernel_px):
    found = find_magnitude([magnitude(head(), kernel_px=kernel_px)], adjacent=True)
    assert found is not None
    assert found.coils == 1
    assert found.std == pytest.approx(80, rel=0.02)
    if kernel_px >= 0.6:
        for axis in (found.correlation.down, found.correlation.right):
            assert (*axis, 0.0, 0.0)[:2] == pytest.approx(lags(kernel_px), abs=0.07)


@pytest.mark.parametrize("kernel_px", [0.0, 0.8, 1.3])
def test_levels_in_tissue_are_those_of_the_complex_noise(kernel_px):
    found = diagnose_stacks([magnitude(head(), kernel_px=kernel_px, seed=1)], [0.0])
    assert found.rician_std == pytest.approx(80, rel=0.02)
    assert found.std == pytest.approx(80, rel=0.03)


@pytest.mark.parametrize(
    ("coils", "kernel_px"), [(2, 0.0), (4, 0.0), (8, 0.0), (32, 0.0), (2, 0.8), (8, 0.8)]
)
def test_the_number_of_coils_is_told(coils, kernel_px):
    found = diagnose_stacks([magnitude(head(), kernel_px=kernel_px, coils=coils)], [0.0])
    assert found.coils == coils
    assert found.rician_std == pytest.approx(80, rel=0.03)


@pytest.mark.parametrize("std", [0.03, 0.06, 0.1])
def test_small_noise_is_recognised_with_its_level(std):
    rng = np.random.default_rng(1)
    clean = object_in_air()
    noisy = np.hypot(clean + std * rng.standard_normal(clean.shape), std * rng.standard_normal(clean.shape))
    found = find_magnitude([noisy.astype(np.float32)], adjacent=True)
    assert found is not None
    assert found.std == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("spread", [0.15, 0.25, 0.4])
def test_noise_that_varies_from_place_to_place_is_not_misread(spread):
    gain = np.linspace(1 - spread, 1 + spread, SHAPE[2], dtype=np.float32)
    found = diagnose_stacks([magnitude(head()) * gain], [0.0])
    assert found.coils == 1
    # Where it varies much, its kind can't be told.
    if spread < 0.2:
        assert found.rician_std == pytest.approx(80, rel=0.12)
    else:
        assert found.rician_std is None or found.rician_std == pytest.approx(80, rel=spread)
    # Slow changes of the level are no correlation of the noise.
    assert max((0.0, *found.correlation.down, *found.correlation.right)) < 0.15


@pytest.mark.parametrize("offset", [0.0, 50.0, 100.0, 300.0, 500.0, 1000.0])
def test_an_offset_and_rectified_noise_are_no_magnitude_of_coils(offset):
    noisy = np.abs(head() + offset + 80 * np.random.default_rng(0).standard_normal(SHAPE))
    assert find_magnitude([noisy.astype(np.float32)], adjacent=True) is None


def test_what_else_air_looks_like_is_not_taken_for_magnitudes():
    rng = np.random.default_rng(1)
    clean = object_in_air()
    assert find_magnitude([gaussian(clean, 0.05, rng=rng).astype(np.float32)], adjacent=True) is None
    noisy = np.hypot(clean + 0.05 * rng.standard_normal(clean.shape), 0.05 * rng.standard_normal(clean.shape))
    masked = (noisy * (clean > 0)).astype(np.float32)
    clipped = np.maximum(clean + 0.05 * rng.standard_normal(clean.shape), 0).astype(np.float32)
    for stack in (masked, clipped, np.zeros((3, 64, 64), np.float32)):
        assert find_magnitude([stack], adjacent=True) is None


def at_offset(offset):
    return head() + offset


@pytest.mark.parametrize(("offset", "gain"), [(200.0, 4.0), (300.0, 2.0), (300.0, 4.0), (76.0, 1.0)])
def test_counts_over_an_offset_are_no_magnitudes(offset, gain):
    counts = np.random.default_rng(0).poisson(at_offset(offset) / gain) * gain
    assert diagnose_stacks([counts.astype(np.float32)], [0.0]).rician_std is None


@pytest.mark.parametrize("step", [1.1, 1.25, 1.5])
def test_an_offset_of_air_with_more_noise_in_the_object_is_no_magnitude(step):
    std = np.where(head() > 0, 40 * step, 40)
    for offset in (76.0, 150.0):
        noisy = at_offset(offset) + std * np.random.default_rng(0).standard_normal(SHAPE)
        assert diagnose_stacks([np.abs(noisy).astype(np.float32)], [0.0]).rician_std is None


@pytest.mark.parametrize("step", [1.2, 1.6, 2.5])
def test_speckle_is_no_magnitude_of_air(step):
    rng = np.random.default_rng(0)
    speckle = np.hypot(rng.standard_normal(SHAPE), rng.standard_normal(SHAPE))
    noisy = np.where(head() > 0, 60 * step, 60) * speckle
    assert diagnose_stacks([noisy.astype(np.float32)], [0.0]).rician_std is None


def test_air_whose_level_tissue_does_not_bear_out_tells_nothing():
    # Twice the noise in the object, as behind a surface coil's correction.
    noisy = magnitude(head())
    louder = np.where(head() > 0, head() + 2 * (noisy - head()), noisy)
    assert diagnose_stacks([np.abs(louder).astype(np.float32)], [0.0]).rician_std is None


def test_a_body_of_counts_over_empty_surroundings_is_no_air_of_four_coils():
    # Poisson noise of a quarter of its mean looks just like four coils' air, but nothing is darker there.
    rng = np.random.default_rng(0)
    clean = np.where(np.indices((112, 112))[0] < 80, 16.0, 0.5)
    counts = rng.poisson(clean).astype(np.float32) / 16
    air = Magnitude(float(np.sqrt((counts[:80] ** 2).mean() / 8)), 4, None)
    assert _has_darker([counts], air)
    magnitude = air.std * np.sqrt((rng.standard_normal((8, 112, 112)) ** 2).sum(0))
    assert not _has_darker([magnitude.astype(np.float32)], air)

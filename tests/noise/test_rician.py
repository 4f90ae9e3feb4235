"""Rician noise recognised, and its bias undone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ncx2, rice

from diffdenoise.noise.rician import bias_correction, signal_of_denoised, signal_of_mean, std_of_mean
from diffdenoise.noise.simulate import rician
from tests.noise.test_level import smooth_stack


def object_in_air(slices=4, size=160):
    """A bright, smoothly shaded disc in an empty background."""
    shade = smooth_stack(slices, size, size)
    y, x = np.mgrid[:size, :size] - size / 2
    return np.where(np.hypot(y, x) < 0.35 * size, 0.4 + 0.5 * shade, 0.0)


@pytest.mark.parametrize("std", [0.03, 0.1, 0.2])
def test_the_signal_is_found_again_from_the_mean_of_many_draws(std):
    rng = np.random.default_rng(0)
    for signal in (2 * std, 0.5, 1.0, 40 * std):
        mean = rician(np.full(200_000, signal), std, rng=rng).mean()
        assert signal_of_mean(np.array(mean), std) == pytest.approx(signal, abs=0.01 * std)
    # A mean that no signal has is taken for none.
    assert signal_of_mean(np.array([0.0, 1.2 * std]), std).tolist() == [0, 0]


@pytest.mark.parametrize("coils", [1, 2, 8, 32])
@pytest.mark.parametrize("signal", [0.0, 1.0, 3.0, 12.0, 80.0])
def test_mean_and_scatter_of_magnitudes_are_those_of_many_draws(coils, signal):
    rng = np.random.default_rng(0)
    parts = rng.standard_normal((2 * coils, 100_000))
    # All of the signal in one part: only the sum of squares over parts counts.
    parts[0] += signal
    magnitude = np.sqrt((parts**2).sum(0))
    mean = np.array(magnitude.mean())
    found = float(signal_of_mean(20 * mean, 20.0, coils)) / 20
    # Near the floor the inverse is steep: there a mean is found again, not a signal.
    assert found == pytest.approx(signal, abs=0.02 if signal > 2 else 0.35)
    assert float(std_of_mean(20 * mean, 20.0, coils)) / 20 == pytest.approx(magnitude.std(), rel=0.02)


def denoised_magnitude(std, left, seed=0):
    """What a denoiser that leaves a little unevenness makes of an object in air."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    clean = object_in_air(4, 200)
    draws = np.mean([rician(clean, std, rng=rng) for _ in range(40)], axis=0)
    blotches = gaussian_filter(rng.standard_normal(clean.shape), (0, 1, 1))
    return clean, draws + left * std * blotches / blotches.std()


@pytest.mark.parametrize("std", [0.05, 0.1])
def test_unevenness_of_air_does_not_come_out_amplified(std):
    clean, denoised = denoised_magnitude(std, left=0.05)
    (found,) = signal_of_denoised([denoised.astype(np.float32)], std)
    plain = signal_of_mean(denoised, std)
    air, tissue = clean == 0, clean > 3 * std
    assert np.abs(found[air]).mean() < 0.2 * np.abs(plain[air]).mean()
    assert found[tissue] == pytest.approx(plain[tissue], abs=1e-4)
    assert np.abs(found - clean)[tissue].mean() < 0.2 * std


def test_weak_tissue_is_not_taken_for_air():
    std = 0.1
    denoised = denoised_magnitude(std, left=0.05)[1]
    rng = np.random.default_rng(3)
    # A patch at the noise level itself, of 20 x 20 pixels, in the air.
    weak = np.mean([rician(np.full((4, 20, 20), std), std, rng=rng) for _ in range(40)], axis=0)
    denoised[:, 4:24, 4:24] = weak
    (found,) = signal_of_denoised([denoised.astype(np.float32)], std)
    assert found[:, 8:20, 8:20].mean() == pytest.approx(std, rel=0.1)


def test_without_air_the_mean_is_inverted_as_it_is():
    image = np.linspace(0.5, 1, 3 * 40 * 40).reshape(3, 40, 40).astype(np.float32)
    (found,) = signal_of_denoised([image], 0.05)
    assert found == pytest.approx(signal_of_mean(image, 0.05), abs=1e-5)
    # A masked background is not air.
    image[:, :20] = 0
    (found,) = signal_of_denoised([image], 0.05)
    assert found[:, 24:] == pytest.approx(signal_of_mean(image[:, 24:], 0.05), abs=1e-5)


def test_the_bias_is_undone_by_the_level_of_each_place():
    std = 0.05
    factor = np.broadcast_to(np.linspace(0.5, 2.5, 160, dtype=np.float32), (4, 160, 160))
    clean, rng = object_in_air(), np.random.default_rng(0)
    mean = np.mean(
        [
            np.hypot(clean + std * factor * rng.standard_normal(clean.shape), std * factor * parts)
            for parts in rng.standard_normal((300, *clean.shape))
        ],
        axis=0,
    ).astype(np.float32)
    found = bias_correction([mean], std, factors=[factor])(mean, factor)
    tissue = clean > 0.3
    bias = 0.5 * (std * factor) ** 2 / np.maximum(clean, 0.1)
    # A tenth of the bias is left at most, where it is large; with one level, half of it is.
    strong = tissue & (factor > 2)
    assert np.abs((found - clean)[strong].mean()) < 0.1 * bias[strong].mean()
    plain = bias_correction([mean], std)(mean, 1.0)
    assert np.abs((plain - clean)[strong].mean()) > 0.5 * bias[strong].mean()
    # Air is air where it is bright, too.
    assert found[clean == 0].mean() < 0.1 * mean[clean == 0].mean()


@pytest.mark.parametrize("signal", [0.5, 1.0, 2.0, 5.0, 12.0])
def test_the_mean_of_one_coil_is_that_of_the_rice_distribution(signal: float) -> None:
    mean = np.array([30 * rice(signal).mean()])
    assert signal_of_mean(mean, 30.0)[0] / 30 == pytest.approx(signal, abs=2e-3)


@pytest.mark.parametrize(("coils", "signal"), [(2, 1.0), (4, 1.0), (4, 3.0), (8, 2.0)])
def test_the_mean_of_several_coils_is_that_of_the_chi_distribution(coils: int, signal: float) -> None:
    squares = ncx2(2 * coils, signal**2)
    mean = squares.expect(np.sqrt, lb=0, ub=(signal + 20) ** 2)
    assert signal_of_mean(np.array([mean]), 1.0, coils)[0] == pytest.approx(signal, abs=2e-3)

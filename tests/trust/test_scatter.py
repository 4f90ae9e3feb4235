"""Middle, spread and skewness of residuals at each brightness."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.trust.scatter import LIMIT, Scatter, robust_std

from .pairs import LEVEL, Volume, noise_like, paired_of


def steps(count: int = 4) -> Volume:
    """Four bands of brightness, and a slight slope inside each so that they are classes."""
    image = np.repeat([0.1, 0.4, 0.7, 1.0], 24)[:, None] + np.zeros(96)
    return np.tile(image, (count, 1, 1))


def scatter_of(noisy: Volume, denoised: Volume) -> tuple[Scatter, list]:
    paired = paired_of(noisy, denoised)
    pairs = list(paired.pairs(paired.parts(10**6)))
    found = Scatter.of(pairs)
    assert found is not None
    return found, pairs


def test_mean_and_std_are_those_of_each_brightness() -> None:
    clean = steps()
    level = LEVEL * (0.5 + clean)
    off = 0.02 * (clean > 0.5)
    noisy = clean + off + level * noise_like(clean.shape, 1.0)
    # Outliers move neither.
    noisy[0, ::12, ::7] += 2.0
    found, _ = scatter_of(noisy, clean)
    for bright in (0.1, 0.4, 0.7, 1.0):
        number = np.searchsorted(found.edges, np.float32(bright))
        assert found.stds[number] == pytest.approx(LEVEL * (0.5 + bright), rel=0.05)
        assert found.middles[number] == pytest.approx(0.02 * (bright > 0.5), abs=0.0025)


def test_a_residual_becomes_alike_everywhere() -> None:
    clean = steps()
    noisy = clean + LEVEL * (0.3 + clean) * noise_like(clean.shape, 1.0) + 0.05 * clean
    noisy[0, 3, 3] = 9.0
    noisy[1, :, :10] = np.nan
    found, pairs = scatter_of(noisy, clean)
    for pair in pairs:
        even, std = found.even(pair)
        for band in range(4):
            part = slice(24 * band, 24 * band + 24)
            inside = even[part][pair.known[part]]
            assert inside.mean() == pytest.approx(0, abs=0.1)
            assert inside.std() == pytest.approx(1, abs=0.07)
            assert std[part].mean() == pytest.approx(LEVEL * (0.3 + clean[0, 24 * band, 0]), rel=0.06)
        assert not even[~pair.known].any()
    assert not pairs[1].known[:, :10].any()
    assert found.even(pairs[0])[0][3, 3] == pytest.approx(LIMIT, rel=0.3)


def test_skewed_noise_becomes_nearly_symmetric() -> None:
    rng = np.random.default_rng(0)
    clean = np.zeros((6, 96, 96))
    noisy = np.abs(rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)) * LEVEL
    # A corner is other, as a scan of but one brightness is none.
    denoised = np.full(clean.shape, LEVEL * np.sqrt(np.pi / 2))
    noisy[:, :8, :8] += 1
    denoised[:, :8, :8] += 1
    found, pairs = scatter_of(noisy, denoised)
    even = np.concatenate([found.even(pair)[0][8:].ravel() for pair in pairs])
    raw = (noisy - denoised)[:, 8:].ravel()

    def skewness(values: np.ndarray) -> float:
        return float(((values - values.mean()) ** 3).mean() / values.std() ** 3)

    # That of Rayleigh noise, 2 sqrt(pi) (pi - 3) / (4 - pi) ** 1.5.
    assert skewness(raw) == pytest.approx(0.631, abs=0.04)
    assert abs(skewness(even)) < 0.2
    assert even.mean() == pytest.approx(0, abs=0.05)
    # To the first order.
    assert even.std() == pytest.approx(1, abs=0.1)


def test_the_map_keeps_the_order_of_residuals() -> None:
    rng = np.random.default_rng(1)
    denoised = np.full((2, 96, 96), 0.5)
    denoised[:, 0, 0] = 0.0
    noisy = denoised + LEVEL * (rng.standard_exponential(denoised.shape) - 1)
    found, pairs = scatter_of(noisy, denoised)
    residual, even = pairs[0].residual.ravel(), found.even(pairs[0])[0].ravel()
    order = np.argsort(residual)[: -(96 * 96 // 50)]
    assert np.all(np.diff(even[order]) >= -1e-5)


def test_classes_that_were_left_as_they_were_get_a_least_std() -> None:
    clean = steps()
    noisy = clean + noise_like(clean.shape)
    denoised = np.where(clean < 0.2, noisy, clean)
    found, _ = scatter_of(noisy, denoised)
    assert found.stds.min() == pytest.approx(0.1 * LEVEL, rel=0.15)


def test_nothing_taken_off_has_no_scatter() -> None:
    clean = steps()
    paired = paired_of(clean, clean)
    assert Scatter.of(paired.pairs(paired.parts(10**6))) is None


def test_the_robust_std_is_that_of_gaussian_noise() -> None:
    values = 3.0 * np.random.default_rng(0).standard_normal(40_000) + 7
    values[:400] = 1e6
    assert robust_std(values) == pytest.approx(3, rel=0.03)

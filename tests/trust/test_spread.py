"""Errors that are stated without a clean image are the true ones, for linear denoisers."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.trust.slab import Slab, cut_slab, draw_noise
from diffdenoise.trust.spread import Calibration, Spread, square_means, uncertainty
from diffdenoise.types import Stack

from .pairs import LEVEL, Blur, Volume, noise_like, nothing, paired_of, rounds, same

WIDE = Correlation.gaussian(0.7)


def made(
    again: object,
    correlation: Correlation = WHITE,
    *,
    count: int = 8,
    side: int = 128,
    seed: int = 0,
    stated: float = LEVEL,
) -> tuple[Spread, Volume]:
    """Pairs of results, and the clean image."""
    clean = rounds(count, side)
    noisy = clean + noise_like(clean.shape, LEVEL, seed, correlation)
    slab = cut_slab(paired_of(noisy, noisy, stated, correlation), again)  # type: ignore[arg-type]
    assert slab is not None
    return Spread(slab, again, seed), clean  # type: ignore[arg-type]


def true_error(spread: Spread, clean: Volume) -> Volume:
    slab = spread.slab
    return np.asarray(slab.denoised - clean[slab.first : slab.first + len(slab.noisy)])


@pytest.mark.parametrize("correlation", [WHITE, WIDE], ids=["white", "wide"])
@pytest.mark.parametrize("width", [0.6, 1.0, 2.0])
def test_the_stated_error_is_the_true_one(correlation: Correlation, width: float) -> None:
    spread, clean = made(Blur(width), correlation)
    off = true_error(spread, clean)[spread.slab.tissue]
    assert spread.rmse == pytest.approx(np.sqrt((off**2).mean()), rel=0.05)


def test_who_leaves_all_as_it_is_has_the_noise_for_error() -> None:
    spread, _ = made(same)
    assert spread.rmse == pytest.approx(LEVEL, rel=0.02)
    assert np.median(spread.std[spread.slab.tissue]) == pytest.approx(LEVEL, rel=0.03)
    regions = spread.regions(8)
    assert regions is not None
    assert regions.before == pytest.approx(LEVEL / 8, rel=0.1)
    assert regions.after == pytest.approx(regions.before, rel=0.1)


def test_a_linear_denoiser_moves_oppositely() -> None:
    spread, _ = made(Blur(1.0))
    assert spread.pair_correlation == pytest.approx(-1, abs=1e-3)


def test_one_that_depends_on_chance_does_not() -> None:
    rng = np.random.default_rng(0)

    def shaky(volume: int, first: int, values: Stack) -> Stack:
        return (values + LEVEL * rng.standard_normal(values.shape)).astype(np.float32)

    # Both have moved from one draw of variance 1, by draws of their own and by opposite halves of the noise:
    # (1 - 1/4) / (1 + 1 + 1/4).
    assert made(shaky)[0].pair_correlation == pytest.approx(1 / 3, abs=0.02)


def test_the_spread_is_what_noise_makes_of_the_result() -> None:
    spread, clean = made(Blur(1.0), seed=3)
    unit = np.zeros((1, 31, 31))
    unit[0, 15, 15] = 1
    gain = float(np.sqrt((Blur(1.0).of(unit) ** 2).sum()))
    assert np.median(spread.std[spread.slab.tissue]) == pytest.approx(gain * LEVEL, rel=0.05)
    assert spread.std.shape == clean.shape


def test_half_of_the_pixels_confirm_the_scale_that_the_others_set() -> None:
    spread, clean = made(Blur(1.0), count=10)
    found = spread.calibrate()
    assert found is not None
    assert np.all(np.diff(found.errors) >= 0)
    assert np.all(np.diff(found.spreads) >= 0)
    assert len(found.checked) == len(found.chance) == len(found.errors)
    assert np.all(np.abs(found.checked - 1) < np.maximum(0.12, 4 * found.chance))
    # What is stated is right on average where it was not learned from, too.
    stated = uncertainty(spread.std, found)
    other = spread.slab.tissue.copy()
    other[::2] = False
    off = true_error(spread, clean)
    assert np.sqrt((stated[other] ** 2).mean()) == pytest.approx(np.sqrt((off[other] ** 2).mean()), rel=0.06)


def test_a_single_slice_is_halved() -> None:
    spread, _ = made(Blur(1.0), count=1, side=192)
    found = spread.calibrate()
    # None where one of the halves had no pixels.
    assert found is not None
    assert np.all(found.checked != 1)


def test_few_pixels_calibrate_nothing() -> None:
    assert made(Blur(1.0), count=1, side=40)[0].calibrate() is None
    assert made(Blur(1.0), count=1, side=40)[0].regions(8) is None


@pytest.mark.parametrize("correlation", [WHITE, WIDE], ids=["white", "wide"])
def test_means_of_regions_are_as_far_off_as_stated(correlation: Correlation) -> None:
    spread, clean = made(Blur(1.0), correlation, count=10)
    found = spread.regions(6)
    assert found is not None
    slab = spread.slab
    inside = square_means(slab.tissue.astype(np.float32), 6) > 0.999
    assert found.count == inside.sum()
    # Of means over squares 68 % are off by no more than is stated, 95 % by twice it.
    ratio = np.abs(square_means(true_error(spread, clean).astype(np.float32), 6)[inside]) / found.after
    assert (ratio < 1).mean() == pytest.approx(0.68, abs=0.08)
    assert (ratio < 2).mean() == pytest.approx(0.95, abs=0.04)
    assert found.after == pytest.approx(
        np.sqrt(np.mean(square_means(true_error(spread, clean), 6)[inside] ** 2)), rel=0.1
    )


def test_pixels_are_given_the_error_of_their_class_and_beyond_in_proportion() -> None:
    known = Calibration(np.array([1.0, 2.0]), np.array([3.0, 5.0]), np.ones(2), np.ones(2))
    given = np.array([[[0.5, 1.0, 1.5, 2.0, 4.0]]], np.float32)
    assert uncertainty(given, known).ravel() == pytest.approx([3, 3, 4, 5, 10])


def test_what_chance_explains_does_not_contradict() -> None:
    checked, chance = np.array([1.0, 0.0, 2.0, 0.2, 1.3]), np.array([0.1, 0.3, 0.1, 0.01, 0.2])
    known = Calibration(np.ones(5), np.ones(5), checked, chance)
    # In squares: 4 - .4; .04 + .04.
    expected = [1, 1, np.sqrt(3.6), np.sqrt(1 / 0.08), 1]
    assert known.beyond_chance == pytest.approx(expected)


def test_half_says_of_the_other_what_chance_is() -> None:
    # Over many draws, the other half's error differs from the expected one by what is said to be chance.
    off = []
    for seed in range(6):
        found = made(Blur(0.8), seed=seed, count=4, side=96)[0].calibrate()
        assert found is not None
        off += list((found.checked - 1) / found.chance)
    assert np.std(off) == pytest.approx(1, abs=0.45)


def test_the_observer_hears_the_noise_under_a_shape() -> None:
    spread, _ = made(Blur(1.5))
    shape = np.zeros((29, 29))
    shape[10:19, 10:19] = 1
    befores, afters = zip(
        *(
            spread.response((number, slice(row, row + 29), slice(column, column + 29)), shape)
            for number in range(8)
            for row in range(0, 99, 9)
            for column in range(0, 99, 9)
        ),
        strict=True,
    )
    # Of white noise, the root of as many pixels as the shape has; smoothed, most of the same.
    assert np.sqrt(np.mean(np.square(befores))) == pytest.approx(9 * LEVEL, rel=0.08)
    assert np.sqrt(np.mean(np.square(afters))) == pytest.approx(6.9 * LEVEL, rel=0.1)


def slab_of(again: object = same, **known: object) -> Slab | None:
    clean = rounds(30, 64)
    noisy = clean + noise_like(clean.shape)
    return cut_slab(paired_of(noisy, clean, **known), again)  # type: ignore[arg-type]


def test_a_slab_is_of_adjacent_slices_about_the_middle() -> None:
    slab = slab_of()
    assert slab is not None
    assert len(slab.noisy) == 10
    assert 2 <= slab.first <= 18
    assert slab.tissue.mean() == pytest.approx(np.pi * 0.46**2, abs=0.1)
    np.testing.assert_array_equal(slab.expected, slab.denoised)
    np.testing.assert_array_equal(slab.unbiased, slab.noisy)
    assert slab_of(std=0.0) is None


def test_magnitudes_are_held_against_their_own_mean() -> None:
    slab = slab_of(nothing, rician_std=LEVEL)
    assert slab is not None
    assert slab.is_magnitude
    # The mean of the noise alone.
    assert slab.expected == pytest.approx(np.full(slab.noisy.shape, LEVEL * np.sqrt(np.pi / 2)), rel=0.01)
    assert (slab.noisy - slab.unbiased).mean() == pytest.approx(LEVEL * np.sqrt(np.pi / 2), rel=0.01)
    assert not slab.tissue.any()


def test_the_level_is_that_of_the_brightness() -> None:
    model = NoiseModel((0.0, 1.0), (0.02, 0.12))
    slab = slab_of(same, model=model)
    assert slab is not None
    np.testing.assert_allclose(slab.std, model.levels(slab.denoised), rtol=1e-5)


@pytest.mark.parametrize("correlation", [WHITE, Correlation.gaussian(1.2, 0.5)], ids=["white", "wide"])
def test_noise_is_drawn_with_its_level_and_correlation(correlation: Correlation) -> None:
    std = np.full((40, 64, 72), 0.1, np.float32)
    std[:, :, 36:] = 0.3
    drawn = draw_noise(std, correlation, np.random.default_rng(0)) / std
    assert drawn.std() == pytest.approx(1, abs=0.02)
    assert drawn[:, :, 36:].std() == pytest.approx(1, abs=0.03)
    for down, right in ((1, 0), (0, 1), (1, 1), (3, 0)):
        found = (drawn[:, down:, right:] * drawn[:, : 64 - down, : 72 - right]).mean()
        assert found == pytest.approx(correlation.at(down, right), abs=0.04)
    # Opposite ends are no neighbours.
    assert (drawn[:, 0] * drawn[:, -1]).mean() == pytest.approx(0, abs=0.07)

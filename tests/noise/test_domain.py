"""Where the noise has one level: what goes in, what comes back, and what the noise is there."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.noise.domain import MIDDLE, Domain, EnteredVolume, entered
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.scan.volume import in_memory

Array = NDArray[np.float64]
#: Noise from place to place, from the first columns to the last.
PLACE = PlaceMap.of_grid(np.log([[[0.6, 1.0, 1.8]]]))
FACTORS = (0.6, 1.0, 1.8)
BRIGHTNESS = tuple(float(one) for one in np.linspace(0, 1, 9))


def counts(dark: float, quantum: float) -> NoiseModel:
    """Counts and a constant: the variance goes with brightness."""
    return NoiseModel(BRIGHTNESS, tuple(float(np.sqrt(dark**2 + quantum * one)) for one in BRIGHTNESS))


#: As usual; few of them, so that the noise is as wide as the curve is bent; and strongest in the middle.
COUNTS, FEW, HUMP = counts(0.05, 0.01), counts(0.025, 0.019), NoiseModel((0.0, 0.5, 1.0), (0.05, 0.08, 0.06))
KINDS = {
    "constant": NoiseModel.constant(0.08),
    "counts": COUNTS,
    "few counts": FEW,
    "hump": HUMP,
    "constant, placed": NoiseModel((0.0,), (0.08,), place=PLACE),
    "counts, placed": NoiseModel(COUNTS.brightness, COUNTS.stds, place=PLACE),
}
KIND = pytest.mark.parametrize("kind", KINDS)


def domain_of(kind: str) -> Domain:
    noise = KINDS[kind]
    return Domain(noise, noise.typical_std)


def signals(noise: NoiseModel, factor: float) -> list[float]:
    """Brightnesses from a signal of one std up."""
    line = np.linspace(0.0, 1.3, 500)
    seen = line[line >= factor * np.interp(line, noise.brightness, noise.stds)]
    return [float(one) for one in np.linspace(seen[0], seen[-1], 14)]


def draws_of(noise: NoiseModel, signal: float, factor: float) -> tuple[Array, Array, float]:
    """Noisy intensities of a signal, their probabilities, and the noise's std."""
    z = np.linspace(-9, 9, 20001)
    chance = np.exp(-(z**2) / 2)
    std = factor * float(np.interp(signal, noise.brightness, noise.stds))
    return signal + std * z, chance / chance.sum(), std


def inside(kind: str, signal: float, factor: float) -> tuple[float, float, float]:
    """Mean and std in the domain of what is noisy, and the noise's std outside."""
    noise = KINDS[kind]
    values, chance, std = draws_of(noise, signal, factor)
    there = domain_of(kind).enter(values.astype(np.float32), factor).astype(float)
    mean = float(there @ chance)
    return mean, float(np.sqrt((there - mean) ** 2 @ chance)), std


def factors_of(kind: str) -> tuple[float, ...]:
    return FACTORS if KINDS[kind].place is not None else (1.0,)


def left(kind: str, values: float | Array, factor: float) -> Array:
    return domain_of(kind).leave(np.asarray(values, np.float32).reshape(1, -1), factor)[0].astype(float)


@KIND
def test_a_mean_comes_back_as_the_mean_that_went_in(kind: str) -> None:
    for factor in factors_of(kind):
        for signal in signals(KINDS[kind], factor):
            mean, _, std = inside(kind, signal, factor)
            assert abs(left(kind, mean, factor)[0] - signal) < 0.01 * std, (factor, signal)


@KIND
def test_the_noise_has_one_level_at_every_brightness_and_place(kind: str) -> None:
    for factor in factors_of(kind):
        for signal in signals(KINDS[kind], factor):
            level = inside(kind, signal, factor)[1] / domain_of(kind).level
            assert level == pytest.approx(1, abs=0.1 if kind == "few counts" else 0.05), (factor, signal)


def test_the_level_is_that_of_the_domain_and_the_range_about_as_it_was() -> None:
    noise = COUNTS
    for level in (0.05, 0.2):
        domain = Domain(noise, level)
        values, chance, _ = draws_of(noise, 0.5, 1.0)
        there = domain.enter(values.astype(np.float32)).astype(float)
        assert np.sqrt((there - there @ chance) ** 2 @ chance) == pytest.approx(level, rel=0.05)
        assert float(domain.enter(np.float32([MIDDLE]))[0]) == pytest.approx(MIDDLE)
    low, high = domain_of("counts").enter(np.float32([0, 1]))
    assert 0.7 < high - low < 2


def test_without_a_curve_what_comes_back_is_what_went_in() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.5, (2, 12, 30)).astype(np.float32)
    factor = np.stack([PLACE.of_slice((2, 12, 30), number) for number in range(2)])
    for domain in (Domain(KINDS["constant, placed"], 0.08), Domain(COUNTS, 0.08, -0.1)):
        assert not domain.is_stabilised
        there = domain.enter(values, factor)
        np.testing.assert_allclose(there - domain.centre, (values - domain.centre) / factor, atol=1e-6)
        np.testing.assert_allclose(domain.leave(there, factor), values, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("kind", ["counts", "few counts", "hump", "counts, placed"])
def test_the_order_of_intensities_stays_far_beyond_the_curve_too(kind: str, factor: float) -> None:
    line = np.linspace(-6, 7, 1301)
    there = domain_of(kind).enter(line.astype(np.float32), factor).astype(float)
    assert (np.diff(there) > 0).all()
    assert (np.diff(left(kind, line, factor)) > 0).all()
    # There f is straight, and what comes back is what went in.
    far = np.abs(line - 0.5) > 2
    np.testing.assert_allclose(left(kind, there, factor)[far], line[far], atol=5e-3)


def test_the_noise_of_a_curve_is_constant_where_nothing_was_cut_off() -> None:
    rng = np.random.default_rng(0)
    curves = [tuple(float(std) for std in rng.uniform(0.03, 0.1, 9)) for _ in range(50)]
    for noise in (COUNTS, HUMP, *(NoiseModel(BRIGHTNESS, stds) for stds in curves)):
        domain = Domain(noise, noise.typical_std)
        own = domain.own_noise()
        assert own.is_constant
        assert own.typical_std == pytest.approx(domain.level)
        assert own.brightness == pytest.approx(domain.enter(np.float32(noise.brightness)), abs=1e-5)


def test_classes_with_next_to_no_noise_have_less_of_it_in_the_domain_too() -> None:
    noise = NoiseModel((0.0, 0.3, 0.6, 1.0), (0.002, 0.02, 0.08, 0.08))
    domain = Domain(noise, 0.08)
    own = domain.own_noise()
    # Just a quarter of the typical level is no less than that.
    assert own.stds == pytest.approx((0.1 * 0.08, 0.08, 0.08, 0.08))
    values, chance, _ = draws_of(noise, 0.0, 1.0)
    there = domain.enter(values.astype(np.float32)).astype(float)
    assert np.sqrt((there - there @ chance) ** 2 @ chance) < 0.2 * domain.level


def test_another_noise_of_the_scan_is_in_proportion_there() -> None:
    domain = Domain(COUNTS, 0.08)
    twice = NoiseModel(COUNTS.brightness, tuple(2 * std for std in COUNTS.stds), place=PLACE)
    found = domain.of_noise(twice)
    assert found.stds == pytest.approx([0.16] * 9)
    assert found.place is None
    assert domain.own_noise().brightness == found.brightness
    # As scanned, it stays as it is.
    left_alone = Domain(NoiseModel.constant(0.05), 0.05).of_noise(twice)
    assert left_alone == NoiseModel(twice.brightness, twice.stds)


def magnitudes(signal: Array, std: Array | float, zero: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(4)
    real, imaginary = rng.standard_normal((2, *signal.shape))
    return np.asarray(zero + np.hypot(signal + std * real, std * imaginary), np.float32)


def test_magnitudes_are_left_as_they_are() -> None:
    noise = NoiseModel((-0.1, 0.2, 1.0), (0.05, 0.075, 0.08))
    domain = Domain(noise, 0.08, -0.1)
    values = magnitudes(np.linspace(0, 1, 300).reshape(1, 10, 30), 0.08, -0.1)
    np.testing.assert_allclose(domain.enter(values), values, atol=1e-6)
    np.testing.assert_allclose(domain.leave(values), values, atol=1e-6)
    assert domain.own_noise() == noise


def test_magnitudes_are_divided_by_the_map_about_their_true_zero() -> None:
    zero = -0.13
    domain = Domain(NoiseModel((0.0, 1.0), (0.05, 0.08), place=PLACE), 0.08, zero)
    factor = np.broadcast_to(PLACE.of_slice((1, 40, 60), 0), (1, 40, 60)).astype(np.float32)
    signal = np.broadcast_to(np.linspace(0, 1, 40)[:, None], (1, 40, 60))
    # The magnitude of a weaker signal with noise of one level: Rician as before.
    expected = magnitudes(signal / factor, 0.08, zero)
    found = domain.enter(magnitudes(signal, 0.08 * factor, zero), factor)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        domain.leave(found, factor), magnitudes(signal, 0.08 * factor, zero), atol=1e-6
    )


def test_volumes_are_read_in_their_domain_and_brought_back_slice_by_slice() -> None:
    place = PlaceMap.of_grid(np.log([[[0.6, 1.0]], [[1.0, 1.8]]]))
    noise = NoiseModel(COUNTS.brightness, COUNTS.stds, place=place)
    domain = Domain(noise, 0.08)
    stacks = [np.random.default_rng(k).random((5, 8, 9)).astype(np.float32) for k in range(2)]
    known = [stack > 0.1 for stack in stacks]
    first, second = entered(in_memory(stacks, known), domain, [place, None])
    assert first.shape == (5, 8, 9)
    factor = np.stack([place.of_slice((5, 8, 9), number) for number in (2, 3)])
    assert factor.max() > 1.3
    np.testing.assert_array_equal(first.slab(2, 4), domain.enter(stacks[0][2:4], factor))
    np.testing.assert_array_equal(first.leave(2, stacks[0][2:4]), domain.leave(stacks[0][2:4], factor))
    np.testing.assert_array_equal(second.slab(2, 4), domain.enter(stacks[1][2:4]))
    np.testing.assert_array_equal(second.leave(2, stacks[1][2:4]), domain.leave(stacks[1][2:4]))
    found = first.known(1, 3)
    assert found is not None
    np.testing.assert_array_equal(found, known[0][1:3])
    assert EnteredVolume(in_memory(stacks)[0], domain, None).known(0, 5) is None

"""The noise model that a curve of levels says."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.curve import LevelPoint, noise_curve
from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.model import NoiseModel, model_of_curve
from diffdenoise.noise.patches import is_cut_off
from diffdenoise.noise.simulate import gaussian
from tests.noise.test_level import smooth_stack


def curve(*points):
    return [LevelPoint(brightness, std, patches) for brightness, std, patches in points]


def model_of(clean, noise, correlation=WHITE):
    stack = (clean + noise).astype(np.float32)
    model = model_of_curve(noise_curve([stack], correlation, adjacent=True), correlation)
    assert model is not None
    return model


@pytest.mark.parametrize("std", [0.02, 0.08, 0.2])
def test_noise_of_one_level_gives_a_constant_model(std):
    clean = smooth_stack()
    model = model_of(clean, std * np.random.default_rng(1).standard_normal(clean.shape))
    assert model.is_constant
    assert model.typical_std == pytest.approx(std, rel=0.03)


def test_noise_that_grows_with_the_signal_is_followed():
    clean = 1.2 * smooth_stack(8) - 0.1
    std = 0.02 + 0.15 * clean
    model = model_of(clean, std * np.random.default_rng(1).standard_normal(clean.shape))
    assert not model.is_constant
    assert len(model.brightness) >= 6
    assert list(model.brightness) == sorted(set(model.brightness))
    assert model.stds == pytest.approx(0.02 + 0.15 * np.array(model.brightness), rel=0.1)


@pytest.mark.parametrize("width", [0.6, 1.2, 1.6])
def test_the_level_of_correlated_noise_is_that_of_its_whole(width):
    clean = smooth_stack()
    rng = np.random.default_rng(2)
    noise = gaussian(np.zeros(clean.shape), 0.08, correlation_px=width, axis=0, rng=rng)
    right = model_of(clean, noise, Correlation.gaussian(width))
    assert right.typical_std == pytest.approx(0.08, rel=0.06)
    assert right.correlation == Correlation.gaussian(width)


def test_anatomy_in_the_patches_does_not_count_as_noise():
    clean = smooth_stack()
    rng = np.random.default_rng(3)
    texture = gaussian(np.zeros(clean.shape), 0.04, correlation_px=3.0, axis=0, rng=rng)
    model = model_of(clean + texture, 0.05 * rng.standard_normal(clean.shape))
    assert model.typical_std == pytest.approx(0.05, rel=0.05)


def test_a_few_patches_that_disagree_do_not_make_the_level_vary():
    model = model_of_curve(curve((0.1, 0.05, 400), (0.4, 0.051, 300), (0.8, 0.09, 40)), WHITE)
    assert model is not None
    assert model.is_constant
    assert model.typical_std == pytest.approx(0.0504, abs=1e-3)
    varied = model_of_curve(curve((0.1, 0.05, 400), (0.4, 0.07, 300), (0.8, 0.09, 300)), WHITE)
    assert varied is not None
    assert varied.stds == (0.05, 0.07, 0.09)


def test_a_background_that_is_cut_off_is_told_from_the_rest():
    levels = curve((0.0, 0.03, 9000), (0.4, 0.05, 300), (0.8, 0.05, 300))
    stds, weights = [one.std for one in levels], [one.patches for one in levels]
    assert is_cut_off(stds, weights)
    # Most patches agree, but they are those of the background.
    model = model_of_curve(levels, WHITE)
    assert model is not None
    assert not model.is_constant
    assert not is_cut_off(stds[1:], weights[1:])


def test_levels_are_raised_to_the_least_and_no_curve_gives_no_model():
    model = model_of_curve(curve((0.1, 1e-5, 400)), WHITE)
    assert model is not None
    assert model.raised_to(1e-3) == NoiseModel.constant(1e-3)
    assert NoiseModel((0.0, 1.0), (1e-5, 0.2)).raised_to(1e-3).stds == (1e-3, 0.2)
    assert model_of_curve([], WHITE) is None


def test_typical_level_and_constancy():
    assert NoiseModel((0.0, 0.5, 1.0), (0.02, 0.03, 0.09)).typical_std == 0.03
    assert not NoiseModel((0.0, 1.0), (0.02, 0.03)).is_constant
    assert NoiseModel((0.0, 1.0), (0.02, 0.02)).is_constant
    constant = NoiseModel.constant(0.04)
    assert constant.is_constant
    assert constant.correlation.is_white


def test_a_background_that_most_patches_lie_in_does_not_outvote_the_tissue():
    model = model_of_curve(curve((0.0, 0.04, 9000), (0.4, 0.051, 300), (0.8, 0.052, 300)), WHITE)
    assert model is not None
    assert model.stds == (0.04, 0.051, 0.052)


def test_the_typical_level_is_that_of_most_of_the_object():
    # Air with a level of its own and most of the pixels, a large organ, and a small one that is brighter.
    rng = np.random.default_rng(5)
    clean = np.zeros((6, 128, 128))
    clean[:, 30:110, 30:110] = 0.6
    clean[:, 45:75, 45:75] = 0.8
    clean[:, 80:100, 80:100] = 1.0
    level = np.interp(clean, [0.0, 0.6, 0.8, 1.0], [0.03, 0.045, 0.065, 0.065])
    found = diagnose_stacks([(clean + level * rng.standard_normal(clean.shape)).astype(np.float32)], [0.0])
    assert found.std == pytest.approx(0.045, rel=0.06)
    assert not found.noise.is_constant
    assert found.noise.raised_to(0.1).typical_std == pytest.approx(0.1)

"""What is known about a scan's noise before training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.simulate import gaussian
from tests.end_to_end.phantom import clean_phantom
from tests.noise.test_level import smooth_stack
from tests.noise.test_rician import object_in_air


def diagnosis_of(stack):
    return diagnose_stacks([stack.astype(np.float32)], [0.0])


@pytest.mark.parametrize("std", [0.03, 0.1])
def test_noise_of_one_level(std):
    found = diagnosis_of(gaussian(smooth_stack(), std, rng=np.random.default_rng(0)))
    assert found.std == pytest.approx(std, rel=0.06)
    assert found.floor == pytest.approx(std, rel=0.1)
    assert found.slices_independent
    assert found.noise.is_constant
    assert not found.is_clean(0.1)
    assert found.rician_std is None


def test_noise_that_grows_with_the_signal():
    clean = smooth_stack()
    noisy = clean + 0.2 * (clean - 0.1) * np.random.default_rng(0).standard_normal(clean.shape)
    assert not diagnosis_of(noisy).noise.is_constant


def test_a_clean_scan_is_clean_and_a_noisy_one_is_not():
    clean = smooth_stack()
    rng = np.random.default_rng(0)
    assert diagnosis_of(gaussian(clean, 0.002, rng=rng)).is_clean(0.1)
    assert not diagnosis_of(gaussian(clean, 0.02, rng=rng)).is_clean(0.1)


def test_texture_is_not_noise():
    # Fine anatomy everywhere but in a few places, as in a smooth scan of a textured organ.
    clean = smooth_stack()
    rng = np.random.default_rng(0)
    texture = gaussian(np.zeros(clean.shape), 0.05, correlation_px=1.5, axis=0, rng=rng)
    texture[:, :60] = 0
    noisy = clean + texture + gaussian(np.zeros(clean.shape), 0.004, rng=rng)
    assert diagnosis_of(noisy).std == pytest.approx(0.004, rel=0.15)


def test_air_that_is_a_ratio_of_noises_is_no_noise_of_the_image():
    # MP2RAGE: outside of the head, a seventh of the slice here, evenly spread over the whole range.
    rng = np.random.default_rng(0)
    clean = np.moveaxis(clean_phantom((160, 160, 4)) / 1000, 2, 0)
    rows, columns = np.indices(clean.shape[1:])
    head = np.hypot(rows - 80, columns - 80) < 34
    noisy = np.where(head, clean + 0.03 * rng.standard_normal(clean.shape), rng.random(clean.shape))
    found = diagnosis_of(noisy)
    assert found.std == pytest.approx(0.03, rel=0.06)
    assert found.noise.place is None


def test_slices_that_were_interpolated_depend():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((9, 150, 130))
    between = smooth_stack(8) + 0.05 * (noise[1:] + noise[:-1]) / np.sqrt(2)
    found = diagnosis_of(between)
    assert found.slice_correlation == pytest.approx(0.5, abs=0.1)
    assert not found.slices_independent


def test_it_can_be_written_down():
    found = diagnosis_of(gaussian(smooth_stack(), 0.05, rng=np.random.default_rng(0)))
    assert json.loads(json.dumps(found.as_dict()))["stds"] == [found.std]


def test_nothing_can_be_told_of_a_constant_image():
    found = diagnosis_of(np.full((3, 64, 64), 0.5))
    assert (found.std, found.floor, found.curve) == (0.0, None, ())
    assert not found.is_clean(0.1)


def test_saturated_places_do_not_make_a_noisy_scan_clean():
    noisy = gaussian(smooth_stack(), 0.05, rng=np.random.default_rng(0))
    bright = np.clip(noisy + 0.6 * (smooth_stack() > 0.55), None, 1.0)
    assert not diagnosis_of(bright).is_clean(0.1)


@pytest.mark.parametrize("shape", [(60, 200, 40), (1, 52, 52)])
def test_wide_noise_is_not_taken_for_white_where_slices_are_narrow(shape):
    rng = np.random.default_rng(0)
    noisy = gaussian(np.full(shape, 0.5), 0.1, correlation_px=1.2, axis=0, rng=rng)
    found = diagnosis_of(noisy)
    assert max(found.correlation.width_px) > 0.6
    assert found.std == pytest.approx(0.1, rel=0.4)


def test_a_masked_background_does_not_hide_that_slices_were_interpolated():
    noise = np.random.default_rng(0).standard_normal((9, 150, 130))
    between = smooth_stack(8) + 0.05 * (noise[1:] + noise[:-1]) / np.sqrt(2)
    between[:, :100] = 0
    assert diagnosis_of(between).slice_correlation == pytest.approx(0.5, abs=0.1)


def test_the_background_of_a_magnitude_image_has_a_correlation_of_its_own():
    rng = np.random.default_rng(0)
    real, imaginary = (
        gaussian(np.zeros((6, 200, 200)), 0.06, correlation_px=0.7, axis=0, rng=rng) for _ in range(2)
    )
    magnitude = np.hypot(object_in_air(6, 200) + real, imaginary)
    noise = diagnosis_of(magnitude).noise
    assert noise.background is not None
    truth = float((real[:, 1:] * real[:, :-1]).mean() / real.var())
    assert noise.correlation.down[0] == pytest.approx(truth, abs=0.05)
    # Of Rayleigh noise, about the square of the complex noise's.
    assert noise.background.down[0] == pytest.approx(truth**2, abs=0.06)


def test_noise_that_is_white_everywhere_has_no_other_background():
    rng = np.random.default_rng(0)
    real, imaginary = (rng.normal(0, 0.06, (6, 200, 200)) for _ in range(2))
    assert diagnosis_of(np.hypot(object_in_air(6, 200) + real, imaginary)).noise.background is None

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.level import NoiseEstimate
from diffdenoise.noise.model import NoiseModel, fit_noise_curve
from diffdenoise.noise.simulate import gaussian


def scene(slices=4, seed=0):
    """Smooth clean slices from 0 to 1, (slices, 160, 160)."""
    white = np.random.default_rng(seed).standard_normal((slices, 160, 160))
    image = gaussian_filter(white, (0, 20, 20))
    low, high = np.quantile(image, [0.02, 0.98])
    return np.clip((image - low) / (high - low), 0, 1)


def fit(clean, std, correlation_px=(0.0, 0.0), noise=None):
    """Fit with the predictions of a perfect stage 1."""
    if noise is None:
        noise = np.random.default_rng(1).standard_normal(clean.shape)
    noisy = (clean + std * noise).astype(np.float32)
    variance = np.broadcast_to(np.square(std), clean.shape).astype(np.float32)
    return fit_noise_curve(
        list(noisy), list(clean.astype(np.float32)), list(variance), NoiseEstimate(0.5, correlation_px)
    )


@pytest.mark.parametrize("std", [0.02, 0.08, 0.2])
def test_noise_of_one_level_gives_a_constant_model(std):
    model = fit(scene(), std)
    assert model.is_constant
    assert model.typical_std == pytest.approx(std, rel=0.03)


def test_noise_that_grows_with_the_signal_is_followed():
    clean = scene(slices=8)
    model = fit(clean, 0.03 + 0.1 * clean)
    assert not model.is_constant
    assert len(model.brightness) >= 8
    assert list(model.brightness) == sorted(set(model.brightness))
    expected = 0.03 + 0.1 * np.array(model.brightness)
    assert model.stds == pytest.approx(expected, rel=0.15)
    assert min(model.stds) < 0.045
    assert max(model.stds) > 0.11


def test_the_level_of_correlated_noise_is_corrected_for_the_correlation():
    clean = scene()
    width = 0.6
    noise = gaussian(np.zeros(clean.shape), 1.0, correlation_px=width, axis=0, rng=np.random.default_rng(2))
    right = fit(clean, 0.08, (width, width), noise)
    assert right.typical_std == pytest.approx(0.08, rel=0.05)
    assert right.correlation_px == (width, width)
    # Taken for independent, it would look weaker than it is.
    assert fit(clean, 0.08, (0.0, 0.0), noise).typical_std < 0.065


def test_badly_predicted_places_do_not_count():
    clean = scene()
    noisy = clean + 0.05 * np.random.default_rng(1).standard_normal(clean.shape)
    texture = np.indices(clean.shape)[1:].sum(0) % 2 * 0.5  # finer than any noise
    busy = np.zeros(clean.shape, bool)
    busy[:, :, :60] = True
    noisy[busy] += texture[busy]
    variance = np.where(busy, 0.06, 0.0025).astype(np.float32)
    slabs = [list(part.astype(np.float32)) for part in (noisy, clean)]
    model = fit_noise_curve(slabs[0], slabs[1], list(variance), NoiseEstimate(0.5, (0.0, 0.0)))
    assert model.typical_std == pytest.approx(0.05, rel=0.06)


def test_masked_places_do_not_count():
    clean = scene()
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    clean[:, :, :70], noise[:, :, :70] = 0, 0
    assert fit(clean, 0.08, noise=noise).typical_std == pytest.approx(0.08, rel=0.04)


def test_small_images_get_one_level():
    model = fit(scene()[:1, :16, :16], 0.1)
    assert model.is_constant
    assert model.typical_std == pytest.approx(0.1, rel=0.2)


def test_dict_round_trip():
    model = NoiseModel((0.0, 0.4, 1.0), (0.02, 0.03, 0.05), (0.5, 0.0))
    read = NoiseModel.from_dict(json.loads(json.dumps(model.as_dict())))
    assert read == model


def test_typical_level_and_constancy():
    assert NoiseModel((0.0, 0.5, 1.0), (0.02, 0.03, 0.09)).typical_std == 0.03
    assert not NoiseModel((0.0, 1.0), (0.02, 0.03)).is_constant
    assert NoiseModel((0.0, 1.0), (0.02, 0.02)).is_constant
    constant = NoiseModel.constant(0.04)
    assert constant.is_constant
    assert constant.correlation_px == (0.0, 0.0)

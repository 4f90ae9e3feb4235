"""Products of pixels apart, and what noise makes of them once surfaces are taken off."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.lagged import (
    anatomy_of,
    covariance_of,
    expected_of,
    lagged_products,
    lags_up_to,
    pairs_of,
)
from diffdenoise.noise.patches import surfaces

SLANTED = Correlation.of_plane([[-0.1, 0.3, 1.0, 0.3, -0.1], [0.0, 0.0, 0.2, 0.4, 0.1]])


def test_each_lag_is_there_once():
    lags = [tuple(lag) for lag in lags_up_to(3).tolist()]
    assert lags[0] == (0, 0)
    assert len(lags) == len(set(lags)) == (7 * 7 + 1) / 2
    assert not any((-down, -right) in lags for down, right in lags[1:])
    assert pairs_of(8, 3)[lags.index((2, -3))] == 6 * 5


def test_products_are_those_of_pixels_so_far_apart():
    patches = np.random.default_rng(0).standard_normal((1500, 6, 6)).astype(np.float32)
    found = dict(zip(map(tuple, lags_up_to(3).tolist()), lagged_products(patches, 3), strict=True))
    assert found[0, 0] == pytest.approx(float((patches**2).mean()), rel=1e-5)
    for down, right in ((1, 0), (0, 2), (3, 1)):
        product = patches[:, : 6 - down, : 6 - right] * patches[:, down:, right:]
        assert found[down, right] == pytest.approx(float(product.mean()), abs=1e-6)
    product = patches[:, :4, 1:] * patches[:, 2:, :5]
    assert found[2, -1] == pytest.approx(float(product.mean()), abs=1e-6)


@pytest.mark.parametrize("correlation", [Correlation(), Correlation.gaussian(0.9, 1.6), SLANTED])
def test_what_is_expected_is_what_the_covariance_says(correlation):
    side = 8
    left = covariance_of(correlation, side).reshape((side,) * 4)
    at = np.arange(side)
    found = expected_of(correlation, side, 5)
    for (down, right), one in zip(lags_up_to(5).tolist(), found, strict=True):
        products = [
            left[i, j, i + down, j + right] for i in at[: side - down] for j in at if 0 <= j + right < side
        ]
        assert one == pytest.approx(np.mean(products), abs=1e-12)


def test_what_is_expected_is_what_noise_shows():
    root = np.sqrt(SLANTED.spectrum(64, 64))
    white = np.random.default_rng(0).standard_normal((1500, 64, 64))
    noise = np.fft.ifft2(np.fft.fft2(white) * root).real[:, :8, :8].reshape(1500, 64)
    shapes = surfaces(8)
    residual = (noise - noise @ shapes.T @ shapes).reshape(-1, 8, 8).astype(np.float32)
    assert lagged_products(residual, 4) == pytest.approx(expected_of(SLANTED, 8, 4), abs=0.03)


@pytest.mark.parametrize("rough", [False, True])
def test_anatomy_is_alike_nearby_and_unlike_far_off(rough):
    lags, products = lags_up_to(6).tolist(), anatomy_of(8, 6, rough=rough)
    assert products[0] == 1
    assert products[lags.index([0, 1])] > 0.3
    assert products[lags.index([0, 6])] > products[lags.index([0, 3])]
    assert products[lags.index([0, 3])] < 0

"""The noise's correlation in two dimensions, from the scan alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from diffdenoise.noise.autocorrelation import estimate_correlation
from diffdenoise.noise.correlation import WHITE
from diffdenoise.noise.diagnosis import diagnose_stacks
from tests.noise.shapes import farthest, noise_of
from tests.noise.test_level import smooth_stack

KINDS = ["0.5,0.5", "1.2,1.2", "1.2,0.4", "oblique", "band-pass", "band-pass, sharp", "finer 1.5", "finer 2"]


def textured(shape, seed=1):
    """Soft shapes with organs at whose edges there is no calm, and texture inside some of them."""
    rng = np.random.default_rng(seed)
    clean = smooth_stack(*shape)
    for _ in range(40):
        k, y, x = (rng.integers(0, side) for side in shape)
        rows, columns = np.ogrid[: shape[1], : shape[2]]
        inside = (rows - y) ** 2 + (columns - x) ** 2 < rng.integers(8, 25) ** 2
        clean[k, inside] += rng.uniform(-0.3, 0.3)
    rough = gaussian_filter(rng.standard_normal(shape), (0, 3, 3))
    rough[:, :, : shape[2] // 2] = 0
    return clean + 0.03 * rough / rough.std()


@pytest.mark.parametrize("kind", KINDS)
def test_the_shape_is_found_under_smooth_anatomy(kind):
    noisy = smooth_stack(6, 200, 200) + 0.05 * noise_of(kind, (6, 200, 200))
    found = diagnose_stacks([noisy.astype(np.float32)], [-9.0])
    assert farthest(found.correlation, kind) < 0.05
    assert found.std == pytest.approx(0.05, rel=0.06)


@pytest.mark.parametrize("kind", ["white", "0.8,0.8", "oblique", "band-pass", "band-pass, sharp"])
def test_the_shape_is_found_under_edges_and_texture(kind):
    noisy = textured((6, 200, 200)) + 0.06 * noise_of(kind, (6, 200, 200))
    found = estimate_correlation([noisy.astype(np.float32)], adjacent=False)
    assert farthest(found, kind) < 0.07


def test_white_noise_is_white():
    noisy = textured((6, 200, 200)) + 0.06 * noise_of("white", (6, 200, 200))
    assert estimate_correlation([noisy.astype(np.float32)], adjacent=False) == WHITE


def test_negative_lags_are_no_anatomy():
    noisy = smooth_stack(1, 256, 256) + 0.07 * noise_of("band-pass", (1, 256, 256))
    found = estimate_correlation([noisy.astype(np.float32)], adjacent=False)
    assert farthest(found, "band-pass") < 0.06
    assert found.right[1] < -0.1


def test_the_shape_is_that_of_many_places_and_not_of_the_weakest_noise_alone():
    # As in a CT slice: one image, with less noise towards its rim, where the calmest places are.
    noise = noise_of("band-pass", (1, 256, 256)) * (0.5 + np.hanning(256))[:, None]
    noisy = smooth_stack(1, 256, 256) + 0.05 * noise
    found = estimate_correlation([noisy.astype(np.float32)], adjacent=False)
    assert farthest(found, "band-pass") < 0.05


def test_noise_that_is_alike_along_both_axes_is_said_to_be():
    found, slanted = (
        estimate_correlation([(0.05 * noise_of(kind, (4, 200, 200))).astype(np.float32)], adjacent=True)
        for kind in ("band-pass", "oblique")
    )
    assert found.is_alike_turned
    assert not slanted.is_alike_turned
    assert slanted.at(1, 1) > slanted.at(1, -1) + 0.3


@pytest.mark.parametrize(("texture", "kind"), [(0.04, "1,1"), (0.01, "1.2,1.2")])
def test_wide_noise_is_that_of_a_tissue_without_texture(texture, kind):
    shape = (8, 256, 256)
    rough = gaussian_filter(np.random.default_rng(0).standard_normal(shape), (0, 5, 5))
    rough *= texture / rough.std()
    clean = np.full(shape, 0.2)
    clean[:, :, 140:] = 0.8 + rough[:, :, 140:]
    noisy = (clean + 0.05 * noise_of(kind, shape)).astype(np.float32)
    assert farthest(estimate_correlation([noisy], adjacent=True), kind) < 0.06

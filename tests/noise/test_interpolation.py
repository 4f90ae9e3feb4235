"""Zero-filled scans told by where their noise ends."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.interpolation import interpolation_factor
from diffdenoise.noise.simulate import gaussian
from tests.noise.shapes import noise_of
from tests.noise.test_level import smooth_stack


def zero_filled(shape, factors, rng):
    """Unit noise on a grid that many times finer, down and right, than it was drawn on."""
    kspace = np.fft.fftshift(np.fft.fft2(rng.standard_normal(shape)), axes=(1, 2))
    for axis, factor in ((1, factors[0]), (2, factors[1])):
        frequency = np.abs(np.arange(shape[axis]) - shape[axis] // 2) / (shape[axis] / 2)
        inside = (frequency <= 1 / factor).astype(float)
        kspace *= inside[None, :, None] if axis == 1 else inside
    noise = np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2))).real
    return noise / noise.std()


def factors_of(noisy):
    found = diagnose_stacks([noisy.astype(np.float32)], [0.0]).correlation
    return interpolation_factor(found.down), interpolation_factor(found.right)


@pytest.mark.parametrize("factor", [1.3, 1.6, 2.0])
def test_the_finer_grid_is_found_along_the_axis_that_has_it(factor):
    clean = smooth_stack(6, 200, 200)
    noise = zero_filled(clean.shape, (1, factor), np.random.default_rng(0))
    down, right = factors_of(clean + 0.06 * noise)
    assert down is None
    assert right == pytest.approx(factor, rel=0.12)


@pytest.mark.parametrize("width_px", [0.0, 0.5, 0.8, 1.2])
def test_white_and_smoothed_noise_is_not_taken_for_it(width_px):
    clean = smooth_stack(6, 200, 200)
    noisy = gaussian(clean, 0.06, correlation_px=width_px, axis=0, rng=np.random.default_rng(0))
    assert factors_of(noisy) == (None, None)
    assert interpolation_factor(Correlation.gaussian(width_px).down) is None


def test_band_pass_noise_is_not_taken_for_it():
    noisy = smooth_stack(6, 200, 200) + 0.06 * noise_of("band-pass", (6, 200, 200))
    assert factors_of(noisy) == (None, None)

"""The fine half of a noise spectrum against known spectra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.spectrum import spectrum_of, with_fine_half


def patches(width, axis, ramp=0.0):
    """Patches of unit noise smoothed along an axis, with a slope of anatomy through them."""
    white = np.random.default_rng(0).standard_normal((3000, 48, 48))
    noise = gaussian_filter1d(white, width, axis=axis)[:, 16:32, 16:32]
    slope = ramp * np.linspace(-1, 1, 16)
    return (noise / noise.std() + (slope[:, None] if axis == 1 else slope)).astype(np.float32)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("width", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("ramp", [0.0, 1.0])
def test_it_mends_what_a_short_autocorrelation_says_of_high_frequencies(axis, width, ramp):
    lags = np.array(Correlation.gaussian(width).down)
    wrong = (lags + [0.01, -0.01, 0.01, -0.01, *np.zeros(10)][: len(lags)])[:4]
    truth = spectrum_of(lags)[16:]
    found = spectrum_of(with_fine_half(wrong, [patches(width, axis, ramp)], [1.0], axis))[16:]
    assert np.abs(found - truth).max() < max(0.035, 0.1 * truth.max())
    assert np.abs(found - truth).mean() < np.abs(spectrum_of(wrong)[16:] - truth).mean()
    # Next to Nyquist, where wide noise has next to nothing.
    assert np.abs(found - truth)[-6:].max() < 0.01 + 0.05 * truth[-6:].max()


def test_the_low_half_stays_what_the_autocorrelation_says():
    lags = np.array(Correlation.gaussian(0.8).down)
    found = spectrum_of(with_fine_half(lags, [patches(1.0, 1)], [1.0], 1))
    assert found[:12] == pytest.approx(spectrum_of(lags)[:12], abs=0.05)


def test_power_is_never_below_the_least():
    assert spectrum_of([0.9, -0.4]).min() < 0
    assert spectrum_of([0.9, -0.4], 0.01).min() == 0.01
    assert spectrum_of([]).tolist() == [1.0] * 33

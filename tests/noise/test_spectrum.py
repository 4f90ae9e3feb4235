"""The fine half of a noise spectrum against known spectra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.spectrum import periodogram, spectrum_of, with_fine_half


def patches(widths, ramp=0.0):
    """Patches of unit noise smoothed along both axes, with a slope of anatomy through them."""
    noise = np.random.default_rng(0).standard_normal((3000, 48, 48))
    for axis, width in zip((1, 2), widths, strict=True):
        noise = gaussian_filter1d(noise, width, axis=axis) if width else noise
    noise = noise[:, 16:32, 16:32]
    slope = ramp * np.linspace(-1, 1, 16)
    return (noise / noise.std() + slope[:, None]).astype(np.float32)


def plane_of(down, right):
    plane = np.zeros((11, 21))
    inner = np.outer([1.0, *down], [*right[::-1], 1.0, *right])
    plane[: inner.shape[0], 10 - len(right) : 11 + len(right)] = inner
    return plane


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("width", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("ramp", [0.0, 1.0])
def test_it_mends_what_a_short_autocorrelation_says_of_high_frequencies(axis, width, ramp):
    lags = np.array(Correlation.gaussian(width).down)
    wrong = (lags + [0.01, -0.01, 0.01, -0.01, *np.zeros(10)][: len(lags)])[:4]
    truth = spectrum_of(lags)[16:]
    both = [(), ()]
    both[axis] = wrong
    widths = [0.0, 0.0]
    widths[axis] = width
    plane = with_fine_half(plane_of(*both), periodogram(patches(widths, ramp)))
    found = spectrum_of((plane[1:, 10], plane[0, 11:])[axis])[16:]
    assert np.abs(found - truth).max() < max(0.045, 0.1 * truth.max())
    assert np.abs(found - truth).mean() < np.abs(spectrum_of(wrong)[16:] - truth).mean()
    # Next to Nyquist, where wide noise has next to nothing.
    assert np.abs(found - truth)[-6:].max() < 0.015 + 0.05 * truth[-6:].max()


def test_the_corner_of_the_spectrum_is_that_of_both_axes():
    # A hundredth more at each lag is more power than noise that is wide along both axes has in the corner.
    truth = Correlation.gaussian(0.8, 0.6)
    wrong = plane_of(truth.down, truth.right) + 0.003
    wrong[0, 10] = 1
    plane = with_fine_half(wrong, periodogram(patches((0.8, 0.6))))
    corner = np.s_[24:41, 24:41]
    found, expected = (one.spectrum(64, 64)[corner] for one in (Correlation.of_plane(plane), truth))
    assert np.abs(found - expected).max() < 0.02
    assert plane[0].tolist() == plane[0, ::-1].tolist()


def test_the_low_half_stays_what_the_autocorrelation_says():
    told = plane_of(Correlation.gaussian(0.8).down, ())
    found = with_fine_half(told, periodogram(patches((1.0, 0.0))))
    low = np.abs(np.fft.fftfreq(64)) < 0.2
    before, after = (Correlation.of_plane(one).spectrum(64, 64)[np.ix_(low, low)] for one in (told, found))
    assert after == pytest.approx(before, abs=0.08)


def test_power_is_never_below_the_least():
    assert spectrum_of([0.9, -0.4]).min() < 0
    assert spectrum_of([0.9, -0.4], 0.01).min() == 0.01
    assert spectrum_of([]).tolist() == [1.0] * 33

"""Autocorrelations in two dimensions, and the spectra that belong to them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from diffdenoise.errors import SettingsError
from diffdenoise.noise.correlation import Correlation
from diffdenoise.training.slices import turn_square

#: White noise and .8 of that one pixel down and to the right, less .3 of that two to the left.
OBLIQUE = Correlation.of_plane(np.array([[0, -0.3, 0, 1.73, 0, -0.3, 0], [0, 0, 0, 0, 0.8, 0, -0.24]]) / 1.73)


def lags_of(correlation, side=64):
    """Lags down and right of noise with the correlation's spectrum."""
    covariance = np.fft.ifft2(correlation.spectrum(side, side)).real
    return covariance / covariance[0, 0]


@pytest.mark.parametrize("width", [0.4, 0.8, 1.2, 1.6])
def test_the_spectrum_is_that_of_the_correlation(width):
    correlation = Correlation.gaussian(width, 0.5)
    assert correlation.spectrum(64, 64).mean() == pytest.approx(1)
    found = lags_of(correlation)
    assert found[1 : 1 + len(correlation.down), 0] == pytest.approx(correlation.down, abs=0.01)
    assert found[0, 1 : 1 + len(correlation.right)] == pytest.approx(correlation.right, abs=0.01)
    assert found[1, 1] == pytest.approx(correlation.down[0] * correlation.right[0], abs=0.01)


def test_an_oblique_correlation_has_the_spectrum_of_its_slant():
    found = lags_of(OBLIQUE)
    assert (found[1, 1], found[1, -1]) == pytest.approx((0.8 / 1.73, 0.0), abs=0.01)
    assert (OBLIQUE.at(1, 1), OBLIQUE.at(-1, -1)) == (0.8 / 1.73, 0.8 / 1.73)
    assert (OBLIQUE.at(-1, -3), OBLIQUE.at(9, 0), OBLIQUE.at(0, 0)) == (-0.24 / 1.73, 0.0, 1.0)
    # Noise along the falling diagonal has no power across it.
    power = OBLIQUE.spectrum(64, 64)
    assert power[16, 16] < power[16, -16]


def test_negative_lobes_are_kept():
    # A zero-filled image's noise: positive next door, negative beyond.
    correlation = Correlation.of_axes((0.4, -0.1, 0.05), ())
    assert correlation.down == (0.4, -0.1, 0.05)
    assert correlation.right == ()
    assert lags_of(correlation)[1:4, 0] == pytest.approx([0.4, -0.1, 0.05], abs=0.02)


def test_an_autocorrelation_that_no_noise_can_have_is_brought_to_the_nearest():
    power = Correlation.of_axes((0.9, -0.4), ()).spectrum(32, 20)
    assert power.min() > 0
    assert power.mean() == pytest.approx(1)


@pytest.mark.parametrize("width", [0.5, 0.8, 1.2, 1.6, 2.0])
def test_the_width_of_a_gaussian_is_found_again(width):
    assert Correlation.gaussian(width, 0).width_px == pytest.approx((width, 0), abs=0.03)


def test_ripples_are_no_width():
    found = Correlation.of_axes((-0.07, -0.01, 0.3), (0.6, 0.1, -0.05, 0.55))
    assert found.width_px == pytest.approx((0, 0.7), abs=0.03)


@pytest.mark.parametrize("correlation", [Correlation.gaussian(1.6, 0.5), OBLIQUE])
def test_differences_are_taken_where_little_correlation_is_left(correlation):
    i, j = correlation.steps
    assert max(correlation.at(i, 0), correlation.at(0, j)) <= 0.5
    root = np.sqrt(correlation.spectrum(400, 400))
    white = np.random.default_rng(0).standard_normal((400, 400))
    noise = np.fft.ifft2(np.fft.fft2(white) * root).real
    differences = (noise[:-i, :-j] - noise[:-i, j:] - noise[i:, :-j] + noise[i:, j:]) / 2
    assert differences.std() / noise.std() == pytest.approx(correlation.difference_gain, rel=0.05)


def test_wide_noise_asks_for_wider_steps():
    assert Correlation().steps == (1, 1)
    assert Correlation().difference_gain == 1
    assert Correlation.gaussian(1.6, 0.5).steps == (3, 1)


def test_white_noise_has_no_lags():
    assert Correlation.gaussian(0).is_white
    assert Correlation.of_plane([]).is_white
    assert Correlation.of_plane([[0.0, 1.0, 0.0]]).is_white
    assert Correlation.gaussian(0).width_px == (0, 0)
    assert not Correlation.of_axes((0.2,), ()).is_white
    assert (Correlation().spectrum(4, 5) == 1).all()


def test_what_is_alike_turned_is_told_from_what_is_not():
    assert Correlation().is_alike_turned
    assert Correlation.gaussian(0.8).is_alike_turned
    assert not Correlation.gaussian(0.8, 0.7).is_alike_turned
    assert not OBLIQUE.is_alike_turned
    # Alike along both axes, but not along both diagonals.
    assert not Correlation.of_plane([[0.2, 1.0, 0.2], [0.0, 0.2, 0.3]]).is_alike_turned


ALL = tuple(range(8))
#: As it is, and by half a turn: no noise differs then.
HALF = (0, 2)


@pytest.mark.parametrize(
    ("correlation", "turns"),
    [
        (Correlation(), ALL),
        (Correlation.gaussian(0.8), ALL),
        # Lags that are estimated scatter.
        (Correlation.of_axes((0.40, 0.05), (0.44,)), ALL),
        # Along an axis more than along the other: mirrored, but not turned by a quarter.
        (Correlation.of_axes((), (0.5,)), (0, 2, 4, 6)),
        (Correlation.gaussian(0.6, 1.2), (0, 2, 4, 6)),
        # Along a diagonal: mirrored at it.
        (Correlation.of_plane([[0.1, 1.0, 0.1], [0.0, 0.1, 0.4]]), (0, 2, 5, 7)),
        (Correlation.of_plane([[0.1, 1.0, 0.1], [0.4, 0.1, 0.0]]), (0, 2, 5, 7)),
        (OBLIQUE, HALF),
        (Correlation.of_plane([[0.5, 1.0, 0.5], [0.0, 0.2, 0.5]]), HALF),
    ],
)
def test_noise_is_alike_under_the_turns_that_leave_its_lags(correlation, turns):
    assert correlation.alike_turns() == turns


@pytest.mark.parametrize("plane", [[[0.5, 1.0, 0.5]], [[0.1, 1.0, 0.1], [0.0, 0.1, 0.4]], OBLIQUE.plane])
def test_turns_are_those_of_patches(plane):
    correlation = Correlation.of_plane(plane)
    power = correlation.spectrum(64, 64)
    white = np.random.default_rng(0).standard_normal((300, 64, 64))
    noise = torch.from_numpy(np.fft.ifft2(np.fft.fft2(white) * np.sqrt(power)).real)

    def lags(patches):
        apart = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)]
        return [float((patches * patches.roll((-down, -right), (1, 2))).mean()) for down, right in apart]

    for turn in range(8):
        alike = lags(turn_square(noise, turn)) == pytest.approx(lags(noise), abs=0.06)
        assert alike == (turn in correlation.alike_turns())


def test_lists_of_it_are_it():
    for correlation in (Correlation(), Correlation.gaussian(0.8), OBLIQUE):
        tree = json.loads(json.dumps(correlation.as_dict()))
        assert Correlation.of_plane(tree["plane"]) == correlation
        assert (tuple(tree["down"]), tuple(tree["right"])) == (correlation.down, correlation.right)
    # Zeros at the ends say nothing.
    padded = np.pad(np.array(OBLIQUE.plane), ((0, 3), (2, 2)))
    assert Correlation.of_plane(padded) == OBLIQUE


@pytest.mark.parametrize(
    "plane",
    [
        [[0.1, 1.0]],
        [[0.1, 0.9, 0.1]],
        [[0.1, 1.0, 0.3]],
        [[0.1, 1.0, 0.1], [0.0]],
        [[np.nan, 1.0, np.nan]],
    ],
)
def test_what_is_no_autocorrelation_is_refused(plane):
    with pytest.raises(SettingsError, match="noise correlation"):
        Correlation.of_plane(plane)

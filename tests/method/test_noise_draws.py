from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel

CPU = torch.device("cpu")


def lags_of(width):
    """Autocorrelation at lags -3 to 3 of noise smoothed by a sampled Gaussian."""
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / width) ** 2) if width else np.eye(41)[20]
    lags = np.correlate(kernel, kernel, "full")[37:44]
    return lags / lags[3]


def unit(widths, shape=(4000, 1, 12, 15), seed=0):
    model = NoiseModel.constant(0.1, Correlation.gaussian(*widths))
    return NoiseDraws(model, CPU).unit(shape, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("widths", [(0.0, 0.0), (0.6, 0.6), (0.9, 0.0), (0.4, 0.8)])
def test_noise_has_unit_variance_up_to_the_border_and_the_models_correlation(widths):
    noise = unit(widths)
    assert noise.shape == (4000, 1, 12, 15)
    # Over 4000 draws a variance scatters by 2.2 %, so five times that for the worst of 180 pixels.
    torch.testing.assert_close(noise.square().mean((0, 1)), torch.ones(12, 15), atol=0.12, rtol=0)
    assert float(noise.square().mean()) == pytest.approx(1.0, abs=0.02)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    down = float((noise[..., 1:, :] * noise[..., :-1, :]).mean())
    right = float((noise[..., 1:] * noise[..., :-1]).mean())
    assert down == pytest.approx(lags_of(widths[0])[4], abs=0.015)
    assert right == pytest.approx(lags_of(widths[1])[4], abs=0.015)


#: Noise along the falling diagonal, with a negative lag across it.
OBLIQUE = Correlation.of_plane(np.array([[0, -0.3, 0, 1.73, 0, -0.3, 0], [0, 0, 0, 0, 0.8, 0, -0.24]]) / 1.73)


def lag_of(noise, down, right):
    """Mean product of pixels so far apart, anywhere in the image."""
    height, width = noise.shape[-2:]
    one = noise[..., : height - down, max(-right, 0) : width - max(right, 0)]
    return float((one * noise[..., down:, max(right, 0) : width + min(right, 0)]).mean())


@pytest.mark.parametrize("size", [(12, 15), (3, 2)])
def test_oblique_noise_has_its_lags_up_to_the_border(size):
    draws = NoiseDraws(NoiseModel.constant(0.1, OBLIQUE), CPU)
    noise = draws.unit((6000, 1, *size), torch.Generator().manual_seed(0))
    torch.testing.assert_close(noise.square().mean((0, 1)), torch.ones(size), atol=0.1, rtol=0)
    lags = [(0, 1), (1, 0), (1, 1), (1, -1)] + [(0, 2), (1, 3), (1, -3), (2, 2), (11, 14)] * (size[0] > 3)
    for down, right in lags:
        assert lag_of(noise, down, right) == pytest.approx(
            OBLIQUE.at(down, right), abs=0.02 + 0.05 * (down > 9)
        )


@pytest.mark.parametrize("turn", range(8))
def test_oblique_noise_of_a_turned_patch_is_turned(turn):
    draws = NoiseDraws(NoiseModel.constant(0.1, OBLIQUE), CPU)
    noise = draws.unit((2000, 1, 14, 14), torch.Generator().manual_seed(0), [turn] * 2000)
    # Four of the eight put the falling diagonal on the rising one.
    rises = turn in (1, 3, 4, 6)
    falling, rising = lag_of(noise, 1, 1), lag_of(noise, 1, -1)
    assert (rising if rises else falling) == pytest.approx(0.8 / 1.73, abs=0.02)
    assert (falling if rises else rising) == pytest.approx(0.0, abs=0.02)
    # The negative lag is along the scan's rows, which a quarter turn makes columns.
    along, across = ((2, 0), (0, 2)) if turn % 2 else ((0, 2), (2, 0))
    assert lag_of(noise, *along) == pytest.approx(-0.3 / 1.73, abs=0.02)
    assert lag_of(noise, *across) == pytest.approx(0.0, abs=0.02)


def test_the_same_generator_draws_the_same_noise():
    shape = (1, 1, 9, 9)
    assert torch.equal(unit((1.0, 1.0), shape, 3), unit((1.0, 1.0), shape, 3))
    assert not torch.equal(unit((1.0, 1.0), shape, 3), unit((1.0, 1.0), shape, 4))


def test_noise_of_one_level_has_one_level():
    std = NoiseDraws(NoiseModel.constant(0.07), CPU).std(torch.rand(2, 1, 9, 9))
    torch.testing.assert_close(std.expand(2, 1, 9, 9), torch.full((2, 1, 9, 9), 0.07))


def test_the_level_follows_the_curve_between_and_beyond_its_points():
    knots, stds = (0.1, 0.5, 0.9), (0.02, 0.10, 0.04)
    draws = NoiseDraws(NoiseModel(knots, stds), CPU)
    for brightness in (-0.5, 0.1, 0.2, 0.5, 0.75, 0.9, 3.0):
        found = draws.std(torch.full((1, 1, 10, 13), brightness))
        # Up to the border: the blur must not take the outside for dark.
        expected = torch.full((1, 1, 10, 13), float(np.interp(brightness, knots, stds)))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_level_is_local_and_not_fooled_by_noise():
    draws = NoiseDraws(NoiseModel((0.0, 1.0), (0.0, 0.1)), CPU)
    image = torch.zeros(2, 1, 60, 60)
    image[0, ..., 30:] = 1
    noise = 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    std = draws.std(image + noise)
    assert float(std[0, ..., :20].mean()) < 0.005
    assert float(std[0, ..., 40:].mean()) > 0.095
    assert float(std[1].max()) < 0.015


def test_a_background_gets_noise_of_its_own_correlation():
    model = NoiseModel((0.1, 0.3, 0.6), (0.03, 0.05, 0.08), Correlation.gaussian(0.8), Correlation())
    centre = torch.full((600, 1, 24, 40), 0.1)
    centre[..., 20:] = 0.6
    noise = NoiseDraws(model, CPU).draw(centre, torch.Generator().manual_seed(0))

    def std_and_lag(part):
        return float(part.std()), float((part[..., 1:] * part[..., :-1]).mean() / part.square().mean())

    assert std_and_lag(noise[..., :14]) == pytest.approx((0.03, 0.0), abs=0.002)
    std, lag = std_and_lag(noise[..., 26:])
    assert std == pytest.approx(0.08, rel=0.02)
    assert lag == pytest.approx(lags_of(0.8)[4], abs=0.01)
    # Half-way, a mixture of both with the level of that brightness.
    middle = NoiseDraws(model, CPU).draw(torch.full((600, 1, 24, 24), 0.2), torch.Generator().manual_seed(0))
    std, lag = std_and_lag(middle)
    assert std == pytest.approx(0.04, rel=0.02)
    assert lag == pytest.approx(lags_of(0.8)[4] / 2, abs=0.01)


def test_without_a_background_the_noise_is_that_of_the_level():
    draws = NoiseDraws(NoiseModel((0.0, 1.0), (0.1, 0.3)), CPU)
    noise = draws.draw(torch.full((50, 1, 30, 30), 0.5), torch.Generator().manual_seed(0))
    assert float(noise.std()) == pytest.approx(0.2, rel=0.02)

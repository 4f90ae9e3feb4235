from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import rice

from pretraining.noise import add_noise, rician_mean


def test_mean_of_a_magnitude_is_that_of_the_rice_distribution():
    signal = torch.linspace(0, 3, 20)
    found = rician_mean(signal, torch.full((20,), 0.4))
    np.testing.assert_allclose(found, rice.mean(signal / 0.4, scale=0.4), rtol=1e-4)


@pytest.mark.parametrize("widths", [(0.0, 0.5), (0.75, 1.1)])
def test_noise_has_the_mean_and_level_that_it_says(widths):
    clean = torch.full((256, 3, 64, 64), 0.6)
    drawn = add_noise(clean, torch.Generator().manual_seed(0), widths)
    error = drawn.noisy[:, :1] - drawn.mean
    # Wide noise and few pixels: the mean of a patch scatters by several percent of its level.
    assert (error.mean((1, 2, 3)) / drawn.std.flatten()).abs().max() < 0.25
    ratio = error.std((1, 2, 3)) / drawn.std.flatten()
    # Rician noise has a little less than its level.
    assert ratio.median() == pytest.approx(1, abs=0.03)
    assert (ratio > 0.6).all()
    assert (ratio < 1.2).all()
    assert (drawn.least_std <= drawn.std * 1.001).all()


def test_wide_noise_is_correlated_and_slices_are_independent():
    clean = torch.full((64, 3, 64, 64), 0.8)
    drawn = add_noise(clean, torch.Generator().manual_seed(1), (0.75, 1.1))
    error = (drawn.noisy - clean) / drawn.std
    lag = (error[..., 1:] * error[..., :-1]).mean() / error.square().mean()
    assert 0.6 < lag < 0.85
    across = (error[:, 0] * error[:, 1]).mean() / error.square().mean()
    assert abs(across) < 0.05


def test_kinds_and_widths_vary_from_patch_to_patch():
    clean = torch.full((128, 1, 64, 64), 0.8)
    drawn = add_noise(clean, torch.Generator().manual_seed(2), (0.0, 2.0))
    error = drawn.noisy - clean
    lags = (error[..., 1:] * error[..., :-1]).mean((1, 2, 3)) / error.square().mean((1, 2, 3))
    white = (lags.abs() < 0.1).float().mean()
    assert 0.35 < white < 0.75
    assert lags.max() > 0.8
    assert drawn.std.max() > 5 * drawn.std.min()

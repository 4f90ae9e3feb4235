"""Stage 1's variance is corrected by what its mean misses by."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from diffdenoise.method.calibration import calibrated, measure
from diffdenoise.method.posterior import fuse
from diffdenoise.method.windows import Sample
from tests.method.test_stages import stages_of, two_rounds

NOISE_STD = 0.1


def scene(seed: int = 0):
    """A signal that its surroundings tell within 0.02, or 0.2 on the right, and its noisy image."""
    draws = torch.Generator().manual_seed(seed)
    spread = torch.where(torch.arange(256) < 128, 0.02, 0.2).expand(1, 1, 256, 256)
    signal = 0.5 + spread * torch.randn(spread.shape, generator=draws)
    return signal, signal + NOISE_STD * torch.randn(spread.shape, generator=draws), spread


def std_of(_):
    return torch.tensor(NOISE_STD)


@pytest.mark.parametrize("wrong", [0.8, 1.0, 1.2, 2.0])
def test_variances_that_are_too_large_or_small_by_a_factor_are_mended(wrong):
    _, noisy, spread = scene()
    truth = spread.square() + NOISE_STD**2

    def predict(image):
        return torch.full_like(image, 0.5), wrong * truth

    points = measure([Sample(0, noisy)], predict, std_of)
    torch.testing.assert_close(calibrated(wrong * truth, std_of(noisy), points), truth, rtol=0.03, atol=0)


def test_small_and_large_variances_have_factors_of_their_own():
    _, noisy, spread = scene()
    truth = spread.square() + NOISE_STD**2
    told = torch.where(spread < 0.1, 1.3, 0.7) * truth
    points = measure([Sample(0, noisy)], lambda image: (torch.full_like(image, 0.5), told), std_of)
    torch.testing.assert_close(calibrated(told, std_of(noisy), points), truth, rtol=0.03, atol=0)
    # Beyond what was seen the last factor holds.
    beyond = calibrated(torch.full((1, 1, 1, 1), 10.0), std_of(noisy), points)
    assert float(beyond) == pytest.approx(10 / 0.7, rel=0.03)


def test_fusion_gains_by_it_on_another_image():
    _, noisy, spread = scene()
    truth = spread.square() + NOISE_STD**2

    def predict(image):
        return torch.full_like(image, 0.5), 1.2 * truth

    points = measure([Sample(0, noisy)], predict, std_of)
    signal, other, _ = scene(1)
    mean, told = predict(other)
    errors = [
        float((fuse(other, mean, variance, NOISE_STD) - signal).square().mean())
        for variance in (told, calibrated(told, std_of(other), points), truth)
    ]
    # A variance that is a fifth too large lets noise through that its surroundings had already told.
    assert errors[1] < errors[0]
    assert errors[1] == pytest.approx(errors[2], rel=0.01)


def test_pixels_without_data_do_not_count():
    _, noisy, spread = scene()
    truth = spread.square() + NOISE_STD**2
    known = torch.ones_like(noisy)
    known[..., :40] = 0
    spoilt = torch.where(known > 0, noisy, torch.tensor(9.0))
    points = measure([Sample(0, spoilt, known)], lambda image: (torch.full_like(image, 0.5), truth), std_of)
    torch.testing.assert_close(calibrated(truth, std_of(noisy), points), truth, rtol=0.04, atol=0)


def test_levels_that_vary_with_brightness_are_divided_out():
    signal, noisy, spread = scene()
    factor = torch.linspace(1, 3, 256).expand_as(noisy)
    noisy = signal + factor * (noisy - signal)
    truth = (spread**2 + (NOISE_STD * factor) ** 2).float()

    def level(_):
        return NOISE_STD * factor

    def predict(image):
        return torch.full_like(image, 0.5), 1.2 * truth

    points = measure([Sample(0, noisy)], predict, level)
    found = calibrated(1.2 * truth, level(noisy), points)
    # A bin's mean square scatters by 2 %, the worst of twelve by three times that.
    torch.testing.assert_close(found, truth, rtol=0.07, atol=0)


def test_a_run_fuses_with_the_corrected_variance_and_measures_it_once(tmp_path: Path):
    stages = stages_of(tmp_path, two_rounds())
    stages.blind_spot()
    stages.diffusion(1)
    item = stages.slices.whole(1)
    with torch.no_grad():
        teacher = stages.teacher(1)
        estimate = teacher.srds(item, 1)
        first = teacher.fuse(item, estimate)
        points = stages.workspace.figure("variance")
        assert len(points[0]) == len(points[1]) >= 1
        # Weights of two steps say nothing of the variance: what is measured makes up for it.
        stages.workspace.keep("variance", [points[0], [9 * value for value in points[1]]])
        second = stages.teacher(1).fuse(item, estimate)
    noisy = item[:, :1]
    assert float((second - noisy).abs().mean()) < float((first - noisy).abs().mean())

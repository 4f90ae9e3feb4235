"""The starting weights that come with the package."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.method.student import denoise
from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.known_noise import Known
from diffdenoise.networks.start import load_start, load_student
from diffdenoise.networks.unet import UNet

LEVEL = 0.1


def known(neighbours: int) -> Known:
    """White noise of a level, and of nearby slices all that there are."""
    return Known(np.ones((16, 9)), LEVEL, neighbours, 1.0)


def student(neighbours: int) -> UNet:
    network = UNet(1 + 2 * neighbours, 1, 32)
    load_student(network, known(neighbours))
    return network


def diffusion(neighbours: int) -> UNet:
    network = UNet(2 + 2 * neighbours, 1, 32, level_input=True)
    load_start(network, "diffusion")
    return network


@pytest.mark.parametrize("neighbours", [0, 1, 2, 3])
def test_they_fit_any_number_of_neighbour_slices(neighbours: int) -> None:
    load_start(BlindSpotNet(16, neighbours=neighbours), "blind-spot")
    diffusion(neighbours)
    student(neighbours)


def test_inputs_that_are_missing_count_as_zero_and_new_ones_for_nothing() -> None:
    level = torch.zeros(1)
    channels = torch.rand(1, 6, 24, 24) * 2 - 1
    nearest = channels[:, :4]
    with torch.no_grad():
        torch.testing.assert_close(diffusion(2)(channels, level), diffusion(1)(nearest, level))
        alone = torch.cat([channels[:, :2], torch.zeros(1, 2, 24, 24)], dim=1)
        torch.testing.assert_close(diffusion(0)(channels[:, :2], level), diffusion(1)(alone, level))


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="diffusion are of another width"):
        load_start(UNet(4, 1, 16, level_input=True), "diffusion")
    with pytest.raises(ValueError, match="student are of another width"):
        load_student(UNet(3, 1, 16), known(1))


@pytest.mark.parametrize("neighbours", [0, 1])
def test_the_student_knows_noise_and_edges_before_it_has_seen_a_scan(neighbours: int) -> None:
    grid = torch.stack(torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij"))
    clean = 0.3 + 0.5 * ((grid - 48).norm(dim=0) < 30).float()[None, None].repeat(1, 1 + 2 * neighbours, 1, 1)
    noisy = clean + LEVEL * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        denoised = denoise(student(neighbours), noisy, LEVEL)
    gain_db = 10 * torch.log10(
        (noisy - clean)[:, :1].square().mean() / (denoised - clean[:, :1]).square().mean()
    )
    assert gain_db > 8

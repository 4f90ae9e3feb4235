"""The starting weights that come with the package."""

from __future__ import annotations

import pytest
import torch

from diffdenoise.method.student import denoise
from diffdenoise.networks.blind_spot import BlindSpotNet
from diffdenoise.networks.start import load_start
from diffdenoise.networks.unet import UNet


def student(neighbours: int) -> UNet:
    network = UNet(1 + 2 * neighbours, 1, 32)
    load_start(network, "student")
    return network


@pytest.mark.parametrize("neighbours", [0, 1, 2])
def test_they_fit_any_number_of_neighbour_slices(neighbours: int) -> None:
    load_start(BlindSpotNet(16, neighbours=neighbours), "blind-spot")
    load_start(UNet(2 + 2 * neighbours, 1, 32, level_input=True), "diffusion")
    load_start(UNet(1 + 2 * neighbours, 1, 32), "student")


def test_inputs_that_are_missing_count_as_zero_and_new_ones_for_nothing() -> None:
    slices = torch.rand(1, 5, 24, 24) * 2 - 1
    nearest = slices[:, :3]
    with torch.no_grad():
        torch.testing.assert_close(student(2)(slices), student(1)(nearest))
        alone = torch.cat([slices[:, :1], torch.zeros(1, 2, 24, 24)], dim=1)
        torch.testing.assert_close(student(0)(slices[:, :1]), student(1)(alone))


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        load_start(UNet(3, 1, 16), "student")


@pytest.mark.parametrize("neighbours", [0, 1])
def test_the_student_knows_noise_and_edges_before_it_has_seen_a_scan(neighbours: int) -> None:
    grid = torch.stack(torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij"))
    clean = 0.3 + 0.5 * ((grid - 48).norm(dim=0) < 30).float()[None, None].repeat(1, 1 + 2 * neighbours, 1, 1)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        denoised = denoise(student(neighbours), noisy)
    gain_db = 10 * torch.log10(
        (noisy - clean)[:, :1].square().mean() / (denoised - clean[:, :1]).square().mean()
    )
    assert gain_db > 8

"""Estimators are ranked as by the clean image, which is never shown."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffdenoise.method.compare import Sample, blind_risks, risks, within
from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel


def blurred(std_px: float):
    def estimate(noisy: Tensor, _: int) -> Tensor:
        kernel = gaussian_kernel(std_px, noisy.device)
        return smooth(noisy[:, :1], kernel, kernel)

    return estimate


@pytest.mark.parametrize("kernel_px", [0.0, 0.8])
def test_differences_of_risks_are_those_against_the_clean_image(kernel_px):
    level = 0.1
    draws = NoiseDraws(NoiseModel.constant(level, Correlation.gaussian(kernel_px)), torch.device("cpu"))
    line = torch.linspace(0, 12, 192)
    clean = (0.5 + 0.3 * torch.sin(line)[:, None] * torch.cos(line)[None, :])[None, None]
    noise = draws.draw(clean, torch.Generator().manual_seed(3))
    noisy = clean + noise
    estimators = [blurred(width) for width in (0.0, 1.0, 3.0)]
    found = risks([Sample(0, noisy), Sample(1, noisy)], estimators, draws, seed=0)
    true = [float((one(noisy, 0) - clean).square().mean()) / level**2 for one in estimators]
    assert found[0] - found[1] == pytest.approx(true[0] - true[1], rel=0.15)
    assert found[2] - found[1] == pytest.approx(true[2] - true[1], rel=0.15)


def test_neighbour_slices_are_handed_on_as_they_are():
    seen = []

    def estimate(noisy: Tensor, number: int) -> Tensor:
        seen.append((number, noisy))
        return noisy[:, :1]

    noisy = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    draws = NoiseDraws(NoiseModel.constant(0.1, Correlation.gaussian(0.0)), torch.device("cpu"))
    risks([Sample(4, noisy)], [estimate], draws, seed=0)
    number, given = seen[0]
    assert number == 4
    assert torch.equal(given[:, 1:], noisy[:, 1:])
    assert not torch.equal(given[:, :1], noisy[:, :1])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.1, [64]), (4.9, [64]), (5.0, [64, 128]), (16.9, [64, 128]), (17.0, [64, 256])],
)
def test_what_is_compared_takes_no_longer_than_it_may(seconds, expected):
    asked, spent = [], [0.0]

    def compare(side: int) -> list[float]:
        asked.append(side)
        spent[0] += (side / 64) ** 2
        return [float(side)]

    assert within(seconds, compare, (64, 128, 256), lambda: spent[0]) == [float(expected[-1])]
    assert asked == expected
    assert spent[0] <= max(seconds, 1.0)


def test_no_slice_is_refused():
    draws = NoiseDraws(NoiseModel.constant(0.1, Correlation.gaussian(0.0)), torch.device("cpu"))
    with pytest.raises(ValueError, match="no slice"):
        risks([], [blurred(1.0)], draws, seed=0)


def test_blind_risks_rank_estimators_without_a_level():
    level = 0.1
    line = torch.linspace(0, 12, 192)
    clean = (0.5 + 0.3 * torch.sin(line)[:, None] * torch.cos(line)[None, :])[None, None]
    noisy = clean + level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    shown = []

    def perfect(seen: Tensor, _: int) -> Tensor:
        shown.append(seen)
        return clean

    found = blind_risks([Sample(0, noisy)], [perfect, blurred(1.0), blurred(6.0)], 1, seed=0)
    # Of the clean image itself, only the noise of the hidden pixels is left.
    assert found[0] == pytest.approx(level**2, rel=0.1)
    assert found[0] < found[1] < found[2]
    changed = (shown[0] != noisy).float().mean()
    assert float(changed) == pytest.approx(0.05, abs=0.01)


def test_blind_risks_count_where_there_is_data():
    noisy = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    known = torch.zeros_like(noisy)
    known[..., :32] = 1
    wrong = noisy.clone()
    wrong[..., 32:] += 100

    def estimate(_: Tensor, __: int) -> Tensor:
        return wrong

    assert blind_risks([Sample(0, noisy, known)], [estimate], 1, seed=0) == [0.0]


def test_risks_are_in_units_of_the_level_at_each_place():
    draws = NoiseDraws(NoiseModel.constant(0.1), torch.device("cpu"))
    factor = torch.linspace(0.3, 3, 192).expand(1, 1, 192, 192)
    clean = torch.full((1, 1, 192, 192), 0.5)
    noisy = clean + draws.draw(clean, torch.Generator().manual_seed(3), factor=factor)
    # Half of each pixel's noise is left: a quarter of its variance, wherever it is.
    found = risks(
        [Sample(0, noisy, None, factor)],
        [lambda seen, _: clean, lambda seen, _: (clean + seen) / 2],
        draws,
        seed=0,
    )
    assert found[1] - found[0] == pytest.approx(0.25 * (1 + 0.25**2), rel=0.1)

"""Estimators are ranked as by the clean image, which is never shown."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diffdenoise.method.compare import ALPHA, Sample, blind_risks, risks, within
from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.recorruption import Recorruption
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.model import NoiseModel

CPU = torch.device("cpu")


def recorruption(noise: NoiseModel, level: float, zero: float | None = None) -> Recorruption:
    return Recorruption(Domain(noise, level, zero), noise, ALPHA, CPU)


def blurred(std_px: float):
    def estimate(noisy: Tensor, _: int, __: float) -> Tensor:
        kernel = gaussian_kernel(std_px, noisy.device)
        return smooth(noisy[:, :1], kernel, kernel)

    return estimate


@pytest.mark.parametrize("kernel_px", [0.0, 0.8])
def test_differences_of_risks_are_those_against_the_clean_image(kernel_px):
    level = 0.1
    model = NoiseModel.constant(level, Correlation.gaussian(kernel_px))
    draws = NoiseDraws(model, CPU)
    line = torch.linspace(0, 12, 192)
    clean = (0.5 + 0.3 * torch.sin(line)[:, None] * torch.cos(line)[None, :])[None, None]
    noise = draws.draw(clean, torch.Generator().manual_seed(3))
    noisy = clean + noise
    estimators = [blurred(width) for width in (0.0, 1.0, 3.0)]
    windows = [Sample(0, noisy), Sample(1, noisy)]
    found = risks(windows, estimators, recorruption(model, level), seed=0).mean(0)
    true = [float((one(noisy, 0, level) - clean).square().mean()) / level**2 for one in estimators]
    assert found[0] - found[1] == pytest.approx(true[0] - true[1], rel=0.15)
    assert found[2] - found[1] == pytest.approx(true[2] - true[1], rel=0.15)


def test_neighbour_slices_are_handed_on_as_they_are():
    seen = []

    def estimate(noisy: Tensor, number: int, level: float) -> Tensor:
        seen.append((number, noisy, level))
        return noisy[:, :1]

    noisy = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    risks([Sample(4, noisy)], [estimate], recorruption(NoiseModel.constant(0.1), 0.1), seed=0)
    number, given, told = seen[0]
    assert number == 4
    assert torch.equal(given[:, 1:], noisy[:, 1:])
    assert not torch.equal(given[:, :1], noisy[:, :1])
    # A quarter of the noise was added once more.
    assert told == pytest.approx(0.1 * math.sqrt(1 + 0.25**2))
    assert float((given - noisy)[:, :1].std()) == pytest.approx(0.25 * 0.1, rel=0.1)


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
    with pytest.raises(ValueError, match="no slice"):
        risks([], [blurred(1.0)], recorruption(NoiseModel.constant(0.1), 0.1), seed=0)


def test_blind_risks_rank_estimators_without_a_level():
    level = 0.1
    line = torch.linspace(0, 12, 192)
    clean = (0.5 + 0.3 * torch.sin(line)[:, None] * torch.cos(line)[None, :])[None, None]
    noisy = clean + level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    shown = []

    def perfect(seen: Tensor, _: int, told: float) -> Tensor:
        shown.append((seen, told))
        return clean

    found = blind_risks([Sample(0, noisy)], [perfect, blurred(1.0), blurred(6.0)], 0.3, 1, seed=0)
    # Of the clean image itself, only the noise of the hidden pixels is left.
    assert found[0] == pytest.approx(level**2, rel=0.1)
    assert found[0] < found[1] < found[2]
    seen, told = shown[0]
    assert told == 0.3
    changed = (seen != noisy).float().mean()
    assert float(changed) == pytest.approx(0.05, abs=0.01)


def test_blind_risks_count_where_there_is_data():
    noisy = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    known = torch.zeros_like(noisy)
    known[..., :32] = 1
    wrong = noisy.clone()
    wrong[..., 32:] += 100

    def estimate(*_: object) -> Tensor:
        return wrong

    assert blind_risks([Sample(0, noisy, known)], [estimate], 0.1, 1, seed=0) == [0.0]


@pytest.mark.parametrize("zero", [None, 0.0], ids=["stabilised", "magnitudes"])
def test_risks_are_in_units_of_the_level_at_each_brightness(zero):
    model = NoiseModel((0.0, 1.0), (0.02, 0.2))
    domain = Domain(model, 0.1, zero)
    clean = torch.linspace(0, 1, 192).expand(1, 1, 192, 192)
    noisy = clean + NoiseDraws(model, CPU).draw(clean, torch.Generator().manual_seed(3))
    there, truth = (torch.from_numpy(domain.enter(one.numpy())) for one in (noisy, clean))
    # Half of each pixel's noise is left: a quarter of its variance, wherever it is.
    found = risks(
        [Sample(0, there)],
        [lambda *_: truth, lambda seen, *_: (truth + seen) / 2],
        recorruption(model, 0.1, zero),
        seed=0,
    ).mean(0)
    assert found[1] - found[0] == pytest.approx(0.25 * (1 + 0.25**2), rel=0.1)

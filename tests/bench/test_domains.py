"""Domains to denoise in: stabilised noise has a std of 1, and comes back without a bias."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data import Data
from bench.domains import LOOKED_AT, NAMES, Domain, adapt, kind_of, pretrain, score, table
from bench.kinds import Kind, PoissonGaussian, Rician, random_kind
from bench.noise import Noise
from diffdenoise.training.hardware import choose_hardware
from pretraining.source import Source


def number(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), value)


KINDS: dict[str, Kind] = {
    "Gaussian": PoissonGaussian(number(0.0), number(0.01)),
    "Poisson-Gaussian": PoissonGaussian(number(0.009), number(0.001)),
    "Rician": Rician(number(0.1)),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("clean", [0.1, 0.2, 0.5, 1.0])
def test_stabilised_noise_has_a_std_of_one_and_comes_back_to_its_mean(kind: Kind, clean: float) -> None:
    level = torch.full((1, 1, 700, 700), clean)
    noisy = kind.add(level, torch.Generator().manual_seed(0))
    assert float(kind.stable(noisy).std()) == pytest.approx(1, abs=0.07)
    back = Domain("stabilised").leave(kind.stable(noisy).mean().reshape(1, 1, 1, 1), kind)
    mean = float(kind.mean(level[..., :1, :1]))
    assert float(noisy.mean()) == pytest.approx(mean, abs=0.006 * float(noisy.std()))
    assert float(back) == pytest.approx(mean, abs=0.01 * float(noisy.std()))


def test_stabilised_air_scatters_less_as_docs_say() -> None:
    air = KINDS["Rician"].add(torch.zeros(1, 1, 700, 700), torch.Generator().manual_seed(0))
    assert float(KINDS["Rician"].stable(air).std()) == pytest.approx(0.89, abs=0.01)


def test_a_batch_has_all_kinds_and_each_patch_the_level_it_says() -> None:
    draws = torch.Generator().manual_seed(0)
    kind, std = random_kind(64, draws)
    assert 0 < int(kind.is_rician.sum()) < 40
    assert 0 < int((kind.other.gain > 0).sum()) < 60
    clean = torch.full((64, 1, 64, 64), 1.0)
    found = kind.add(clean, draws).std((1, 2, 3)) / std.flatten()
    assert ((found - 1).abs() < 0.08).all()


@pytest.mark.parametrize("name", NAMES)
def test_each_domain_learns_and_denoises(name: str) -> None:
    clean = np.full((3, 80, 80), 0.2, np.float32)
    clean[:, 20:60, 20:60] = 0.8
    noise = Noise("gaussian", 0.2)
    noisy = [noise.add(clean, np.random.default_rng(0))]
    data = Data(noisy, [clean], noisy, [clean], noise)
    hardware, domain, kind = choose_hardware("cpu"), Domain(name), kind_of(data)
    network = pretrain(domain, Source(2, 0, torch.device("cpu")), 0, 30, 4, hardware)
    before = score(domain, network, data, kind, hardware)
    adapt(domain, network, data, kind, 30, hardware)
    after = score(domain, network, data, kind, hardware)
    assert after["psnr"] > before["psnr"] > 13.9


def test_the_table_is_the_mean_over_seeds(tmp_path: Path) -> None:
    for seed, psnr in ((0, 30.0), (1, 31.0)):
        scores = {"instant": {"psnr": psnr, "ssim": 0.8}, "adapted": {"psnr": psnr + 1, "ssim": 0.9}}
        cell = {"plain": dict.fromkeys(LOOKED_AT, scores)}
        (tmp_path / f"seed-{seed}.json").write_text(json.dumps(cell))
    assert "| plain | 2 | 30.50 / 0.800 | 31.50 / 0.900 |" in table(tmp_path)

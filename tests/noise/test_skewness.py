"""Counts are told from Gaussian noise of the same level by their skewness."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.method.recorruption import Recorruption
from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.domain import Domain
from tests.end_to_end.phantom import clean_phantom


def noisy(kind: str, seed: int) -> np.ndarray:
    clean, rng = np.moveaxis(clean_phantom((128, 128, 8)), 2, 0) / 1000, np.random.default_rng(seed)
    if kind == "counts":
        return (rng.poisson(50 * clean) / 50 + 0.025 * rng.standard_normal(clean.shape)).astype(np.float32)
    std = np.sqrt(clean / 50 + 0.025**2)
    return (clean + std * rng.standard_normal(clean.shape)).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_skewed_and_gaussian_noise_of_the_same_level_is_not(seed: int) -> None:
    counts, gaussian = (diagnose_stacks([noisy(kind, seed)], [0.0]) for kind in ("counts", "gaussian"))
    assert not counts.noise.is_constant
    assert not gaussian.noise.is_constant
    assert counts.is_skewed
    assert not gaussian.is_skewed
    # 1 / sqrt(counts): some 20 in the object.
    assert 0.1 < counts.skewness < 0.3
    assert abs(gaussian.skewness) < 0.05


def test_noise_of_one_level_is_not_asked_for_its_skewness() -> None:
    white = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((6, 96, 96))
    found = diagnose_stacks([white.astype(np.float32)], [0.0])
    assert found.skewness == 0
    assert not found.is_skewed


def test_counts_are_split_where_they_are_stabilised() -> None:
    found = diagnose_stacks([noisy("counts", 0)], [0.0])
    domain = Domain(found.noise, found.noise.typical_std)
    slices = torch.from_numpy(domain.enter(noisy("counts", 1)))[:, None]
    splits = {
        skewed: Recorruption(domain, found.noise, 1.0, torch.device("cpu"), skewed=skewed).split(
            slices, torch.Generator().manual_seed(0)
        )
        for skewed in (True, False)
    }
    # Source and target have their mean at the slice, in the domain or in intensities.
    middle = (splits[True].source + splits[True].target) / 2
    torch.testing.assert_close(middle, slices)
    assert not torch.allclose((splits[False].source + splits[False].target) / 2, slices, atol=0.01)
    assert splits[True].unit.std() < 0.01 * splits[True].unit.mean()
    assert splits[False].unit.std() > 0.1 * splits[False].unit.mean()

"""White noise of several kinds on patches, with what stabilises its level, for `bench.domains`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from diffdenoise.noise.rician import std_of_mean
from pretraining.noise import rician_mean

#: Levels as shares of the range, and shares of patches with Gaussian and with Poisson-Gaussian noise.
_LOW, _HIGH, _GAUSSIAN, _POISSON = 0.01, 0.3, 0.4, 0.35


class Kind(Protocol):
    """Noise of one kind, its parameters one number a patch (count, 1, 1, 1)."""

    def add(self, clean: Tensor, draws: torch.Generator) -> Tensor:
        """Noisy copy."""

    def mean(self, clean: Tensor) -> Tensor:
        """Expected value of what is noisy."""

    def std(self, mean: Tensor) -> Tensor:
        """Std where the expected value is this."""

    def stable(self, noisy: Tensor) -> Tensor:
        """Values whose noise has a std of about 1."""

    def stable_mean(self, clean: Tensor) -> Tensor:
        """Expected value of what is stabilised."""


@dataclass(frozen=True)
class PoissonGaussian:
    """Variance gain * clean + floor; Gaussian noise where the gain is 0."""

    gain: Tensor
    floor: Tensor

    def add(self, clean: Tensor, draws: torch.Generator) -> Tensor:
        """Noisy copy."""
        return clean + self.std(clean) * torch.randn(clean.shape, generator=draws)

    def mean(self, clean: Tensor) -> Tensor:
        """The clean value."""
        return clean

    def std(self, mean: Tensor) -> Tensor:
        """Std at a clean value."""
        return (self.gain * mean.clamp_min(0) + self.floor).sqrt()

    def stable(self, noisy: Tensor) -> Tensor:
        """Generalised Anscombe, without its 3/8, which is for counts."""
        gain = self.gain.clamp_min(1e-6)
        root = (gain * noisy + self.floor).clamp_min(0).sqrt()
        curved = 2 * (root - self.floor.sqrt()) / gain
        return torch.where(self.gain > 1e-5, curved, noisy / self.floor.sqrt())

    def stable_mean(self, clean: Tensor) -> Tensor:
        """By Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(11)
        std = self.std(clean)
        total = torch.zeros_like(clean)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            total += float(weight) * self.stable(clean + float(node) * std)
        return total


@dataclass(frozen=True)
class Rician:
    """Magnitude of a complex signal whose parts have noise of a std."""

    part: Tensor

    def add(self, clean: Tensor, draws: torch.Generator) -> Tensor:
        """Noisy copy."""
        real, imaginary = (self.part * torch.randn(clean.shape, generator=draws) for _ in range(2))
        return torch.hypot(clean.clamp_min(0) + real, imaginary)

    def mean(self, clean: Tensor) -> Tensor:
        """Rice's mean."""
        return rician_mean(clean.clamp_min(0), self.part)

    def std(self, mean: Tensor) -> Tensor:
        """Std of a magnitude with this mean."""
        return self.part * _looked_up("std", mean.clamp_min(0) / self.part)

    def stable(self, noisy: Tensor) -> Tensor:
        """Integral of 1 / std from 0."""
        return _looked_up("stable", noisy.clamp_min(0) / self.part)

    def stable_mean(self, clean: Tensor) -> Tensor:
        """From a table of the expected value."""
        return _looked_up("stable mean", clean.clamp_min(0) / self.part)


#: Table's end in units of the parts' std, and its spacing.
_END, _STEP = 140.0, 0.02


@cache
def _rician_tables() -> dict[str, Tensor]:
    x = np.arange(0, _END + _STEP / 2, _STEP)
    std = std_of_mean(x, 1.0)
    stable = np.concatenate([[0.0], np.cumsum((1 / std[1:] + 1 / std[:-1]) / 2 * _STEP)])
    # Magnitudes by quadrature over both parts.
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()
    expected = np.zeros_like(x)
    for real, first in zip(nodes, weights, strict=True):
        for imaginary, second in zip(nodes, weights, strict=True):
            expected += first * second * np.interp(np.hypot(x + real, imaginary), x, stable)
    # Beyond the table's end by a few stds, its mean would be cut off.
    last = int((_END - 10) / _STEP)
    expected[last:] = expected[last] + stable[last:] - stable[last]
    tables = {"std": std, "stable": stable, "stable mean": expected}
    return {name: torch.from_numpy(values).float() for name, values in tables.items()}


def _looked_up(name: str, at: Tensor) -> Tensor:
    values = _rician_tables()[name]
    place = (at / _STEP).clamp(0, len(values) - 1.001)
    low = place.long()
    return torch.lerp(values[low], values[low + 1], place - low)


@dataclass(frozen=True)
class Mixed:
    """A batch of which some patches have one kind and some the other."""

    is_rician: Tensor
    rician: Rician
    other: PoissonGaussian

    def _pick(self, name: str, *values: Any) -> Tensor:
        first, second = (getattr(one, name)(*values) for one in (self.rician, self.other))
        return torch.where(self.is_rician, first, second)

    def add(self, clean: Tensor, draws: torch.Generator) -> Tensor:
        """Noisy copy."""
        return self._pick("add", clean, draws)

    def mean(self, clean: Tensor) -> Tensor:
        """Expected value of what is noisy."""
        return self._pick("mean", clean)

    def std(self, mean: Tensor) -> Tensor:
        """Std where the expected value is this."""
        return self._pick("std", mean)

    def stable(self, noisy: Tensor) -> Tensor:
        """Values whose noise has a std of about 1."""
        return self._pick("stable", noisy)

    def stable_mean(self, clean: Tensor) -> Tensor:
        """Expected value of what is stabilised."""
        return self._pick("stable_mean", clean)


def random_kind(count: int, draws: torch.Generator) -> tuple[Mixed, Tensor]:
    """Draw each patch's noise, and return its typical std (count, 1, 1, 1) too."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((count, 1, 1, 1), generator=draws)

    std = uniform(math.log(_LOW), math.log(_HIGH)).exp()
    kind, share = uniform(0, 1), uniform(0.02, 0.5)
    share = torch.where(kind < _GAUSSIAN, 1.0, share)
    other = PoissonGaussian(std**2 * (1 - share), std**2 * share)
    return Mixed(kind >= _GAUSSIAN + _POISSON, Rician(std), other), std

"""What every step draws from, and what all stages do with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdenoise.config import Settings
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Batch, Slices, Target

#: condition_of(noisy) -> condition, (batch, 1, height, width).
ConditionOf = Callable[[Tensor], Tensor]

#: Steps that draw from the same part of a data set too large for memory: reading another takes seconds.
_PART_STEPS = 500


@dataclass(frozen=True)
class StepData:
    """What every step draws from."""

    slices: Slices
    settings: Settings
    device: torch.device

    def patches(
        self,
        draws: torch.Generator,
        step: int,
        targets: dict[int, Target] | None = None,
        count: int | None = None,
    ) -> Batch:
        """Draw a step's batch of patches, or `count` patches, and put them on the device."""
        data = self.settings.data
        part = generator(self.settings.seed, "part", step // _PART_STEPS)
        batch = self.slices.patches(draws, count or data.batch, data.patch, targets, part)
        noisy = batch.noisy.to(self.device, memory_format=torch.channels_last)
        target, known, counted = (
            None if one is None else one.to(self.device) for one in (batch.target, batch.known, batch.counted)
        )
        return Batch(noisy, target, batch.turns, known, counted)


def mean_of_known(values: Tensor, known: Tensor | None) -> Tensor:
    """Mean of values (batch, 1, height, width) where `known` is 1; None: everywhere."""
    if known is None:
        return values.mean()
    return (known * values).sum() / known.sum().clamp_min(1)


def twice(each: Tensor | None) -> Tensor | None:
    """Of a batch, that of the batch and its copy."""
    return None if each is None else torch.cat([each, each])


def with_centre(noisy: Tensor, centre: Tensor) -> Tensor:
    """Replace the slice itself and keep its neighbours, (batch, channels, height, width)."""
    return torch.cat([centre, noisy[:, 1:]], dim=1)

"""Noisy patches of a pool of synthetic pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdenoise.scan.neighbours import with_neighbours
from pretraining.noise import Noisy, add_noise
from pretraining.pictures import SLICES, draw_stacks
from pretraining.told_noise import ToldNoise, add_told_noise

#: Side of a stack and of a patch in pixels.
_SIDE, _PATCH = 192, 64
#: Stacks drawn at a time.
_DRAWN = 8
#: Share of patches without neighbour slices, so that single slices are known too.
_ALONE = 0.4


class Source:
    """Noisy patches of a pool of synthetic stacks."""

    def __init__(self, stacks: int, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        # The slice itself comes first, then those beside it, nearest first.
        order = with_neighbours(SLICES // 2, SLICES // 2, SLICES)
        pools, spacings = [], []
        for _ in range(math.ceil(stacks / _DRAWN)):
            drawn, spacing = draw_stacks(min(_DRAWN, stacks), _SIDE, self.generator)
            pools.append(drawn[:, order].half())
            spacings.append(spacing)
        self._pool, self._spacing = torch.cat(pools), torch.cat(spacings)

    def clean(self, count: int, slices: int = 3) -> tuple[Tensor, Tensor]:
        """Patches (count, slices, side, side): turned, mirrored, of another brightness and contrast.

        And the distance of their slices in pixels, (count, 1, 1, 1).
        """
        device = self._pool.device

        def rand(*shape: int) -> Tensor:
            return torch.rand(shape, generator=self.generator, device=device)

        line = torch.arange(_PATCH, device=device)
        free = _SIDE - _PATCH + 1
        which = (rand(count) * len(self._pool)).long()
        rows = (rand(count) * free).long()[:, None] + line
        columns = (rand(count) * free).long()[:, None] + line
        patches = self._pool[which[:, None, None], :slices, rows[:, :, None], columns[:, None, :]]
        patches = patches.permute(0, 3, 1, 2).float()
        for turn in (_transposed, _mirrored, _upside_down):
            patches = torch.where(rand(count, 1, 1, 1) < 0.5, turn(patches), patches)
        contrast = 0.4 + 0.6 * rand(count, 1, 1, 1).sqrt()
        # Half of them begin at nothing, as magnitude images do.
        brightness = (1 - contrast) * rand(count, 1, 1, 1) * (rand(count, 1, 1, 1) < 0.5)
        return patches * contrast + brightness, self._spacing[which].reshape(-1, 1, 1, 1)

    def noisy(self, count: int, widths: tuple[float, float]) -> Noisy:
        """Patches with noise; some without neighbour slices (these are 1/2: nothing, as networks see it)."""
        drawn = add_noise(self.clean(count)[0], self.generator, widths)
        alone = torch.rand((count, 1, 1, 1), generator=self.generator, device=drawn.noisy.device) < _ALONE
        others = torch.where(alone, 0.5, drawn.noisy[:, 1:])
        noisy = torch.cat([drawn.noisy[:, :1], others], dim=1).to(memory_format=torch.channels_last)
        return Noisy(noisy, drawn.mean, drawn.std, drawn.least_std)

    def told(self, count: int) -> ToldNoise:
        """Patches with noise, and what the student is told of it."""
        return add_told_noise(*self.clean(count, SLICES), self.generator)

    def blind(self) -> int:
        """Side of the blind spot of a step."""
        draw = float(torch.rand((), generator=self.generator, device=self.generator.device))
        return (1, 1, 3, 5, 7)[int(5 * draw)]


def _transposed(patches: Tensor) -> Tensor:
    return patches.transpose(2, 3)


def _mirrored(patches: Tensor) -> Tensor:
    return patches.flip(3)


def _upside_down(patches: Tensor) -> Tensor:
    return patches.flip(2)

"""Noisy patches of a pool of synthetic pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from diffdenoise.scan.neighbours import with_neighbours
from pretraining.noise import Noisy, add_noise
from pretraining.pictures import SLICES, draw_stacks
from pretraining.scans import draw_real
from pretraining.told_noise import ToldNoise, add_told_noise

#: Side of a stack and of a patch in pixels.
_SIDE, _PATCH = 192, 64
#: Stacks drawn at a time.
_DRAWN = 8
#: Share of patches without neighbour slices, so that single slices are known too.
_ALONE = 0.4
#: Share of patches of real scans, where there are any.
_REAL = 0.5


class Source:
    """Noisy patches of a pool of synthetic stacks, and of real ones.

    Parameters
    ----------
    stacks : int
        Synthetic stacks.
    seed : int
        Of all draws.
    device : torch.device
        Where patches are.
    scans : Path, optional
        Folder of the real scans' data sets; None: none.
    """

    def __init__(self, stacks: int, seed: int, device: torch.device, scans: Path | None = None) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)
        # The slice itself comes first, then those beside it, nearest first.
        order = with_neighbours(SLICES // 2, SLICES // 2, SLICES)
        pools, spacings = [], []
        for _ in range(math.ceil(stacks / _DRAWN)):
            drawn, spacing = draw_stacks(min(_DRAWN, stacks), _SIDE, self.generator)
            pools.append(drawn[:, order].half())
            spacings.append(spacing)
        self._synthetic = sum(map(len, pools))
        if scans is not None:
            real, spacing = draw_real(scans, _SIDE, torch.Generator().manual_seed(seed))
            pools.append(real[:, order].half().to(device))
            spacings.append(spacing.to(device))
        self._pool, self._spacing = torch.cat(pools), torch.cat(spacings)

    def clean(self, count: int, slices: int = 3) -> tuple[Tensor, Tensor]:
        """Patches (count, slices, side, side): turned, mirrored, of another brightness and contrast.

        And the distance of their slices in pixels, (count, 1, 1, 1); infinite: they are one and the same.
        """
        device = self._pool.device

        def rand(*shape: int) -> Tensor:
            return torch.rand(shape, generator=self.generator, device=device)

        line = torch.arange(_PATCH, device=device)
        free = _SIDE - _PATCH + 1
        which = self._drawn(rand, count)
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

    def _drawn(self, rand: Callable[..., Tensor], count: int) -> Tensor:
        """Numbers of stacks, synthetic or real ones."""
        place, real = rand(count), len(self._pool) - self._synthetic
        which = (place * self._synthetic).long()
        if not real:
            return which
        return torch.where(rand(count) < _REAL, self._synthetic + (place * real).long(), which)

    def noisy(self, count: int, widths: tuple[float, float]) -> Noisy:
        """Patches with noise; some without neighbour slices (these are 1/2: nothing, as networks see it)."""
        clean, spacing = self.clean(count)
        drawn = add_noise(clean, self.generator, widths)
        alone = torch.rand((count, 1, 1, 1), generator=self.generator, device=drawn.noisy.device) < _ALONE
        alone = alone | spacing.isinf()
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

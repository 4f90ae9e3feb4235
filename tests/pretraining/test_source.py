"""Patches of a pool of pictures: the slice itself first, then those beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pretraining import source
from pretraining.source import Source


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    def draw_stacks(count: int, side: int, _: torch.Generator) -> tuple[Tensor, Tensor]:
        """Stacks that brighten from slice to slice, by as much as these are apart."""
        spacing = torch.arange(1, count + 1) / 2
        depth = (torch.arange(7) - 3)[None] * spacing[:, None] / 32
        return 0.5 + depth[:, :, None, None].expand(-1, -1, side, side), spacing

    monkeypatch.setattr(source, "draw_stacks", draw_stacks)
    return Source(8, 0, torch.device("cpu")).clean(64, 7)


def test_the_slice_itself_comes_first_and_then_the_nearest(patches: tuple[Tensor, Tensor]) -> None:
    clean = patches[0][:, :, 0, 0]
    order = (clean - clean[:, :1]) / (clean[:, 2:3] - clean[:, :1])
    torch.testing.assert_close(
        order, torch.tensor([0.0, -1, 1, -2, 2, -3, 3]).expand(64, 7), atol=0.05, rtol=0
    )


def test_the_distance_is_that_of_the_patchs_own_stack(patches: tuple[Tensor, Tensor]) -> None:
    clean, spacing = patches
    assert spacing.shape == (64, 1, 1, 1)
    # Of contrast and brightness, the first is the same for all slices of a patch.
    step = (clean[:, 2] - clean[:, 0])[:, 0, 0] * 32
    contrast = step / spacing.flatten()
    assert len(set(spacing.flatten().tolist())) > 4
    assert (contrast > 0.39).all()
    assert (contrast < 1.01).all()
    assert torch.corrcoef(torch.stack([step, spacing.flatten()]))[0, 1] > 0.9

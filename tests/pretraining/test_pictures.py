from __future__ import annotations

import torch

from pretraining.pictures import draw_stacks


def stacks(seed: int = 0, count: int = 4) -> torch.Tensor:
    return draw_stacks(count, 64, torch.Generator().manual_seed(seed))


def test_a_seed_draws_the_same_pictures_again():
    assert torch.equal(stacks(), stacks())
    assert not torch.equal(stacks(0), stacks(1))


def test_intensities_fill_the_range_from_zero_to_one():
    drawn = stacks(count=8)
    assert drawn.shape == (8, 3, 64, 64)
    assert torch.isfinite(drawn).all()
    assert drawn.min() >= 0
    assert ((drawn > 1).float().mean() < 0.02).all()
    assert (drawn.flatten(1).quantile(0.98, dim=1) > 0.3).all()


def test_adjacent_slices_are_alike_but_not_the_same():
    drawn = stacks(3, 16)
    before, middle, after = drawn.unbind(1)
    near = (before - middle).square().mean()
    assert near > 1e-4
    # Another picture is farther away, and so is the slice after the next.
    assert near < 0.5 * (middle.roll(1, 0) - middle).square().mean()
    assert near < (before - after).square().mean()


def test_pictures_have_edges_and_flat_places():
    steps = stacks(5, 16).diff(dim=3).abs()
    assert (steps > 0.2).float().mean() > 0.002
    assert (steps < 0.02).float().mean() > 0.5

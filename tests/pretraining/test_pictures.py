from __future__ import annotations

import torch

from pretraining.pictures import draw_stacks


def stacks(seed: int = 0, count: int = 4) -> torch.Tensor:
    return draw_stacks(count, 64, torch.Generator().manual_seed(seed))[0]


def test_a_seed_draws_the_same_pictures_again():
    assert torch.equal(stacks(), stacks())
    assert not torch.equal(stacks(0), stacks(1))


def test_intensities_fill_the_range_from_zero_to_one():
    drawn = stacks(count=8)
    assert drawn.shape == (8, 7, 64, 64)
    assert torch.isfinite(drawn).all()
    assert drawn.min() >= 0
    assert ((drawn > 1).float().mean() < 0.02).all()
    assert (drawn.flatten(1).quantile(0.98, dim=1) > 0.3).all()


def test_adjacent_slices_are_alike_but_not_the_same():
    drawn = stacks(3, 16)
    middle = drawn[:, 3]
    apart = [(drawn[:, 3 + k] - middle).square().mean() for k in (1, 2, 3)]
    assert apart[0] > 1e-4
    # The farther away the slice, the less alike; another picture is less alike yet.
    assert apart[0] < apart[1] < apart[2]
    assert apart[0] < 0.5 * (middle.roll(1, 0) - middle).square().mean()


def test_slices_are_less_alike_the_larger_the_distance_that_is_told():
    drawn, spacing = draw_stacks(48, 64, torch.Generator().manual_seed(1))
    assert spacing.shape == (48,)
    assert (spacing >= 0.5).all()
    assert (spacing <= 6).all()
    apart = (drawn[:, 4] - drawn[:, 3]).square().mean((1, 2))
    assert apart[spacing > 3].mean() > 2 * apart[spacing < 1].mean()


def test_pictures_have_edges_and_flat_places():
    steps = stacks(5, 16).diff(dim=3).abs()
    assert (steps > 0.2).float().mean() > 0.002
    assert (steps < 0.02).float().mean() > 0.5

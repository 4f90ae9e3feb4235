from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffdenoise.errors import SettingsError
from diffdenoise.scan.neighbours import neighbour_index
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.held_out import Window
from diffdenoise.training.slices import Slices, Target


def coded(slices, height, width, first=0):
    """Every pixel tells its slice, row and column: 10000 slice + 100 row + column."""
    k, y, x = np.meshgrid(
        np.arange(first, first + slices), np.arange(height), np.arange(width), indexing="ij"
    )
    return (10_000 * k + 100 * y + x).astype(np.float32)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(neighbours=st.integers(1, 3), extra=st.integers(0, 10), data=st.data())
def test_a_neighbour_is_another_slice_of_the_stack(neighbours, extra, data):
    count = 2 * neighbours + extra
    position = data.draw(st.integers(0, count - 1))
    for offset in [*range(-neighbours, 0), *range(1, neighbours + 1)]:
        index = neighbour_index(position, offset, count)
        assert 0 <= index < count
        assert abs(index - position) == abs(offset)
        Slices(in_memory([np.zeros((count, 8, 8), np.float32)]), neighbours).whole(position)


def test_neighbours_inside_and_at_the_ends():
    assert [neighbour_index(2, offset, 5) for offset in (-2, -1, 1, 2)] == [0, 1, 3, 4]
    assert [neighbour_index(0, offset, 5) for offset in (-1, 1)] == [1, 1]
    assert [neighbour_index(4, offset, 5) for offset in (-1, 1)] == [3, 3]


@pytest.mark.parametrize(("count", "neighbours"), [(1, 1), (3, 2), (5, 3)])
def test_too_few_slices_are_refused(count, neighbours):
    with pytest.raises(SettingsError, match=rf"data\.neighbours is {neighbours}.*{count} slice"):
        Slices(in_memory([np.zeros((9, 8, 8), np.float32), np.zeros((count, 8, 8), np.float32)]), neighbours)


def test_whole_slices_come_with_their_neighbours_from_their_own_stack():
    slices = Slices(in_memory([coded(4, 20, 24), coded(3, 18, 30, first=50)]), 1)
    assert len(slices) == 7
    assert slices.channels == 3
    assert slices.fitting(64) == (20, [0, 1, 2, 3])
    assert slices.fitting(18) == (18, [0, 1, 2, 3, 4, 5, 6])
    assert [slices.size(number) for number in (3, 4)] == [(20, 24), (18, 30)]
    channels = [(slices.whole(number)[0, :, 0, 0] / 10_000).tolist() for number in range(7)]
    assert channels[1] == [1, 0, 2]
    assert channels[3] == [3, 2, 2]
    assert channels[4] == [50, 51, 51]
    assert slices.whole(4).shape == (1, 3, 18, 30)


def test_patches_are_windows_of_one_place_in_all_channels():
    slices = Slices(in_memory([coded(4, 20, 24), coded(3, 40, 30, first=50)]), 1)
    noisy, target, *_ = slices.patches(generator(), 200, 16)
    assert noisy.shape == (200, 3, 16, 16)
    assert target is None
    number = noisy // 10_000
    row, column = noisy % 10_000 // 100, noisy % 100
    # One slice a channel; the same rows and columns in all of them, each just once.
    assert torch.equal(number, number[..., :1, :1].expand_as(number))
    assert torch.equal(row[:, :1].expand_as(row), row)
    assert torch.equal(column[:, :1].expand_as(column), column)
    rows, columns = row[:, 0].flatten(1), column[:, 0].flatten(1)
    assert torch.all(rows.amax(1) - rows.amin(1) == 15)
    assert torch.all(columns.amax(1) - columns.amin(1) == 15)
    assert all(len(set(one.tolist())) == 256 for one in (100 * rows + columns))
    # Every slice, the first and the last window, and all eight turns are drawn.
    assert set(number[:, 0, 0, 0].tolist()) == {0, 1, 2, 3, 50, 51, 52}
    first_stack = number[:, 0, 0, 0] < 50
    assert rows[first_stack].min() == 0
    assert rows[first_stack].max() == 19
    corner = torch.stack([row[:, 0, 0, 0] - rows.amin(1), column[:, 0, 0, 0] - columns.amin(1)], 1)
    along = row[:, 0, 0, 1] != row[:, 0, 0, 0]
    assert (
        len(
            {
                (*place, turned)
                for place, turned in zip(map(tuple, corner.tolist()), along.tolist(), strict=True)
            }
        )
        == 8
    )


def test_patches_shrink_to_the_largest_that_any_image_holds():
    slices = Slices(in_memory([coded(2, 40, 40), coded(2, 12, 60)]), 0)
    assert slices.fitting(64) == (40, [0, 1])
    assert slices.patches(generator(), 3, 64)[0].shape == (3, 1, 40, 40)
    assert slices.patches(generator(), 3, 12)[0].shape == (3, 1, 12, 12)


def test_the_same_generator_draws_the_same_patches():
    slices = Slices(in_memory([coded(5, 30, 30)]), 0)
    first, again, other = (slices.patches(generator(seed), 8, 16)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_targets_are_cut_and_turned_like_the_noisy_patch():
    slices = Slices(in_memory([coded(4, 20, 24)]), 1)
    targets = {number: Target(0, 0, slices.whole(number)[0, 0] + 0.5) for number in (1, 3)}
    noisy, target, *_ = slices.patches(generator(), 64, 16, targets)
    assert target.shape == (64, 1, 16, 16)
    assert torch.equal(noisy[:, :1] + 0.5, target)
    assert set((noisy[:, 0, 0, 0] // 10_000).tolist()) == {1, 3}


def test_targets_of_a_window_are_met_by_the_same_window_of_the_slice():
    slices = Slices(in_memory([coded(2, 40, 44)]), 0)
    window = Window(7, 9, 20, 24)
    targets = {1: Target(7, 9, slices.whole(1, window)[0, 0] + 0.5)}
    noisy, target, *_ = slices.patches(generator(), 64, 16, targets)
    assert torch.equal(noisy + 0.5, target)


@pytest.mark.parametrize("turns", [(0, 2), (0, 2, 5, 7), tuple(range(8))])
def test_only_the_turns_that_are_allowed_are_drawn(turns):
    slices = Slices(in_memory([coded(2, 20, 24)]), 0, turns=turns)
    batch = slices.patches(generator(), 200, 16)
    assert set(batch.turns) == set(turns)
    for patch, turn in zip(batch.noisy[:, 0], batch.turns, strict=True):
        # Turned back, rows go down and columns to the right.
        back = torch.rot90(patch.flip(1) if turn >= 4 else patch, -(turn % 4), (0, 1))
        assert torch.equal(back - back[0, 0], torch.from_numpy(coded(1, 16, 16))[0])

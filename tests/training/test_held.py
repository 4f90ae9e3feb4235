"""Slices are read when asked for, and no more of them are held than fit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffdenoise.method.step_data import StepData
from diffdenoise.scan.volume import InMemory, in_memory
from diffdenoise.training.held import HeldSlices
from diffdenoise.training.slices import Slices
from diffdenoise.types import Stack
from tests.conftest import tiny_settings


class Counting(InMemory):
    """A volume that counts which of its slices are read."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        object.__setattr__(self, "reads", Counter())

    def slab(self, first: int, last: int) -> Stack:
        self.reads.update(range(first, last))
        return super().slab(first, last)

    reads: Counter[int]


def numbered(count: int, side: int = 8) -> Stack:
    """Slices whose pixels tell their number."""
    return np.arange(count, dtype=np.float32)[:, None, None].repeat(side, 1).repeat(side, 2)


#: Of a slice of 8x8 pixels: a float and a flag each.
BYTES = 5 * 64


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_fits_is_read_once_and_drawn_from_as_a_whole() -> None:
    volume = Counting(numbered(10))
    held = HeldSlices([volume], 10 * BYTES)
    assert not volume.reads
    assert held.all_fit
    for number in (3, 4, 3, 4, 9):
        assert held.image(number).unique().tolist() == [number]
    assert volume.reads == {3: 1, 4: 1, 9: 1}
    assert held.part(list(range(1, 7)), 1, draws(0)) == list(range(1, 7))


def test_of_what_does_not_fit_only_the_part_is_held() -> None:
    volume = Counting(numbered(40))
    held = HeldSlices([volume], 9 * BYTES)
    assert not held.all_fit
    held.image(3)
    held.image(3)
    assert volume.reads == {3: 2}
    seen = []
    for seed in range(8):
        seen.append(held.part(list(range(40)), 0, draws(seed)))
        assert len(seen[-1]) == 8
        volume.reads.clear()
        for number in seen[-1]:
            held.image(number)
        assert not volume.reads
        # What is asked for besides is read anew each time, and puts nothing out.
        other = next(number for number in range(40) if number not in seen[-1])
        for number in (other, other, *seen[-1]):
            held.image(number)
        assert volume.reads == {other: 2}
    assert len({tuple(part) for part in seen}) > 1


def test_a_part_fits_with_its_neighbours_and_each_slice_has_its_turn() -> None:
    # Three runs of eight and a rest of one in the first volume, then two.
    held = HeldSlices(in_memory([numbered(25), numbered(16)]), 20 * BYTES)
    seen: Counter[int] = Counter()
    for seed in range(60):
        part = held.part(list(range(41)), 1, draws(seed))
        assert part == sorted(set(part))
        read = {number + step for number in part for step in (-1, 0, 1)}
        assert len(read) <= 20 + 2
        assert len(part) >= 8
        seen.update(part)
        assert part == held.part(list(range(41)), 1, draws(seed))
    assert set(seen) == set(range(41))
    assert max(seen.values()) < 60


@pytest.mark.parametrize("most", [20, 41])
def test_a_part_is_read_from_the_first_slice_to_the_last_and_once(most: int) -> None:
    volumes = [Counting(numbered(25)), Counting(numbered(16))]
    held = HeldSlices(volumes, most * BYTES)
    part = held.part(list(range(2, 41)), 1, draws(0))
    assert len(part) == 39 if most == 41 else 8 <= len(part) <= 18
    for volume in volumes:
        order = list(volume.reads)
        assert order == sorted(order)
    for number in part:
        for each in held.beside(number, 1):
            held.image(each)
    held.part(list(range(2, 41)), 1, draws(0))
    assert all(count == 1 for volume in volumes for count in volume.reads.values())


def test_neighbours_are_read_in_the_order_of_the_file() -> None:
    volume = Counting(numbered(9))
    assert Slices([volume], 2).whole(4)[0, :, 0, 0].tolist() == [4, 3, 5, 2, 6]
    assert list(volume.reads) == [2, 3, 4, 5, 6]


def test_a_part_is_never_empty() -> None:
    held = HeldSlices(in_memory([numbered(25)]), BYTES)
    assert len(held.part([3, 4], 1, draws(0))) == 2


@pytest.mark.parametrize("gaps", [False, True])
def test_one_volume_without_data_somewhere_gives_masks_to_all(gaps: bool) -> None:
    where: NDArray[np.bool_] = np.ones((3, 8, 8), bool)
    where[1, :4] = False
    volumes = [InMemory(numbered(3)), InMemory(numbered(3), where if gaps else None)]
    slices = Slices(volumes, 1)
    masks = [slices.known(number) for number in range(6)]
    if not gaps:
        assert masks == [None] * 6
        return
    assert [None if mask is None else float(mask.mean()) for mask in masks] == [1, 1, 1, 1, 0.5, 1]
    assert slices.patches(draws(0), 20, 8).known is not None


def test_steps_near_each_other_draw_from_the_same_part_and_later_ones_from_another() -> None:
    settings = tiny_settings(data={"patch": 16, "batch": 40})
    slices = Slices(in_memory([numbered(80, 16)]), 0, 16 * 4 * BYTES)
    data = StepData(slices, settings, torch.device("cpu"))
    drawn = {}
    for step in (0, 1, 499, 500, 1000):
        drawn[step] = {int(one) for one in data.patches(draws(step), step).noisy.flatten(1)[:, 0]}
        assert 8 < len(drawn[step]) <= 16
    assert len(drawn[0] | drawn[1] | drawn[499]) <= 16
    assert len(drawn[0] | drawn[500] | drawn[1000]) > 16

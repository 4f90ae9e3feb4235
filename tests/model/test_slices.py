"""Slices of a volume: their neighbours, in what portions they are read, and those without data."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.model.slices import denoise_volume
from diffdenoise.model.tiles import Channels
from diffdenoise.scan.volume import InMemory, in_memory
from diffdenoise.training.slices import Slices
from diffdenoise.types import Stack
from tests.model.students import images


class Recorded(InMemory):
    """A volume that notes what is read of it."""

    def slab(self, first: int, last: int) -> Stack:
        asked.append((first, last))
        return super().slab(first, last)


#: What was read of it.
asked: list[tuple[int, int]] = []


def through(volume: InMemory, neighbours: int, at_once: int) -> tuple[Stack, list[int]]:
    """What comes out, and the numbers told."""
    found, told = np.full(volume.shape, np.nan, np.float32), []

    def sink(first: int, slab: Stack) -> None:
        found[first : first + len(slab)] = slab

    def weigh(noisy: Channels) -> Channels:
        weights = np.arange(1, noisy.shape[1] + 1, dtype=np.float32)
        return np.asarray((noisy * weights[:, None, None]).sum(1, keepdims=True))

    denoise_volume(volume, sink, weigh, neighbours=neighbours, at_once=at_once, told=told.append)
    return found, told


@pytest.mark.parametrize(("count", "neighbours"), [(1, 0), (5, 0), (2, 1), (5, 1), (4, 2), (6, 3), (9, 3)])
@pytest.mark.parametrize("at_once", [1, 2, 3, 16])
def test_channels_are_those_of_training_however_many_are_read(
    count: int, neighbours: int, at_once: int
) -> None:
    stack = images((count, 5, 6))
    slices = Slices(in_memory([stack]), neighbours)
    weights = np.arange(1, 2 + 2 * neighbours, dtype=np.float32)[:, None, None]
    expected = [(slices.whole(number)[0].numpy() * weights).sum(0) for number in range(count)]
    found, told = through(InMemory(stack), neighbours, at_once)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert told == list(range(1, count + 1))


def test_no_more_is_read_than_the_slices_and_their_neighbours() -> None:
    asked.clear()
    through(Recorded(images((9, 5, 6))), 2, 3)
    assert asked == [(0, 5), (1, 8), (4, 9)]


def test_slices_without_data_stay_as_they_are() -> None:
    stack = images((4, 5, 6))
    where: NDArray[np.bool_] = np.zeros(stack.shape, bool)
    where[1, 2, 3] = where[3] = True
    found, _ = through(InMemory(stack, where), 0, 3)
    assert np.array_equal(found[[0, 2]], stack[[0, 2]])
    denoised, _ = through(InMemory(2 * stack), 1, 1)
    assert not np.array_equal(denoised[[0, 2]], stack[[0, 2]])
    through_all, _ = through(InMemory(stack, np.zeros_like(where)), 1, 4)
    assert np.array_equal(through_all, stack)
    with_neighbours, _ = through(InMemory(stack, where), 1, 4)
    assert not np.array_equal(with_neighbours[[1, 3]], stack[[1, 3]])

"""Slices in tiles give what whole slices give, bit for bit; nothing depends on how many go at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdenoise.model.backends import OnnxBackend
from diffdenoise.model.graph import STEP, reach
from diffdenoise.model.tiles import Channels, run_in_tiles
from tests.model.students import images, student, weights_of


@pytest.fixture(scope="module")
def backend() -> OnnxBackend:
    return OnnxBackend(weights_of(student(3, 8)), 1)


def tiled(backend: OnnxBackend, noisy: Channels, side: int, far: int = reach()) -> Channels:
    return run_in_tiles(backend.run, noisy, side=side, step=STEP, reach=far)


@pytest.mark.parametrize("shape", [(128, 160), (131, 205), (40, 211)])
@pytest.mark.parametrize("side", [8, 60, 64, 100, 148])
def test_the_side_of_tiles_changes_no_bit(backend: OnnxBackend, shape: tuple[int, int], side: int) -> None:
    noisy = images((1, 3, *shape))
    whole = tiled(backend, noisy, 1000)
    assert whole.shape == (1, 1, *shape)
    assert np.array_equal(tiled(backend, noisy, side), whole)


def test_tiles_of_the_default_width_change_no_bit() -> None:
    backend = OnnxBackend(weights_of(student(1, 32)), 1)
    noisy = images((1, 1, 210, 180))
    assert np.array_equal(tiled(backend, noisy, 124), tiled(backend, noisy, 1000))


def test_a_shorter_halo_shows(backend: OnnxBackend) -> None:
    noisy = images((1, 3, 128, 160))
    whole = tiled(backend, noisy, 1000)
    assert not np.array_equal(tiled(backend, noisy, 64, reach() - STEP), whole)


@pytest.mark.parametrize("shape", [(64, 48), (13, 10), (8, 8)])
def test_how_many_go_at_once_changes_no_bit(backend: OnnxBackend, shape: tuple[int, int]) -> None:
    noisy = images((7, 3, *shape))
    together = tiled(backend, noisy, 1000)
    alone = np.concatenate([tiled(backend, noisy[place : place + 1], 1000) for place in range(7)])
    assert np.array_equal(together, alone)


def test_threads_change_no_bit() -> None:
    weights, noisy = weights_of(student(3, 8)), images((2, 3, 96, 96))
    assert np.array_equal(OnnxBackend(weights, 1).run(noisy), OnnxBackend(weights, 2).run(noisy))


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), side=st.integers(4, 80), far=st.integers(0, 9))
def test_tiles_cover_a_slice_and_see_what_they_must(height: int, width: int, side: int, far: int) -> None:
    """A network that sums up the square within reach, as far as the slice goes."""
    sizes = []

    def box(noisy: Channels) -> Channels:
        sizes.append(noisy.shape[2:])
        padded = np.pad(noisy[:, :1].astype(np.float64), ((0, 0), (0, 0), (far, far), (far, far)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * far + 1, 2 * far + 1), (2, 3))
        return windows.sum((-1, -2)).astype(np.float32)

    noisy = np.random.default_rng(0).integers(0, 100, (1, 2, height, width)).astype(np.float32)
    whole = run_in_tiles(box, noisy, side=1000, step=4, reach=far)
    sizes.clear()
    assert np.array_equal(run_in_tiles(box, noisy, side=side, step=4, reach=far), whole)
    # No piece is larger than it was allowed to be, or than a step and its halo.
    halo = -(-far // 4) * 4
    assert max(max(size) for size in sizes) <= max(side, 4 + 2 * halo, 4)
    assert all(length % 4 == 0 for size in sizes for length in size)

"""Which parts of slices are held out and judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diffdenoise.method.windows import AROUND, HELD_OUT_SIDE, held_out, held_out_samples
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.held_out import Place, Window
from diffdenoise.training.slices import Slices

CPU = torch.device("cpu")


def slices_of(*shape: int, known: np.ndarray | None = None) -> Slices:
    stack = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    return Slices(in_memory([stack], None if known is None else [known]), 0)


@pytest.mark.parametrize("shape", [(1, 512, 512), (3, 100, 140), (24, 256, 256), (40, 1024, 900)])
def test_little_of_a_scan_is_held_out(shape: tuple[int, int, int]) -> None:
    found = held_out(slices_of(*shape), 64, seed=0)
    assert found == held_out(slices_of(*shape), 64, seed=0)
    assert found != held_out(slices_of(*shape), 64, seed=1)
    pixels = sum(place.window.height * place.window.width for place in found)
    assert 0.05 * min(math.prod(shape), 20 * HELD_OUT_SIDE**2) < pixels < 0.101 * math.prod(shape)
    for place in found:
        window = place.window
        assert 0 <= place.number < shape[0]
        assert 0 <= window.top <= shape[1] - window.height
        assert 0 <= window.left <= shape[2] - window.width
        assert window.height == window.width <= HELD_OUT_SIDE


def test_nothing_is_held_out_of_a_tiny_image() -> None:
    assert held_out(slices_of(1, 64, 80), 32, seed=0) == []


def test_windows_lie_where_there_is_data() -> None:
    known = np.zeros((2, 200, 200), bool)
    known[:, 90:170, 100:180] = True
    for place in held_out(slices_of(2, 200, 200, known=known), 32, seed=3):
        window = place.window
        part = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))
        assert known[(place.number, *part)].all()


def test_a_held_out_window_is_seen_with_what_is_around_it() -> None:
    slices = slices_of(2, 120, 150)
    (sample,) = held_out_samples(slices, [Place(1, Window(10, 60, 20, 20))], CPU)
    assert sample.known is not None
    assert sample.noisy.shape == sample.known.shape == (1, 1, 30 + AROUND, 20 + 2 * AROUND)
    whole = slices.whole(1)[0, 0]
    assert torch.equal(sample.noisy[0, 0], whole[: 30 + AROUND, 60 - AROUND : 80 + AROUND])
    counted = torch.zeros_like(whole)
    counted[10:30, 60:80] = 1
    assert torch.equal(sample.known[0, 0], counted[: 30 + AROUND, 60 - AROUND : 80 + AROUND])

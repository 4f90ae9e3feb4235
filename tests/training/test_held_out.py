"""Windows that nothing is learned from."""

from __future__ import annotations

import pytest
import torch

from diffdenoise.scan.volume import in_memory
from diffdenoise.training.held_out import Place, Window, learned
from diffdenoise.training.slices import Slices
from tests.training.test_slices import coded


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place(1, Window(2, 1, 2, 2)), [[1, 1, 1], [1, 0, 0], [1, 0, 0]]),
        (Place(1, Window(0, 0, 2, 9)), [[0, 0, 0], [1, 1, 1], [1, 1, 1]]),
        (Place(1, Window(0, 0, 1, 1)), [[1, 1, 1]] * 3),
        (Place(2, Window(0, 0, 9, 9)), [[1, 1, 1]] * 3),
    ],
)
def test_what_is_held_out_of_a_window(place: Place, expected: list[list[int]]) -> None:
    assert learned([place], 1, Window(1, 0, 3, 3)).int().tolist() == expected


def test_patches_know_wherever_they_lie_and_however_they_are_turned() -> None:
    slices = Slices(in_memory([coded(3, 40, 44)]), 1)
    slices.hold_out([Place(1, Window(8, 10, 20, 16)), Place(2, Window(0, 30, 9, 14))])
    batch = slices.patches(torch.Generator().manual_seed(0), 64, 24)
    code = batch.noisy[:, :1].long()
    number, row, column = code // 10_000, code // 100 % 100, code % 100
    first = (number == 1) & (row >= 8) & (row < 28) & (column >= 10) & (column < 26)
    second = (number == 2) & (row < 9) & (column >= 30)
    assert batch.known is None
    assert batch.counted is not None
    assert torch.equal(batch.counted == 0, first | second)
    assert first.any()
    assert second.any()

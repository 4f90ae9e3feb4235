"""The slices that statistics look at: all of a small scan, an even choice of a large one."""

from __future__ import annotations

import numpy as np

from diffdenoise.scan.sample import adjacent_pairs, evenly, looked_at, parts_of, repeats, spread_slices


def test_even_numbers_reach_from_end_to_end():
    assert evenly(9, 5) == [0, 2, 4, 6, 8]
    assert evenly(3, 16) == [0, 1, 2]
    assert evenly(0, 4) == []


def test_of_a_small_scan_all_slices_are_looked_at():
    assert looked_at([(20, 64, 64)] * 2) == {(volume, k) for volume in range(2) for k in range(20)}


def test_of_a_large_scan_every_slice_that_a_statistic_asks_for_is_among_those_looked_at():
    shapes = [(400, 512, 512)]
    found = looked_at(shapes)
    assert len(found) < 100
    assert set(spread_slices(shapes)) <= found
    for part in parts_of(shapes):
        assert {(0, max(0, part.number - 1)), (0, part.number), (0, min(399, part.number + 1))} <= found
    for volume, k in adjacent_pairs(shapes):
        assert {(volume, k), (volume, k + 1)} <= found


def test_consecutive_volumes_are_compared_by_the_same_slices():
    shapes = [(60, 256, 256)] * 50
    found = looked_at(shapes)
    for volume, numbers in repeats(shapes):
        assert len(numbers) * 256 * 256 <= 2**21
        assert {(each, k) for each in (volume, volume + 1) for k in numbers} <= found
    assert repeats([(5, 8, 8), (4, 8, 8)]) == []


def test_pairs_of_large_slices_are_fewer():
    assert len(adjacent_pairs([(100, 512, 512)])) == 16
    assert len(adjacent_pairs([(100, 4096, 3328)])) == 2
    assert np.all(np.diff([k for _, k in adjacent_pairs([(100, 512, 512)])]) > 0)

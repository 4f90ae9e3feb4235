"""Percentiles and ends of counted values are those of the values themselves."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.scan import counts
from diffdenoise.scan.counts import Counting, Counts, counts_of

PERCENTS = (0, 0.5, 13, 50, 99.5, 100)


def drawn(dtype, count=20_001):
    return np.rint(np.random.default_rng(0).normal(40, 300, count)).astype(dtype)


@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "i8", "f4", "f8", ">i2"])
def test_percentiles_are_those_of_numpy(dtype):
    values = np.abs(drawn("i8")).astype(dtype)
    assert counts_of(values).percentiles(PERCENTS) == pytest.approx(
        np.percentile(values, PERCENTS), rel=1e-12
    )


def test_pieces_that_widen_the_range_are_counted_like_one():
    counting = Counting(np.dtype(np.int16), 100)
    for piece in ([5, 5, 7], [-30000, 5], [32767, 6, 6]):
        counting.add(np.array(piece, np.int16))
    found = counting.counts()
    assert found.values.tolist() == [-30000, 5, 6, 7, 32767]
    assert found.numbers.tolist() == [1, 3, 2, 1, 1]
    assert counting.seen == 8


def test_of_many_values_an_even_choice_and_the_true_ends_are_kept(monkeypatch):
    monkeypatch.setattr(counts, "_MOST_KEPT", 1000)
    values = drawn(np.float32)
    values[[17, 4003]] = -9e5, 9e5
    found = counts_of(values)
    assert len(found.values) < 1100
    assert found.percentiles([0, 100]) == [-9e5, 9e5]
    # A thousand of a normal distribution tell its median to 4 % of the std.
    assert found.percentiles([50])[0] == pytest.approx(np.median(values), abs=0.15 * 300)


def test_integers_over_too_large_a_range_are_chosen_from():
    values = np.array([0, 2**30, 7, 7], np.int32)
    assert counts_of(values).percentiles([0, 50, 100]) == [0, 7, 2**30]


def test_a_share_of_a_value_is_kept():
    for values in (np.array([1, 1, 1, 1, 2, 3], np.int16), np.array([1, 1, 1, 1, 2, 3], np.float32)):
        found = counts_of(values).keeping([(1, 0.5), (3, 0.0)])
        assert found.total == 3
        assert (found.number_of(1), found.number_of(2), found.number_of(3)) == (2, 1, 0)
        assert found.values[-1] == 2


def test_the_ends_are_different_values_with_their_numbers():
    found = counts_of(np.array([4, 4, 9, 1, 1, 1], np.float32))
    assert found.ends(2, largest=False) == ([1, 4], [3, 2])
    assert found.ends(5, largest=True) == ([9, 4, 1], [1, 2, 3])


def test_a_falling_map_turns_the_order():
    found = counts_of(np.array([0, 10, 10], np.int16)).mapped(-2.0, 1.0)
    assert isinstance(found, Counts)
    assert found.values.tolist() == [-19, 1]
    assert found.numbers.tolist() == [2, 1]

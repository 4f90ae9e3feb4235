"""A level that was told is held against what the scan shows, where that is sure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.told import contradiction

SURE = Diagnosis(NoiseModel.constant(0.05), 0.0, (LevelPoint(0.5, 0.05, 60),), None, contrast=0.2)
BOUND = replace(SURE, is_upper_bound=True)
CLEAN = replace(SURE, contrast=2.0)


def taken(told: float, found: Diagnosis) -> Any:
    """Level that is worked with, as a share of the range; "own": all that the scan shows."""
    against = contradiction(1000 * told, 1000.0, found, 0.1)
    if against is None:
        return told
    assert against.told == pytest.approx(1000 * told)
    assert against.shown == pytest.approx(1000 * found.std)
    return "own" if against.taken is None else against.taken / 1000


@pytest.mark.parametrize(
    ("told", "expected"), [(0.025, "own"), (0.038, "own"), (0.039, 0.039), (0.064, 0.064), (0.066, "own")]
)
def test_what_is_surely_far_off_is_not_taken(told: float, expected: Any) -> None:
    assert taken(told, SURE) == expected


@pytest.mark.parametrize("points", [(), (LevelPoint(0.5, 0.05, 15),)])
def test_of_few_patches_nothing_is_sure(points: tuple[LevelPoint, ...]) -> None:
    assert taken(0.5, replace(SURE, curve=points)) == 0.5


@pytest.mark.parametrize(("told", "expected"), [(0.001, 0.001), (0.05, 0.05), (0.0501, 0.05), (0.5, 0.05)])
def test_a_bound_is_not_exceeded(told: float, expected: float) -> None:
    assert taken(told, BOUND) == pytest.approx(expected)
    # Taken once, it is taken for good.
    assert taken(taken(told, BOUND), BOUND) == pytest.approx(expected)


def test_a_clean_scan_stays_one_if_it_contradicts_what_was_told() -> None:
    assert taken(0.06, CLEAN) == 0.06
    assert taken(0.5, CLEAN) == taken(0.01, CLEAN) == "own"
    bound = replace(CLEAN, is_upper_bound=True)
    assert taken(0.5, bound) == "own"
    assert taken(0.01, bound) == 0.01


def test_a_magnitudes_level_may_be_meant_either_way() -> None:
    found = replace(SURE, rician_std=0.08)
    for level, expected in ((0.038, "own"), (0.039, 0.039), (0.103, 0.103), (0.105, "own")):
        assert taken(level, found) == expected


def test_both_numbers_are_said() -> None:
    def said(found: Diagnosis) -> str:
        against = contradiction(200.0, 1000.0, found, 0.1)
        assert against is not None
        return against.in_words()

    assert "200 was told, but the scan shows 50, and that is taken; noise_std_as_told=True" in said(SURE)
    assert "shows at most 50, and that is taken" in said(BOUND)
    assert "shows 50, which is little against what tissues differ by;" in said(CLEAN)

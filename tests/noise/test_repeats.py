"""The noise of a series from the differences of its volumes."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.repeats import levels_of_repeats
from tests.noise.test_evenness import fine_anatomy
from tests.noise.test_level import smooth_stack


def series(clean, std, count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [(clean + std * rng.standard_normal(clean.shape)).astype(np.float32) for _ in range(count)]


def test_fine_anatomy_cancels():
    points = levels_of_repeats(series(fine_anatomy(), 0.03))
    assert [point.std for point in points] == pytest.approx([0.03] * len(points), rel=0.1)
    found = diagnose_stacks(series(fine_anatomy(), 0.03), [0.0] * 6)
    assert found.std == pytest.approx(0.03, rel=0.05)
    assert not found.is_upper_bound


def test_what_changes_from_volume_to_volume_is_not_taken_for_noise():
    clean = smooth_stack(4, 120, 120)
    changing = [volume * (1 + 0.5 * (k % 2)) for k, volume in enumerate(series(clean, 0.03))]
    one = diagnose_stacks([changing[0]], [0.0])
    assert diagnose_stacks(changing[:1] * 1 + changing[2:3], [0.0] * 2).std == pytest.approx(one.std, rel=0.1)
    assert diagnose_stacks(changing[:2], [0.0] * 2).std < 2 * one.std


def test_nothing_is_said_without_repeats():
    volume = fine_anatomy()
    assert levels_of_repeats([volume]) == []
    assert levels_of_repeats([volume, volume[:3]]) == []
    assert levels_of_repeats([volume, volume]) == []
    assert levels_of_repeats([np.ones_like(volume)] * 2) == []

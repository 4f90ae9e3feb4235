"""One scan's noise: in the scan's units, looked for once."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise import statement
from diffdenoise.noise.simulate import gaussian
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from tests.noise.test_level import smooth_stack


def test_levels_are_in_the_scans_units_and_in_percent_of_its_range():
    noisy = gaussian(800 * smooth_stack() - 100, 40.0, axis=0, rng=np.random.default_rng(0))
    noise = diagnose(from_array(noisy), 0)
    assert noise.axis == 0
    assert noise.std == pytest.approx(40, rel=0.1)
    assert noise.percent == pytest.approx(100 * 40 / noise.range, rel=0.1)
    assert noise.model.typical_std * noise.range == noise.std


def test_a_level_that_cannot_be_told_is_none():
    halves = np.zeros((4, 64, 64))
    halves[:, :, 32:] = 1
    noise = diagnose(from_array(halves), 0)
    assert noise.std is None
    assert noise.percent is None


def test_a_scan_is_looked_at_once(monkeypatch):
    looked = []
    look = statement.diagnose_stacks
    monkeypatch.setattr(statement, "diagnose_stacks", lambda *given: looked.append(given) or look(*given))
    noise = diagnose(from_array(gaussian(smooth_stack(), 0.05, axis=0, rng=np.random.default_rng(0))), 0)
    assert not looked
    assert noise.std == noise.diagnosis.std * noise.range
    assert "Noise(of a range of" in repr(noise)
    assert len(looked) == 1

"""Where noise cannot be told from anatomy, a result is within what the noise can be, or the scan is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import diffdenoise as dd
from diffdenoise.config import Settings
from tests.noise.test_evenness import everywhere


def test_a_scan_of_which_too_much_would_be_taken_off_is_left_as_it_is(tmp_path: Path) -> None:
    noisy = everywhere() + 0.01 * np.random.default_rng(1).standard_normal((6, 96, 96))
    steps = {"blind-spot": 5, "diffusion": 5, "targets": 2, "student": 60}
    settings = Settings.build(
        minutes=1.0,
        data={"patch": 32, "batch": 4, "axis": 0},
        schedule={name: {"steps": count} for name, count in steps.items()},
        stage3={"orientations": 1},
    )
    scan = noisy.astype(np.float32)
    result = dd.denoise(scan, settings=settings, threads=1, return_result=True)
    # Stages of a few steps smooth far more than the noise can be.
    assert result.record["cannot_tell"]
    assert "left as it is" in result.record["doubts"][0]
    assert result.record["strength"] == 0
    np.testing.assert_array_equal(result.data, scan)
    assert "refine" not in result.record["training"]["stages"]

"""Training takes no more memory for a large slice than that slice itself and what is worked out about it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.memory import measure_python

SOURCE = Path(__file__).parents[2] / "src"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="resident sets are told by Unix only")

#: Trains a few steps on one image in a process of its own.
_SCRIPT = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
from diffdenoise.config import Settings
from diffdenoise.method.train import train
from diffdenoise.scan.read import from_array

height, width = json.loads(sys.argv[1])
image = np.linspace(500, 1500, width, dtype=np.float32) + np.linspace(0, 500, height)[:, None]
image += 60 * np.random.default_rng(0).standard_normal(image.shape)
names = ("blind-spot", "diffusion", "targets", "student", "refine")
settings = Settings.build(
    minutes=None, schedule={name: {"steps": 1} for name in names}, data={"patch": 32, "batch": 2},
    stage1={"width": 8}, stage2={"width": 8}, stage3={"width": 8}, sampling={"nodes": 1},
)
with tempfile.TemporaryDirectory() as folder:
    train([from_array(image.astype(np.uint16))], settings, Path(folder) / "model", threads=1)
"""
#: Bytes a pixel: the scan, its slice in float32, and its statistics. A network on whole slices takes 400.
_MOST = 120


def peak(height: int, width: int) -> int:
    """Peak memory of a training in bytes."""
    return measure_python(["-c", _SCRIPT, json.dumps([height, width])], SOURCE)[0]


def test_what_this_process_holds_is_not_charged_to_a_training() -> None:
    # In a suite this process holds a gigabyte, which would hide what any image takes.
    held = bytearray(2**30)
    held[:: 2**12] = b"1" * len(held[:: 2**12])
    assert peak(64, 64) < len(held)


def test_a_larger_image_takes_its_own_size_more() -> None:
    small, large = (600, 600), (2560, 2048)
    more = peak(*large) - peak(*small)
    pixels = large[0] * large[1] - small[0] * small[1]
    assert more < _MOST * pixels, f"{more / pixels:.0f} bytes a pixel"

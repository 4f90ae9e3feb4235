"""Training takes no more memory for a large slice than that slice itself and what is worked out about it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("resource")

#: Trains a few steps on one image in a process of its own, and prints that process's peak memory in bytes.
_SCRIPT = """
import json, resource, sys, tempfile
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
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""
#: Bytes a pixel: the scan, its slice in float32, and its statistics. A network on whole slices takes 400.
_MOST = 120


def peak(height: int, width: int) -> int:
    """Peak memory of a training in bytes."""
    words = [sys.executable, "-c", _SCRIPT, json.dumps([height, width])]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_a_larger_image_takes_its_own_size_more() -> None:
    small, large = (600, 600), (2560, 2048)
    more = peak(*large) - peak(*small)
    pixels = large[0] * large[1] - small[0] * small[1]
    assert more < _MOST * pixels, f"{more / pixels:.0f} bytes a pixel"

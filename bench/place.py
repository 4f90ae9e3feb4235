"""What the map of the noise's level by place is worth to the result, at equal steps.

    python -m bench.place --data DIR

Takes 16 slices of the MS T1W case with white Gaussian noise (seed 0) whose level varies in place from 5 to
15 % of the range, as parallel imaging's geometry factor does: strongest in the centre, as a Gaussian.
The student is refined for as many steps with the map that the diagnosis finds, and with one level everywhere,
that of the diagnosis in the middle of the tissue. Prints PSNR in dB over all voxels, and where noise is
strong and weak.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.cases import REFERENCES
from diffdenoise.config import Settings
from diffdenoise.method.train import train
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.scan.read import from_array
from diffdenoise.types import Stack

#: Steps of each stage: those before refinement have no part in it.
_STEPS = {"blind-spot": 10, "diffusion": 10, "targets": 0, "student": 0}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    whole = REFERENCES["MS T1W"](given.data)[0]
    clean = whole[10:26, 60:260, 60:260]
    level = geometry_factor(clean.shape[1], clean.shape[2]) * 0.05
    noisy = (clean + level * np.random.default_rng(0).standard_normal(clean.shape)).astype(np.float32)
    print(json.dumps(compare(clean, noisy, level, given.steps), indent=1))


def geometry_factor(height: int, width: int) -> NDArray[np.float64]:
    """From 1 at the rim to 3 in the centre."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.asarray(1 + 2 * np.exp(-(x**2 + y**2) / (2 * 0.4**2)))


def compare(
    clean: Stack, noisy: Stack, level: NDArray[np.float64], steps: int, *more: str
) -> dict[str, dict[str, float]]:
    """PSNR in dB of the noisy scan and of the two results: over all, and in the noisiest and calmest half.

    Parameters
    ----------
    clean, noisy : arrays (slices, height, width)
    level : array (height, width)
        True std of the noise.
    steps : int
        Of refinement.
    more : str
        Further settings, as assignments.
    """
    strong = level > np.median(level)
    found = {"noisy": _scores(clean, noisy, strong)}
    for name in ("map", "one level"):
        noise = diagnose(from_array(noisy), 0)
        if noise.model.place is None:
            raise ValueError("no map was found")
        if name == "one level":
            _forget_place(noise)
        found[name] = _scores(clean, _denoised(noisy, noise, steps, *more), strong)
    return found


def _forget_place(noise: Noise) -> None:
    """State one level everywhere: that in the middle of the tissue."""
    model = NoiseModel.constant(noise.model.typical_std, noise.model.correlation)
    # In place of what was looked for once and kept.
    noise.__dict__["diagnosis"] = replace(noise.diagnosis, noise=model)


def _denoised(noisy: Stack, noise: Noise, steps: int, *more: str) -> Stack:
    counts = {**_STEPS, "refine": steps}
    schedule = [f"schedule.{stage}.steps={count}" for stage, count in counts.items()]
    wanted = ["minutes=null", "data.axis=0", "stage3.orientations=1", *schedule, *more]
    settings = Settings.build(assignments=wanted)
    scan = from_array(noisy)
    with tempfile.TemporaryDirectory() as folder:
        model = train([scan], settings, Path(folder) / "model", noises=[noise], threads=1)
        return np.asarray(model.denoise_scan(scan, noise, own=True, force=True).scan.data, np.float32)


def _scores(clean: Stack, image: Stack, strong: NDArray[np.bool_]) -> dict[str, float]:
    errors = (image.astype(np.float64) - clean) ** 2
    parts = {"all": errors, "noisiest half": errors[:, strong], "calmest half": errors[:, ~strong]}
    return {name: round(float(-10 * np.log10(part.mean())), 2) for name, part in parts.items()}


if __name__ == "__main__":
    main()

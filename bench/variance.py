"""What calibrating stage 1's variance is worth to fusion, on slices that it was not calibrated on.

    python -m bench.variance --data DIR [--cases t1w-white] [--steps 36]

Trains stage 1 alone, for as many steps as it gets in the benchmark's short runs, and prints a line a case.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from bench.cases import CASES
from bench.data import Data
from bench.ours import plan_of
from diffdenoise.config import Settings, Steps
from diffdenoise.method import blind_spot, posterior
from diffdenoise.method.stages import Stages
from diffdenoise.method.windows import evenly_spaced
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet

#: Slices that are looked at.
_LOOKED_AT = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=["t1w-white"], choices=list(CASES))
    parser.add_argument("--steps", type=int, default=36)
    given = parser.parse_args()
    head = ["case", "mean square over variance", "calibrated", "prediction", "fused", "fused, calibrated"]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for name in given.cases:
        ratios, psnrs = measure(CASES[name].load(given.data, 0), given.steps, choose_hardware("cpu", 1))
        found = [*(f"{ratio:.2f}" for ratio in ratios), *(f"{psnr:.2f}" for psnr in psnrs)]
        print(f"| {CASES[name].title} | {' | '.join(found)} |", flush=True)


def measure(data: Data, steps: int, hardware: Hardware) -> tuple[list[float], list[float]]:
    """Train stage 1 and compare.

    Returns
    -------
    ratios : list of float
        Mean of (y - mu)^2 over that of the variance: as predicted, and calibrated.
    psnrs : list of float
        In dB: of the prediction, fused by the predicted variance, and by the calibrated one.
    """
    one = Steps(steps=1)
    rest = dict.fromkeys(("diffusion", "targets", "student", "refine"), one)
    settings = Settings.build(minutes=None, schedule={"blind-spot": Steps(steps=steps), **rest})
    plan = plan_of(data.noisy, settings, data.spacing_mm)
    span = prepare(from_array(data.noisy[0]), 0).intensities
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "work", settings, plan.fingerprint(), resume=False)
        stages = Stages(plan, workspace, hardware, Quiet(), 3600.0)
        stages.blind_spot()
        known = set(evenly_spaced(stages.slices))
        others = [k for k in range(len(data.noisy[0])) if k not in known and data.clean[0][k].std() > 0]
        chosen = np.linspace(0, len(others) - 1, min(len(others), _LOOKED_AT)).round().astype(int)
        misses, spreads, errors = [], [], []
        for k in (others[place] for place in chosen):
            item = stages.slices.whole(k)
            y, std = item[:, :1], stages.noise_draws().std(item[:, :1])
            with torch.no_grad(), hardware.autocast():
                network = stages.networks.blind_spot
                mean, told = blind_spot.predict(
                    network, item, plan.blind_spot, plan.domain.own_noise().least_std
                )
                right = stages.variance(item)
            misses.append(float((y - mean).square().mean()))
            spreads.append([float(told.mean()), float(right.mean())])
            images = (mean, posterior.fuse(y, mean, told, std), posterior.fuse(y, mean, right, std))
            restored = [span.unscale(image[0, 0].float().numpy()) for image in images]
            errors.append([float(np.mean((image - data.clean[0][k]) ** 2)) for image in restored])
    ratios = np.mean(misses) / np.mean(spreads, axis=0)
    return ratios.tolist(), (-10 * np.log10(np.mean(errors, axis=0))).tolist()


if __name__ == "__main__":
    main()

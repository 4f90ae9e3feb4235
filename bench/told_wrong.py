"""What a wrong statement of the noise costs: the package's weights at once, told what is not so.

    python -m bench.told_wrong --data DIR [--cases t1w-white ...] [--minutes 1] [--insist]

Each case is denoised as found, told that the level is half, 20 % lower, 20 % higher and twice what was found
(`noise_std`, which a scan may contradict; with `--insist` it may not), and with a spectrum that is .3 px
wider. A line a case: PSNR as found, and the difference of each. With `--minutes` the weights learn from the
scan first, told the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bench.cases import CASES
from bench.data import Data
from bench.ours import Rows, plan_of
from bench.quality import scores
from diffdenoise.config import Settings
from diffdenoise.method.stages import Stages
from diffdenoise.method.train import train_all_stages
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.plan import Plan
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet, Stack

#: Levels that are told, as multiples of what is found.
_LEVELS = {"half": 0.5, "-20 %": 0.8, "+20 %": 1.2, "twice": 2.0}
_CASES = ("t1w-white", "flair-wide", "t2w-narrow", "knee-white", "chest-white", "ct-poisson", "m4raw-real")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=list(_CASES), choices=list(CASES))
    parser.add_argument("--minutes", type=float, help="of training on the scan, of a core's time")
    parser.add_argument("--insist", action="store_true", help="take levels that the scan contradicts too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    columns = ["as found", *_LEVELS, "+.3 px"]
    print(f"| case | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for name in given.cases:
        data, hardware = CASES[name].load(given.data, 0), choose_hardware("cpu", 1)
        settings = Settings(minutes=given.minutes)
        plan = plan_of(data.train, settings, data.spacing_mm)
        std = plan.noise.typical_std * float(np.median([_range(stack) for stack in data.train]))
        plans = [plan]
        for times in _LEVELS.values():
            told = {"noise_std": times * std, "noise_std_as_told": given.insist}
            plans.append(plan_of(data.train, settings.model_copy(update=told), data.spacing_mm))
        plans.append(replace(plan, noise=_wider(plan.noise)))
        found = [_psnr(data, one, hardware) for one in plans]
        cells = [f"{found[0]:.2f}", *(f"{one - found[0]:+.2f}" for one in found[1:])]
        print(f"| {CASES[name].title} | {' | '.join(cells)} |", flush=True)


def _range(stack: Stack) -> float:
    return prepare(from_array(stack), 0).intensities.range


def _wider(noise: NoiseModel) -> NoiseModel:
    wider = Correlation.gaussian(*(width + 0.3 for width in noise.correlation.width_px))
    return replace(noise, correlation=wider)


def _psnr(data: Data, plan: Plan, hardware: Hardware) -> float:
    """PSNR of the result of a plan in dB, mean of the scored slices."""
    if not plan.settings.trains:
        rows = Rows(data, plan, hardware)
        rows.add_instant()
    else:
        with tempfile.TemporaryDirectory() as folder:
            workspace = Workspace.open(Path(folder) / "work", plan.settings, plan.fingerprint(), resume=False)
            now = time.process_time
            stages = Stages(plan, workspace, hardware, Quiet(), 3600.0, keep_time=False, now=now)
            train_all_stages(stages)
            rows = Rows(data, plan, hardware, stages)
            rows.add_students(stages.what_is_kept())
    return float(scores(data, rows.results["result"])["psnr"])


if __name__ == "__main__":
    main()

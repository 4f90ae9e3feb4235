"""Fifty inferences (figure 4 of Demir et al. 2025): how much each kind of result scatters over starts.

    python -m bench.inferences --data DIR

Trains on the first case's noisy scan, then draws 50 single samples, 50 averages of two random samples
and 50 symmetric pairs of the middle of one slice, and scores each. The student has no random start.
Stores the scores below bench/cells and the picture below docs/images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.cases import CASES
from bench.ours import plan_of
from bench.quality import clock_of
from diffdenoise.config import Settings
from diffdenoise.method.stages import Stages
from diffdenoise.method.train import train_all_stages
from diffdenoise.model.denoiser import denoiser_of
from diffdenoise.networks.student import student_network
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import choose_hardware
from diffdenoise.training.held_out import Window
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet

_ROOT = Path(__file__).parent.parent
CELL = _ROOT / "bench" / "cells" / "inferences.json"
PICTURE = _ROOT / "docs" / "images" / "inferences.png"
_CASE = "t1w-white"
#: Side of the window that is denoised, in pixels.
_SIDE = 160


def main() -> None:
    """Train, draw, score, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cell", type=Path, default=CELL)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    given = parser.parse_args()
    hardware = choose_hardware(given.device, given.threads)
    data = CASES[_CASE].load(given.data, 0)
    settings = Settings.build(minutes=given.minutes)
    plan = plan_of(data.noisy, settings, data.spacing_mm)
    intensities = prepare(from_array(data.noisy[0]), 0).intensities
    number = len(data.noisy[0]) // 2
    clean = data.clean[0][number]
    top, left = ((size - _SIDE) // 2 for size in clean.shape)
    truth = clean[top : top + _SIDE, left : left + _SIDE]

    def psnr(output: torch.Tensor) -> float:
        image = intensities.unscale(output[0, 0].float().cpu().numpy())
        return round(float(-10 * np.log10(np.mean((image - truth) ** 2))), 4)

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "work", settings, plan.fingerprint(), resume=False)
        stages = Stages(plan, workspace, hardware, Quiet(), 3600.0, keep_time=False, now=clock_of(hardware))
        train_all_stages(stages)
        teacher = stages.teacher(1)
        item = stages.slices.whole(number, Window(top, left, _SIDE, _SIDE)).to(hardware.device)
        student = hardware.place(student_network(settings, plan.neighbours))
        workspace.load("refine", student)
        scores: dict[str, list[float]] = {"single sample": [], "two random samples": [], "symmetric pair": []}
        # The starts depend on the seed and on this number alone.
        for draw in range(given.draws):
            start = 1000 + draw
            scores["single sample"].append(psnr(teacher.random_samples(item, start, 1)))
            scores["two random samples"].append(psnr(teacher.random_samples(item, start, 2)))
            scores["symmetric pair"].append(psnr(teacher.srds(item, start)))
        delivered = denoiser_of(student, range(8), hardware.device.type, torch.get_num_threads())
        scores["student"] = [psnr(torch.from_numpy(delivered.run(item.cpu().numpy(), plan.domain.level)))]
    record: dict[str, Any] = {
        "case": _CASE,
        "minutes": given.minutes,
        "device": hardware.describe(),
        "psnr": scores,
        "std": {name: round(float(np.std(values)), 4) for name, values in scores.items()},
    }
    given.cell.write_text(json.dumps(record, indent=1), encoding="utf-8")
    draw_picture(scores, given.picture)
    print(json.dumps(record["std"]))


def draw_picture(scores: dict[str, list[float]], target: Path) -> None:
    """One dot an inference; the student as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in scores.items():
        if len(values) == 1:
            axes.axhline(values[0], color="black", label=f"{name}: {values[0]:.2f} dB")
            continue
        found: NDArray[np.float64] = np.array(values)
        label = f"{name}: {found.mean():.2f} dB, std {found.std():.3f}"
        axes.plot(np.arange(1, len(found) + 1), found, "o", markersize=3.5, label=label)
    axes.set_xlabel("inference")
    axes.set_ylabel("PSNR in dB")
    axes.legend(loc="center right", fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()

"""Every step of the method on one scan: noisy, stage 1, stage 2, stage 3, iterations, and the bounds.

    python -m bench.stages --data DIR [--cases t1w flair] [--minutes 10] [--seed 0]

DIR holds `mri-brain-ms-ljubljana` (Lesjak et al. 2016, CC BY). Gaussian noise of 10 % of the
intensity range is added with the seed; each method trains on that noisy scan alone, except for the
ceiling, which learns the student's network on clean pairs for as long. Each part is stored as JSON
below `bench/cells` when it is done, and not run again; `python -m bench.stages_table` makes
docs/quality.md from these.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffdenoise.config import Settings, Steps, round_name
from diffdenoise.model import student_network
from diffdenoise.noise.simulate import gaussian
from diffdenoise.pipeline import run_all_stages
from diffdenoise.plan import Plan, make_plan
from diffdenoise.run import Run
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.slices import choose_axis, to_stacks
from diffdenoise.stages import distil
from diffdenoise.training.clock import StagePlan
from diffdenoise.training.fit import fit
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices
from diffdenoise.training.steps import StepData
from diffdenoise.training.workspace import Workspace
from diffdenoise.trust.metrics import evaluate
from diffdenoise.types import Quiet, Stack

_FOLDER = Path("mri-brain-ms-ljubljana/longitudinal/patient01")
CASES = {"t1w": "study1_T1W.nii.gz", "flair": "study1_FLAIR.nii.gz"}
#: Noise std as a share of the intensity range.
_LEVEL = 0.10
PARTS = ("bm3d", "method", "iterations", "ceiling")

Slab = NDArray[np.float32]


def main() -> None:
    """Run the parts that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--like", type=Path, help="cell of the part 'method': take its steps, not a time")
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--cells", type=Path, default=Path("bench/cells/stages"))
    given = parser.parse_args()
    like = json.loads(given.like.read_text(encoding="utf-8")) if given.like else None
    settings = Settings.build(None, given.assignments, minutes=given.minutes, seed=given.seed)
    hardware = choose_hardware(given.device, given.threads)
    for case in given.cases:
        path = case_path(given.data, case)
        if not path.is_file():
            print(f"skipped {case}: {path} is missing")
            continue
        clean, noisy = load_case(path, given.seed)
        for part in given.parts:
            cell = given.cells / f"{case}-{part}-seed{given.seed}.json"
            if cell.is_file():
                print(f"{cell}: is there already")
                continue
            began = time.monotonic()
            rows = run_part(part, clean, noisy, settings, hardware, like)
            record = {
                "case": case,
                "part": part,
                "seed": given.seed,
                "minutes": given.minutes,
                "steps_of": str(given.like) if given.like else None,
                "device": hardware.describe(),
                "processor": platform.machine(),
                "torch": torch.__version__,
                "seconds": round(time.monotonic() - began, 1),
                **rows,
            }
            cell.parent.mkdir(parents=True, exist_ok=True)
            cell.write_text(json.dumps(record, indent=1), encoding="utf-8")
            print(json.dumps(record["rows"], indent=1))


def case_path(data: Path, case: str) -> Path:
    """Return where a case's clean scan lies below the data folder."""
    return data / _FOLDER / CASES[case]


def load_case(path: Path, seed: int) -> tuple[Stack, Stack]:
    """Return clean and noisy slices, scaled so that the clean scan's range is 0 to 1."""
    scan = read_scan(path)
    clean = to_stacks(IntensityMap.fit(scan.data).scale(scan.data), choose_axis(scan))[0]
    clean = np.ascontiguousarray(clean)
    noisy = gaussian(clean, _LEVEL, rng=np.random.default_rng(seed)).astype(np.float32)
    return clean, noisy


def scores(estimate: Slab, clean: Stack) -> list[float]:
    """PSNR in dB and SSIM, both with the clean scan's range (1) as data range."""
    result = evaluate(estimate, clean, axis=0, data_range=1.0)
    return [round(result.denoised.psnr_db, 3), round(result.denoised.ssim, 4)]


def run_part(
    part: str,
    clean: Stack,
    noisy: Stack,
    settings: Settings,
    hardware: Hardware,
    like: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Run one part; `like` is the record of a run whose step counts to take instead of a time."""
    if part == "bm3d":
        return {"rows": {"noisy": scores(noisy, clean), "BM3D, true level": scores(_bm3d(noisy), clean)}}
    if part == "iterations":
        settings = settings.model_copy(update={"iterations": 3})
    if like is not None:
        settings = settings.model_copy(update={"schedule": schedule_like(like, part)})
    if part == "ceiling":
        return _ceiling(clean, noisy, settings, hardware)
    return run_method(clean, noisy, settings, hardware)


def schedule_like(run: dict[str, Any], part: str) -> dict[str, Steps]:
    """Return step counts that take as long as a run of the part "method" did.

    The ceiling spends all of its seconds at the student's speed; three iterations share its steps.
    """
    stages = run["stages"]
    steps = {name: int(stage["steps"]["steps"]) for name, stage in stages.items()}
    if part == "ceiling":
        speed = sum(steps[name] for name in ("student", "refine")) / sum(
            stages[name]["seconds"] for name in ("student", "refine")
        )
        return {"ceiling": Steps(steps=round(run["training_seconds"] * speed))}
    if part == "iterations":
        blind = steps.pop("blind-spot")
        rounds = {
            round_name(name, turn): Steps(steps=max(1, count // 3))
            for turn in (1, 2, 3)
            for name, count in steps.items()
        }
        return {"blind-spot": Steps(steps=blind), **rounds}
    return {name: Steps(steps=count) for name, count in steps.items()}


def _bm3d(noisy: Stack) -> Slab:
    import bm3d

    return np.stack([bm3d.bm3d(image, _LEVEL) for image in noisy]).astype(np.float32)


def _plan(noisy: Stack, settings: Settings) -> Plan:
    data = settings.data.model_copy(update={"axis": 0})
    return make_plan([from_array(noisy)], settings.model_copy(update={"data": data}))


def run_method(clean: Stack, noisy: Stack, settings: Settings, hardware: Hardware) -> dict[str, Any]:
    """Train as `diffdenoise denoise` does, then score what each stage gives.

    Returns
    -------
    dict
        `rows` (PSNR in dB and SSIM by name), seconds, and steps and seconds of each stage.
    """
    plan = _plan(noisy, settings)
    intensities = IntensityMap.fit(noisy)
    rows: dict[str, list[float]] = {}

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "work", settings, plan.fingerprint(), resume=False)
        run = Run(plan, workspace, hardware, Quiet(), 3600.0)
        began = time.monotonic()
        run_all_stages(run)
        seconds = time.monotonic() - began

        def score(name: str, estimate_of: Callable[[torch.Tensor, int], torch.Tensor]) -> None:
            found = []
            for number in range(len(run.slices)):
                item = run.slices.whole(number).to(hardware.device)
                with torch.no_grad(), hardware.autocast():
                    found.append(estimate_of(item, number)[0, 0].float().cpu().numpy())
            rows[name] = scores(intensities.unscale(np.stack(found)).astype(np.float32), clean)

        def score_student(name: str, stage: str) -> None:
            student = student_network(settings, plan.neighbours).to(hardware.device)
            workspace.load(stage, student)
            score(name, lambda item, _: distil.denoise(student, item))

        if settings.iterations == 1:
            teacher = run.teacher(1)
            score("stage 1: blind-spot network", lambda item, _: teacher.condition(item))
            score("stage 2: single sample", lambda item, k: teacher.random_samples(item, k, 1))
            score("stage 2: two random samples", lambda item, k: teacher.random_samples(item, k, 2))
            pairs: dict[int, torch.Tensor] = {}

            def pair(item: torch.Tensor, number: int) -> torch.Tensor:
                pairs[number] = teacher.srds(item, number)
                return pairs[number]

            score("stage 2: symmetric pair", pair)
            score("stage 2: one step", lambda item, _: teacher.one_step(item))
            score("stage 2: pair + fusion", lambda item, k: teacher.fuse(item, pairs[k]))
            score(
                "stage 2: recorruption-corrected",
                lambda item, k: teacher.corrected(item, k),
            )
            score_student("stage 3: student, distilled only", "student")
            if settings.stage3.refine:
                score_student("stage 3: student", "refine")
        else:
            last = "refine" if settings.stage3.refine else "student"
            for turn in range(1, settings.iterations + 1):
                score_student(f"iteration {turn}: student", last if turn == 1 else f"{last}-{turn}")
        stages = {
            name: {key: record[key] for key in ("steps", "seconds")}
            for name, record in workspace.stages.items()
        }
    return {
        "rows": rows,
        "training_seconds": round(seconds, 1),
        "stages": stages,
        "noise": plan.noise.as_dict(),
        "plan_noise_std": plan.noise.typical_std,
        "range": intensities.range,
    }


def _ceiling(clean: Stack, noisy: Stack, settings: Settings, hardware: Hardware) -> dict[str, Any]:
    """Train the student's network on clean pairs, the noise drawn anew in each step, for as long."""
    plan = _plan(noisy, settings)
    slices = Slices([clean], plan.neighbours)
    data = StepData(slices, settings, hardware.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        student = hardware.place(student_network(settings, plan.neighbours))

    def loss_of(step: int) -> torch.Tensor:
        draws = generator(settings.seed, "ceiling", step)
        patch, _ = data.patches(draws)
        dirty = patch + _LEVEL * torch.randn(patch.shape, generator=draws).to(patch.device)
        return distil.squared_distance(distil.denoise(student, dirty), patch[:, :1]) / _LEVEL**2

    wanted = settings.schedule.get("ceiling")
    step_plan = StagePlan(wanted, 0.0 if settings.minutes is None else 60 * settings.minutes)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            student,
            loss_of,
            step_plan,
            learning_rate=settings.stage3.learning_rate,
            hardware=hardware,
            folder=Path(folder),
            progress=Quiet(),
            checkpoint_s=3600.0,
        )
    seen = Slices([noisy], plan.neighbours)
    found = []
    for number in range(len(seen)):
        with torch.no_grad(), hardware.autocast():
            output = distil.denoise(student, seen.whole(number).to(hardware.device))
        found.append(output[0, 0].float().cpu().numpy())
    return {
        "rows": {"ceiling: same network, clean pairs": scores(np.stack(found), clean)},
        "training_seconds": round(step_plan.spent_s, 1),
        "stages": {"ceiling": {"steps": step_plan.steps().model_dump()}},
    }


if __name__ == "__main__":
    main()

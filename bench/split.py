"""How to share a time budget between the stages: several splits of the same seconds.

    python -m bench.split --data DIR --run bench/cells/stages/t1w-method-seed0.json

Takes the seconds a step of each stage took in a run of `bench.stages`, turns each split into step
counts, trains with these (on any device: only the counts matter) and stores what the students reach
below `bench/cells/split`; `bench.stages_table` prints them. `run.PARTS` is the split "default".
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.stages import CASES, case_path, load_case, run_method
from diffdenoise.config import Settings
from diffdenoise.run import PARTS
from diffdenoise.training.hardware import choose_hardware

#: Shares of the time, by stage.
SPLITS: dict[str, dict[str, float]] = {
    "default": PARTS,
    "early stages short": {
        "blind-spot": 0.15,
        "diffusion": 0.10,
        "targets": 0.05,
        "student": 0.10,
        "refine": 0.60,
    },
    "blind spot long": {
        "blind-spot": 0.45,
        "diffusion": 0.07,
        "targets": 0.08,
        "student": 0.15,
        "refine": 0.25,
    },
    "diffusion long": {
        "blind-spot": 0.20,
        "diffusion": 0.35,
        "targets": 0.08,
        "student": 0.12,
        "refine": 0.25,
    },
}


def main() -> None:
    """Run the splits that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="cell of bench.stages to take speeds from")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cells", type=Path, default=Path("bench/cells/split"))
    given = parser.parse_args()
    run = json.loads(given.run.read_text(encoding="utf-8"))
    path = case_path(given.data, run["case"])
    if not path.is_file():
        print(f"skipped: {path} is missing")
        return
    clean, noisy = load_case(path, run["seed"])
    hardware = choose_hardware(given.device, given.threads)
    for name, shares in SPLITS.items():
        cell = given.cells / f"{run['case']}-{name.replace(' ', '-')}.json"
        if cell.is_file():
            print(f"{cell}: is there already")
            continue
        settings = Settings.build(minutes=None, seed=run["seed"], schedule=schedule_for(run, shares))
        result = run_method(clean, noisy, settings, hardware)
        record = split_record(run["case"], name, result, hardware.describe())
        cell.parent.mkdir(parents=True, exist_ok=True)
        cell.write_text(json.dumps(record, indent=1), encoding="utf-8")
        print(json.dumps(record["rows"], indent=1))


def schedule_for(run: dict[str, Any], shares: dict[str, float]) -> dict[str, dict[str, int]]:
    """Return the steps of each stage that take its share of the run's seconds."""
    stages = run["stages"]
    total = sum(stages[name]["seconds"] for name in shares)
    return {
        name: {
            "steps": max(1, round(share * total * stages[name]["steps"]["steps"] / stages[name]["seconds"]))
        }
        for name, share in shares.items()
    }


def split_record(case: str, name: str, result: dict[str, Any], device: str) -> dict[str, Any]:
    """Return what is kept of a run."""
    if case not in CASES:
        raise ValueError(f"{case}: is not a case; expected one of {', '.join(CASES)}")
    kept = ("stage 3: student, distilled only", "stage 3: student")
    return {
        "case": case,
        "split": name,
        "shares": SPLITS[name],
        "device": device,
        "rows": {row: result["rows"][row] for row in kept},
    }


if __name__ == "__main__":
    main()

"""CPU seconds, user and system, that short uses of a trained model take from their start on.

    python -m bench.startup [--before SRC] [--runs 3] [--store]

Each use runs in a process of its own, one thread, with the package of --before and with this one in turns;
the median counts. --store keeps the figures in bench/cells/startup.json and writes a table of
docs/performance.md; without --before, figures of before that are there already stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.page import fill
from bench.scans import write_nifti

_ROOT = Path(__file__).parent.parent
CELL = _ROOT / "bench" / "cells" / "startup.json"
PAGE = _ROOT / "docs" / "performance.md"
#: Slices that are denoised, and the size of what `info` looks at.
_DENOISED, _LOOKED_AT = (256, 256, 24), (512, 512, 400)
_SEED = 0
#: A student of the default width, hardly changed from the weights that come with the package.
_STEPS = {"blind-spot": 2, "diffusion": 2, "targets": 0, "student": 0, "refine": 2}
_LIBRARIES = ("numpy", "scipy", "nibabel", "onnxruntime", "torch")


def main() -> None:
    """Make scans and a model, run, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--before", type=Path, help="folder that holds an earlier state of the package")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    sources = {"before": given.before, "now": _ROOT / "src"} if given.before else {"now": _ROOT / "src"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        uses = prepare(folder, sources["now"])
        rows: dict[str, dict[str, float]] = {}
        for use, words in uses.items():
            taken: dict[str, list[float]] = {label: [] for label in sources}
            for _ in range(given.runs):
                for label, source in sources.items():
                    taken[label].append(cpu_seconds(words, source, folder))
            rows[use] = {label: round(statistics.median(each), 2) for label, each in taken.items()}
            print(use, rows[use], flush=True)
    if given.store:
        rows = with_stored(rows)
        found = {"machine": machine(), "runs": given.runs, "seed": _SEED, "rows": rows}
        CELL.write_text(json.dumps(found, indent=1), encoding="utf-8")
        page = fill(PAGE.read_text(encoding="utf-8"), "startup", table(found), "bench.startup")
        PAGE.write_text(page, encoding="utf-8")


def prepare(folder: Path, source: Path) -> dict[str, list[str]]:
    """Write what is needed to a folder; return the words behind `python` by what they do."""
    write_nifti(folder / "slices.nii.gz", _DENOISED)
    write_nifti(folder / "volume.nii", _LOOKED_AT)
    words = ["train", "slices.nii.gz", "-o", "model", "--threads", "1", "--seed", str(_SEED), "--quiet"]
    for stage, steps in _STEPS.items():
        words += ["--set", f"schedule.{stage}.steps={steps}"]
    cpu_seconds(["-m", "diffdenoise", *words, "--set", "stage3.orientations=1"], source, folder)
    denoise = ["denoise", "slices.nii.gz", "-o", "denoised.nii.gz", "--model", "model", "--force"]
    denoise += ["--threads", "1", "--overwrite", "--quiet"]
    return {
        "`import diffdenoise`": ["-c", "import diffdenoise"],
        "`import diffdenoise.api`": ["-c", "import diffdenoise.api"],
        "`dd.load`": ["-c", "import diffdenoise as dd; dd.load('model')"],
        f"`denoise --model` of {_size(_DENOISED)}": ["-m", "diffdenoise", *denoise],
        f"`info` of {_size(_LOOKED_AT)}": ["-m", "diffdenoise", "info", "volume.nii"],
    }


def with_stored(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return rows with the stored figures of what wasn't run now."""
    stored = json.loads(CELL.read_text(encoding="utf-8"))["rows"] if CELL.is_file() else {}
    return {use: {**stored.get(use, {}), **row} for use, row in rows.items()}


def cpu_seconds(words: Sequence[str], source: Path, folder: Path) -> float:
    """Run Python in a folder; return user and system time in seconds."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, *words], env=environment, cwd=folder, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python {' '.join(words)}: failed")
    return used.ru_utime + used.ru_stime


def machine() -> dict[str, str]:
    """Return what the figures depend on: kind of processor and versions."""
    processor = platform.processor() or platform.machine()
    names = Path("/proc/cpuinfo")
    if names.is_file():
        lines = names.read_text(encoding="utf-8").splitlines()
        processor = next(
            (line.partition(":")[2].strip() for line in lines if "model name" in line), processor
        )
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def table(found: dict[str, Any]) -> str:
    """Return a row a use."""
    lines = ["| CPU seconds | before | now |", "|---|---|---|"]
    lines += [f"| {use} | {row.get('before', '')} | {row['now']} |" for use, row in found["rows"].items()]
    told = dict(found["machine"])
    what = f"{told.pop('processor')}, {told.pop('cores')} cores"
    versions = ", ".join(f"{name} {number}" for name, number in told.items())
    return "\n".join(
        [*lines, "", f"{what}; {versions}; medians of {found['runs']} runs, seed {found['seed']}."]
    )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


if __name__ == "__main__":
    main()

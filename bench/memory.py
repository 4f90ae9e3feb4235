"""Peak memory and CPU time of `diffdenoise info` and `denoise --model` on growing synthetic scans.

    python -m bench.memory [--source SRC] [--model DIR] [--commands info denoise] [--kinds nii dicom]
                           [--shapes 512x512x100 512x512x200] [--store]

Each command runs in a process of its own; what counts is the largest resident set that it, or a process that
it started, ever had, all libraries included. Without --model one is trained by a few steps. --store keeps the
figures in bench/cells/memory.json and writes the table of docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.scans import WRITERS

_ROOT = Path(__file__).parent.parent
CELL = _ROOT / "bench" / "cells" / "memory.json"
PAGE = _ROOT / "docs" / "performance.md"
START, END = "<!-- memory: made by bench.memory -->", "<!-- end of memory -->"
#: Few steps of a narrow student: what is measured is the scan's share of the memory, not the network's.
_STEPS = "{blind_spot: 2, diffusion: 2, distil: 2}"
#: A process is charged for what the one that started it holds: so a small one starts it.
_WATCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss * (1 if sys.platform == "darwin" else 1024), used.ru_utime + used.ru_stime)
sys.exit(code)
"""
_SHAPES = ("256x256x200", "512x512x100", "512x512x200", "512x512x400", "512x512x800")


def main() -> None:
    """Make scans, run, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--source", type=Path, default=_ROOT / "src", help="folder that holds the package")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--commands", nargs="+", default=["info", "denoise"], choices=["info", "denoise"])
    parser.add_argument("--kinds", nargs="+", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--shapes", nargs="+", default=list(_SHAPES))
    parser.add_argument("--label", default="now", help="column of the table, such as before")
    parser.add_argument("--store", action="store_true")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    for shape in (tuple(int(side) for side in text.split("x")) for text in given.shapes):
        for kind in given.kinds:
            if kind in ("dicom", "zarr") and len(shape) > 3:
                continue
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                suffix, write = WRITERS[kind]
                scan = folder / f"scan{suffix}"
                write(scan, shape)
                model = given.model
                if model is None and "denoise" in given.commands:
                    model = folder / "model"
                    train(model, given.source, folder)
                for command in given.commands:
                    words = {
                        "info": ["info", str(scan)],
                        "denoise": [
                            *("denoise", str(scan), "-o", str(folder / f"result{suffix}")),
                            *("--model", str(model), "--force", "--threads", "1", "--quiet"),
                        ],
                    }[command]
                    peak, seconds = measure(words, given.source)
                    found.append(
                        {
                            "label": given.label,
                            "command": command,
                            "kind": kind,
                            "shape": list(shape),
                            "peak_bytes": peak,
                            "cpu_s": round(seconds, 1),
                        }
                    )
                    print(_line(found[-1]), flush=True)
    for line in slopes(found):
        print(line)
    if given.store:
        store(found)


def train(folder: Path, source: Path, work: Path) -> None:
    """Train a small model by a few steps."""
    small = work / "small.nii"
    WRITERS["nii"][1](small, (64, 64, 6))
    words = ["train", str(small), "-o", str(folder), "--minutes", "0.02", "--threads", "1", "--quiet"]
    measure([*words, "--set", "stage3.width=8", "--set", "stage2.width=8", "--set", "stage1.width=8"], source)


def measure(words: Sequence[str], source: Path) -> tuple[int, float]:
    """Run a `diffdenoise` command; return what `measure_python` does."""
    return measure_python(["-m", "diffdenoise", *words], source)


def measure_python(words: Sequence[str], source: Path) -> tuple[int, float]:
    """Run Python; return its peak resident set in bytes, and its CPU time in seconds."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-S", "-c", _WATCH, sys.executable, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:200]} failed: {done.stderr[-2000:]}")
    peak, seconds = done.stdout.split()
    return int(peak), float(seconds)


def slopes(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each command and kind: bytes a voxel by least squares, and of none."""
    lines = []
    for label, command, kind in sorted({(one["label"], one["command"], one["kind"]) for one in found}):
        points = [
            (math.prod(one["shape"]), one["peak_bytes"])
            for one in found
            # Large results of series wait in a file: they lie on no line with volumes.
            if (one["label"], one["command"], one["kind"]) == (label, command, kind)
            and len(one["shape"]) == 3
        ]
        if len({voxels for voxels, _ in points}) < 2:
            continue
        slope, start = _line_through(points)
        lines.append(
            f"{label} {command} {kind}: {start / 2**20:.0f} MiB + {slope:.1f} bytes a voxel".replace(
                "-0.0", "0.0"
            )
        )
    return lines


def _line_through(points: Sequence[tuple[int, int]]) -> tuple[float, float]:
    mean_x, mean_y = (sum(each) / len(points) for each in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return slope, mean_y - slope * mean_x


def _line(one: dict[str, Any]) -> str:
    shape = "x".join(map(str, one["shape"]))
    peak = one["peak_bytes"] / 2**20
    return f"{one['label']} {one['command']} {one['kind']} {shape}: {peak:.0f} MiB, {one['cpu_s']} CPU s"


def store(found: Sequence[dict[str, Any]]) -> None:
    """Keep figures, those of the same runs replaced, and write the page's table."""

    def key(one: dict[str, Any]) -> tuple[Any, ...]:
        return one["label"], one["command"], one["kind"], tuple(one["shape"])

    kept = {key(one): one for one in (json.loads(CELL.read_text()) if CELL.is_file() else [])}
    kept.update({key(one): one for one in found})
    CELL.write_text(json.dumps(list(kept.values()), indent=1), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    PAGE.write_text(
        f"{before}{START}\n\n{table(list(kept.values()))}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return a row a command, format and size; before and now side by side, then the slopes."""
    rows: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for one in found:
        rows.setdefault((one["command"], one["kind"], tuple(one["shape"])), {})[one["label"]] = one
    lines = [
        "| command | format | size | before | now | CPU s before | now |",
        "|---|---|---|---|---|---|---|",
    ]
    for (command, kind, shape), labels in sorted(rows.items()):
        peaks, times = (
            [_cell(labels, label, what) for label in ("before", "now")] for what in ("peak", "cpu")
        )
        lines.append(f"| {command} | {kind} | {'x'.join(map(str, shape))} | {' | '.join([*peaks, *times])} |")
    return "\n".join([*lines, "", *(f"- {line}" for line in slopes(found))])


def _cell(labels: dict[str, dict[str, Any]], label: str, what: str) -> str:
    if label not in labels:
        return ""
    one = labels[label]
    return f"{one['peak_bytes'] / 2**30:.2f} GiB" if what == "peak" else f"{one['cpu_s']}"


if __name__ == "__main__":
    main()

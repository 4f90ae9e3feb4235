"""How well the noise diagnosis reads noise of known kind, level and correlation.

    python -m bench.noise_estimates --data DIR

Adds noise (seed 0) to clean references, compares what `diffdenoise info` reads before any training, and
stores that below bench/cells; `python -m bench.tables` makes the table of docs/benchmarks.md from it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases import REFERENCES
from bench.data import MissingDataError
from bench.noise import Colour, Noise
from diffdenoise.config import Settings
from diffdenoise.noise.diagnosis import Diagnosis, diagnose_stacks
from diffdenoise.noise.shape import in_words
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from diffdenoise.types import Stack

CELL = Path(__file__).parent / "cells" / "noise-estimates.json"
NOISES = {
    "none": None,
    **{f"white {std:.0%}": Noise("gaussian", std) for std in (0.03, 0.05, 0.10, 0.20)},
    **{f"{width:g} px, 10%": Noise("gaussian", 0.10, Colour(width)) for width in (0.5, 0.8, 1.2, 1.6)},
    **{f"band-pass {std:.0%}": Noise("gaussian", std, Colour(ramp=True)) for std in (0.03, 0.10)},
    **{f"zero-filled {n:g} times, 10%": Noise("gaussian", 0.10, Colour(cut=0.5 / n)) for n in (1.5, 2.0)},
    **{f"Rician {std:.0%}": Noise("rician", std) for std in (0.05, 0.10)},
}


def main() -> None:
    """Measure all references that are there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cell", type=Path, default=CELL)
    given = parser.parse_args()
    found = {}
    for name, read in REFERENCES.items():
        try:
            found[name] = measure(read, given.data)
        except MissingDataError as missing:
            print(f"skipped {name}: {missing}")
    given.cell.parent.mkdir(parents=True, exist_ok=True)
    given.cell.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(json.dumps(found, indent=1))


def measure(read: Callable[[Path], list[Stack]], folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is read of one reference under each noise."""
    clean = read(folder)
    rows = {}
    for label, noise in NOISES.items():
        rng = np.random.default_rng(0)
        noisy = clean if noise is None else [noise.add(stack, rng) for stack in clean]
        diagnosis, span = diagnosis_of(noisy)
        rows[label] = {
            "std_percent": round(100 * diagnosis.std * span, 3),
            "constant": diagnosis.noise.is_constant,
            "width_px": list(diagnosis.correlation.width_px),
            "shape": in_words(diagnosis.correlation),
            "interpolation": list(diagnosis.interpolation),
            "rician_percent": None
            if diagnosis.rician_std is None
            else round(100 * diagnosis.rician_std * span, 3),
            "clean": diagnosis.is_clean(Settings().clean_below_contrast),
        }
    return rows


def diagnosis_of(stacks: list[Stack]) -> tuple[Diagnosis, float]:
    """Diagnosis as `diffdenoise info` makes it, and the noisy range that its shares refer to."""
    prepared = [prepare(from_array(stack), 0) for stack in stacks]
    measurable = [stack for ready in prepared for stack in ready.measurable()]
    found = diagnose_stacks(measurable, [ready.intensities.zero for ready in prepared])
    return found, float(np.median([ready.intensities.range for ready in prepared]))


def table(found: dict[str, dict[str, Any]]) -> str:
    """What the diagnosis reads of known noise, a reference a column."""
    lines = [f"| noise added | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    for label in NOISES:
        readings = (_reading(rows[label]) if label in rows else "" for rows in found.values())
        lines.append(f"| {label} | {' | '.join(readings)} |")
    return "\n".join(lines)


def _reading(row: dict[str, Any]) -> str:
    if row["clean"]:
        return "clean"
    if row["rician_percent"] is not None:
        return f"Rician {row['rician_percent']:.1f}%"
    width = max(row["width_px"])
    varies = "" if row["constant"] else ", varies"
    return f"{row['std_percent']:.1f}%{f', {width:.2g} px' if width else ''}{varies}"


if __name__ == "__main__":
    main()

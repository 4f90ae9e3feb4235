"""`diffdenoise denoise scan --minutes 10` before and after: an earlier revision beside this one.

    python -m bench.end_to_end --data DIR --before REVISION [--minutes 10] [--cases t1w-white m4raw-real]

Both run at the same time with one thread each, through the command line as a user would, so that what else
the machine does costs both the same. Stores the scores below bench/cells.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases import CASES
from bench.data import Data
from bench.quality import scores
from bench.version import commit
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan

_ROOT = Path(__file__).parent.parent
CELL = _ROOT / "bench" / "cells" / "end-to-end.json"
_CASES = ("t1w-white", "flair-wide", "m4raw-real")


def main() -> None:
    """Run both, score, store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", required=True, help="a revision of this repository")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cases", nargs="+", default=list(_CASES), choices=list(CASES))
    parser.add_argument("--cell", type=Path, default=CELL)
    given = parser.parse_args()
    record: dict[str, Any] = json.loads(given.cell.read_text()) if given.cell.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = {"before": extract(given.before, folder / "before"), "after": _ROOT / "src"}
        for name in given.cases:
            data = CASES[name].load(given.data, 0)
            record[name] = {
                "minutes": given.minutes,
                "revision": given.before,
                "commit": commit(),
                "noisy": scores(data, np.stack([data.noisy[s][k] for s, k in data.scored])),
                **compare(data, sources, given.minutes, folder),
            }
            given.cell.write_text(json.dumps(record, indent=1), encoding="utf-8")
            print(name, {side: record[name][side] for side in ("noisy", *sources)}, flush=True)


def extract(revision: str, folder: Path) -> Path:
    """Put the package of a revision below a folder; return where its source is."""
    command = ["git", "archive", revision, "src"]
    archive = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True).stdout  # noqa: S603
    with tarfile.open(fileobj=BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    return folder / "src"


def compare(
    data: Data, sources: dict[str, Path], minutes: float, folder: Path
) -> dict[str, dict[str, float | None]]:
    """Denoise a case's scan with each package at the same time; return the scores."""
    noisy = folder / "noisy.nii.gz"
    # Slices last, as scanners store them.
    volume = from_array(np.moveaxis(data.noisy[0], 0, 2))
    write_scan(replace(volume, spacing_mm=(1.0, 1.0, 3.0)), noisy, overwrite=True)
    running = {
        side: subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "diffdenoise", "denoise", str(noisy)),
                *("-o", str(folder / f"{side}.nii.gz"), "--minutes", f"{minutes:g}"),
                *("--threads", "1", "--quiet", "--overwrite"),
            ],
            env={**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        )
        for side, source in sources.items()
    }
    found = {}
    for side, process in running.items():
        if process.wait() != 0:
            raise RuntimeError(f"diffdenoise denoise failed ({side})")
        result = np.moveaxis(read_scan(folder / f"{side}.nii.gz").data.astype(np.float32), 2, 0)
        found[side] = scores(data, np.stack([result[k] for _, k in data.scored]))
    return found


if __name__ == "__main__":
    main()

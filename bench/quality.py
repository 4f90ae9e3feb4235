"""Ours and the peers side by side: same data, same network size, same training time, same scores.

    python -m bench.quality --data DIR [--cases t1w-white ...] [--methods ours r2r ...] [--minutes 4]

DIR is laid out as docs/benchmarks.md says. Every cell (case, method, seed) is stored as JSON, with a
picture of a crop, when it is done, and is not run again: a run can be stopped, and extended in
pieces. `python -m bench.tables` makes docs/benchmarks.md from the cells.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.cases import CASES, MAIN, Data, MissingDataError
from bench.ours import VARIANTS, ours, plan_of
from bench.peers.classical import FILTERS
from bench.peers.trained import TRAINED, Job
from bench.sharpness import gradient_correlation
from diffdenoise.config import Settings
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.trust.metrics import evaluate
from diffdenoise.types import Stack

METHODS = ("noisy", *FILTERS, *TRAINED, *VARIANTS)
#: Cases of the ablations.
ABLATED = ("t1w-white", "flair-wide", "m4raw-real")
#: Where every kind of sample of stage 2 is scored, which takes as long as the training: where stages 1 and
#: 2 have most of the time.
_EVERY_ROW = "ours-distilled"
#: Methods that every case of the main table gets.
DEFAULT_METHODS = ("noisy", "bm3d", "bm4d", "nlm", "r2r", "ceiling", "ours")
CELLS = Path(__file__).parent / "cells" / "quality"
#: Seconds of training in `--quick`, which tells only whether everything runs.
_QUICK_S = 6.0
_CROP = 128
_ROOT = Path(__file__).parent.parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", default=list(MAIN), choices=list(CASES))
    parser.add_argument("--methods", nargs="+", default=list(DEFAULT_METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--quick", action="store_true", help="a few seconds of training a cell")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--stale", action="store_true", help="run cells of another version of the code again")
    parser.add_argument("--set", nargs="*", default=[], dest="assignments", help="settings of our networks")
    parser.add_argument("--cells", type=Path, default=CELLS)
    given = parser.parse_args(arguments)
    hardware = choose_hardware(given.device, given.threads)
    seconds = _QUICK_S if given.quick else 60 * given.minutes
    now = clock_of(hardware)
    code = fingerprint()
    for name in given.cases:
        for seed in given.seeds:
            try:
                data = CASES[name].load(given.data, seed)
            except MissingDataError as missing:
                print(f"skipped {name}, seed {seed}: {missing}")
                continue
            for method in given.methods:
                cell = given.cells / f"{name}-{method}-seed{seed}.json"
                if cell.is_file() and not (given.stale and _code_of(cell) != code):
                    print(f"{cell.name}: is there already")
                    continue
                if method == "ceiling" and data.train_clean is None:
                    continue
                if method.endswith("-spectrum") and not data.noise.kernel_px:
                    continue
                settings = Settings.build(None, given.assignments, minutes=seconds / 60, seed=seed)
                began = time.monotonic()
                results, details = run(method, data, settings, seconds, hardware, now)
                record = {
                    "case": name,
                    "method": method,
                    "seed": seed,
                    "minutes": round(seconds / 60, 2),
                    "rows": {row: scores(data, image) for row, image in results.items()},
                    "details": details,
                    "seconds": round(time.monotonic() - began, 1),
                    "settings": given.assignments,
                    "code": code,
                    "device": hardware.describe(),
                    "processor": platform.machine(),
                    "torch": torch.__version__,
                }
                store(cell, record, data, results)
                print(f"{cell.name}: {json.dumps(record['rows'])}", flush=True)


def run(
    method: str,
    data: Data,
    settings: Settings,
    seconds: float,
    hardware: Hardware,
    now: Callable[[], float],
) -> tuple[dict[str, Stack], dict[str, Any]]:
    """Run one method: its results by row (scored slices), and what it says of its run."""
    if method == "noisy":
        rows = {"result": np.stack([data.noisy[s][k] for s, k in data.scored])}
        return {**rows, "reference": data.reference()}, {}
    if method in FILTERS:
        return {"result": FILTERS[method](data)}, {"told_std": round(data.told_std, 5)}
    plan = plan_of(data.train, settings)
    if method in TRAINED:
        return TRAINED[method](Job(data, plan, settings, seconds, hardware, now))
    return ours(data, VARIANTS[method](settings), hardware, now, every_row=method == _EVERY_ROW)


def scores(data: Data, image: Stack) -> dict[str, float | None]:
    """PSNR in dB, SSIM, sharpness, and the mean error (bias) in tissue, of the scored slices.

    `psnr_corrected` takes the variance of the reference's own noise off the mean squared error.
    """
    reference = data.reference()
    result = evaluate(image, reference, axis=0, data_range=data.data_range)
    found = result.denoised
    left = found.rmse**2 - data.reference_std**2
    tissue = reference > 0.1 * reference.max()
    return {
        "psnr": _rounded(found.psnr_db, 3),
        "psnr_corrected": _rounded(10 * math.log10(result.data_range**2 / left), 3) if left > 0 else None,
        "ssim": _rounded(found.ssim, 4),
        "sharpness": _rounded(gradient_correlation(image, reference), 4),
        "bias_percent": _rounded(100 * float((image - reference)[tissue].mean()) / result.data_range, 3),
    }


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def store(cell: Path, record: dict[str, Any], data: Data, results: dict[str, Stack]) -> None:
    """Write a cell, and a crop of each row's middle slice as an 8-bit picture, 0 to 1 in 256 greys."""
    cell.parent.mkdir(parents=True, exist_ok=True)
    for row, image in results.items():
        middle = image[len(image) // 2]
        top, left = (max(0, (size - _CROP) // 2) for size in middle.shape)
        crop = middle[top : top + _CROP, left : left + _CROP]
        grey = np.round(255 * np.clip(crop, 0, 1)).astype(np.uint8)
        ending = "" if row == "result" else f"-{row}"
        Image.fromarray(grey).save(cell.with_name(f"{cell.stem}{ending}.png"), optimize=True)
    cell.write_text(json.dumps(record, indent=1), encoding="utf-8")


def clock_of(hardware: Hardware) -> Callable[[], float]:
    """Seconds that training may take: on a CPU the processor's, so that a busy machine costs nobody steps."""
    if hardware.device.type == "cuda":
        return time.monotonic
    threads = torch.get_num_threads()
    return lambda: time.process_time() / threads


def fingerprint() -> str:
    """SHA-256, shortened, over the source of the package and of the benchmark."""
    digest = hashlib.sha256()
    for folder in ("src/diffdenoise", "bench"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _code_of(cell: Path) -> str:
    return str(json.loads(cell.read_text(encoding="utf-8")).get("code"))


if __name__ == "__main__":
    main()

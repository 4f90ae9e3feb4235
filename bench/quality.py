"""Ours and the peers side by side: same data, same network size, same training time, same scores.

    python -m bench.quality --data DIR [--cases t1w-white ...] [--methods ours r2r ...] [--minutes 4]
    nice python -m bench.quality --data DIR --missing --threads 1     # all that the tables lack, in order

DIR is laid out as docs/benchmarks.md says. Every cell (case, method, seed) is stored as JSON, with a
picture of a crop, when it is done, and is not run again: a run can be stopped at any time, and extended in
pieces. `python -m bench.tables` makes docs/benchmarks.md from the cells.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.cases import CASES, MAIN, REAL
from bench.data import Data, MissingDataError
from bench.observer import observe
from bench.ours import VARIANTS, instant, ours, plan_of
from bench.peers.ceiling import ceiling, ceiling_others
from bench.peers.classical import FILTERS
from bench.peers.trained import TRAINED, Job, Result
from bench.sharpness import gradient_correlation
from bench.version import commit, fingerprint
from diffdenoise.config import Settings
from diffdenoise.noise.rician import signal_of_denoised
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.trust.metrics import evaluate
from diffdenoise.types import Stack

CEILINGS: dict[str, Callable[[Job], Result]] = {"ceiling": ceiling, "ceiling-others": ceiling_others}
METHODS = ("noisy", "instant", *FILTERS, *TRAINED, *CEILINGS, *VARIANTS)
#: Cases of the ablations.
ABLATED = ("t1w-white", "flair-wide", "m4raw-real")
#: Where every kind of sample of stage 2 is scored, which takes as long as the training: where stages 1 and
#: 2 have most of the time.
_EVERY_ROW = "ours-distilled"
#: Methods that every case of the main table gets, where they apply: the quick ones, then ours, then the slow.
QUICK = (
    "noisy",
    "nlm",
    *(name for name in FILTERS if name.startswith("bm3d") and not name.endswith("-estimated")),
)
SLOW = tuple(name for name in FILTERS if name.startswith("bm4d") and not name.endswith("-estimated"))
DEFAULT_METHODS = (*QUICK, "instant", "ours", *SLOW, "r2r", "ceiling", "ceiling-others")
#: Cases in the order of their weight.
_FIRST = ("ct-poisson", "colin-rician", "flair-wide", "ct-ramp", "m4raw-real", "phantom-100", "t1w-white")
CELLS = Path(__file__).parent / "cells" / "quality"
#: Seconds of training in `--quick`, which tells only whether everything runs.
_QUICK_S = 6.0
_CROP = 128


@dataclass(frozen=True)
class Wanted:
    """One cell."""

    case: str
    method: str
    seed: int


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
    parser.add_argument("--missing", action="store_true", help="all cells that the tables have room for")
    given = parser.parse_args(arguments)
    hardware = choose_hardware(given.device, given.threads)
    seconds = _QUICK_S if given.quick else 60 * given.minutes
    now = clock_of(hardware)
    loaded: dict[tuple[str, int], Data | None] = {}
    for one in wanted() if given.missing else _asked_for(given):
        cell = given.cells / f"{one.case}-{one.method}-seed{one.seed}.json"
        if cell.is_file() and not (given.stale and _code_of(cell) != fingerprint(one.method)):
            if not given.missing:
                print(f"{cell.name}: is there already")
            continue
        place = (one.case, one.seed)
        if place not in loaded:
            # One case at a time: a volume's worth of memory is enough.
            loaded = {place: _load(given.data, one)}
        data = loaded[place]
        if data is None or not applies(one.method, data):
            continue
        settings = Settings.build(None, given.assignments, minutes=seconds / 60, seed=one.seed)
        began = time.monotonic()
        samples = "all" if one.method == _EVERY_ROW else "few" if one.case in ABLATED else "none"
        try:
            results, details = run(one.method, data, settings, seconds, hardware, now, samples)
        except ModuleNotFoundError as missing:
            print(f"skipped {one.case}, {one.method}: {missing.name} is not installed")
            continue
        record = {
            "case": one.case,
            "method": one.method,
            "seed": one.seed,
            "minutes": round(seconds / 60, 2),
            "told": told(one.method, one.case),
            "rows": {row: scores(data, image) for row, image in results.items()},
            "details": details,
            "seconds": round(time.monotonic() - began, 1),
            "settings": given.assignments,
            "commit": commit(),
            "code": fingerprint(one.method),
            "device": hardware.describe(),
            "processor": platform.machine(),
            "torch": torch.__version__,
        }
        store(cell, record, data, results)
        print(f"{cell.name}: {json.dumps(record['rows'])}", flush=True)


def wanted() -> list[Wanted]:
    """All cells of the tables, seed 0, the most telling first: quick peers, ours, slow peers, ceilings."""
    cases = [*_FIRST, *(name for name in CASES if name not in _FIRST)]
    found = []
    for methods in (QUICK, ("instant",), ("ours",), SLOW, ("r2r", "ceiling", "ceiling-others")):
        found += [Wanted(case, method, 0) for case in cases for method in methods]
    variants = [name for name in VARIANTS if name != "ours"]
    others = [name for name in (*FILTERS, *TRAINED) if name not in DEFAULT_METHODS]
    return found + [Wanted(case, method, 0) for case in ABLATED for method in (*variants, *others)]


def _asked_for(given: argparse.Namespace) -> Iterator[Wanted]:
    for case in given.cases:
        for seed in given.seeds:
            for method in given.methods:
                yield Wanted(case, method, seed)


def _load(folder: Path, one: Wanted) -> Data | None:
    try:
        return CASES[one.case].load(folder, one.seed)
    except MissingDataError as missing:
        print(f"skipped {one.case}, seed {one.seed}: {missing}")
        return None


def applies(method: str, data: Data) -> bool:
    """Whether a method makes sense for a case's data, and can be run on them."""
    if method in FILTERS:
        return FILTERS[method].applies(data)
    if method == "ceiling":
        return data.train_clean is not None
    if method == "ceiling-others":
        return data.train_clean is not None and bool(data.others)
    if method == "r2r-spectrum":
        return not data.noise.colour.is_white
    return True


def told(method: str, case: str) -> str:
    """What of the noise a method is told, in words."""
    words = {
        "r2r-spectrum": "true level and spectrum",
        **dict.fromkeys(("r2r", "r2r-start", "sure"), "true level"),
        **dict.fromkeys(CEILINGS, "clean images and the law of the noise"),
    }
    found = FILTERS[method].told if method in FILTERS else words.get(method, "nothing")
    return found.replace("true level", "wavelet level") if case in REAL else found


def run(
    method: str,
    data: Data,
    settings: Settings,
    seconds: float,
    hardware: Hardware,
    now: Callable[[], float],
    samples: str = "none",
) -> tuple[dict[str, Stack], dict[str, Any]]:
    """One method's results by row (scored slices), and what it says of its run; `samples`: see `ours`."""
    if method == "noisy":
        rows = {"result": np.stack([data.noisy[s][k] for s, k in data.scored])}
        return {**rows, "reference": data.reference()}, {}
    if method == "instant":
        return instant(data, settings, hardware)
    if method in VARIANTS:
        return ours(data, VARIANTS[method](settings), hardware, now, samples=samples)
    if method in FILTERS:
        one = FILTERS[method]
        rows, details = {"result": one.run(data)}, {"told_std": round(data.told_std, 5)}
        return (rows if one.inverts else _with_inverted(rows, data)), details
    job = Job(data, plan_of(data.train, settings, data.spacing_mm), settings, seconds, hardware, now)
    if method in CEILINGS:
        return CEILINGS[method](job)
    rows, details = TRAINED[method](job)
    return _with_inverted(rows, data), details


def _with_inverted(rows: dict[str, Stack], data: Data) -> dict[str, Stack]:
    """Add each row with the bias of magnitudes undone by our own inversion, told the true level."""
    noise = data.noise
    if not noise.is_magnitude:
        return rows
    undone = {
        ("inverted" if row == "result" else f"{row}-inverted"): signal_of_denoised(
            [image], noise.std, noise.coils
        )[0]
        for row, image in rows.items()
    }
    return {**rows, **undone}


def scores(data: Data, image: Stack) -> dict[str, Any]:
    """PSNR in dB, SSIM, sharpness, and the mean error (bias) in tissue, of the scored slices.

    `psnr_corrected` takes the variance of the reference's own noise off the mean squared error. Of a phantom,
    `inserts` holds contrast, as a share of the true one, and d' of each insert, with standard errors.
    """
    reference = data.reference()
    result = evaluate(image, reference, axis=0, data_range=data.data_range)
    found = result.denoised
    left = found.rmse**2 - data.reference_std**2
    tissue = reference > 0.1 * reference.max()
    observed: dict[str, Any] = {}
    if data.phantom is not None:
        truth = {insert.name: insert.contrast for insert in data.phantom.inserts}
        observed["present"] = data.phantom.present
        observed["inserts"] = {
            name: {
                key: np.round(
                    np.asarray(value) / (truth[name] if key.startswith("contrast") else 1), 4
                ).tolist()
                for key, value in one.items()
            }
            for name, one in observe(image.astype(np.float64), data.phantom).items()
        }
    return {
        **observed,
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


def _code_of(cell: Path) -> str:
    return str(json.loads(cell.read_text(encoding="utf-8")).get("code"))


if __name__ == "__main__":
    main()

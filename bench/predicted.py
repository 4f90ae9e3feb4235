"""Whether the report's insertion test foretells what becomes of real lesions: FDA's low-contrast phantom.

    python -m bench.predicted --data DIR

Ten repeats with four inserts and ten without, at a tenth of the dose and in full. Each image is denoised at
once by itself. Measured: contrast of the inserts' means with and without them, after over before, and d' of
an observer who knows their shape. Foretold: the insertion test's, with discs of those sizes and contrasts
planted in the images without inserts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.observer import Insert
from bench.repeats import load_phantom
from diffdenoise.config import Settings
from diffdenoise.model.again import Again
from diffdenoise.model.instant import instant_model
from diffdenoise.noise.statement import diagnose
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.trust.insertion import Lesion, Row, insertion_test
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.places import disc
from diffdenoise.trust.slab import cut_slab
from diffdenoise.trust.spread import Spread

_DOSES = (10, 100)
_Image = NDArray[np.float64]
#: Half the side of the square about an insert.
_HALF = 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    print("| dose | insert | contrast kept: measured | foretold | d' after / before: measured | foretold |")
    print("|---|---|---|---|---|---|")
    for dose in _DOSES:
        data = load_phantom(given.data, 0, dose)
        if data.phantom is None:
            raise SystemExit("no phantom")
        inserts, present = data.phantom.inserts, np.array(data.phantom.present)
        level = float(np.std(np.concatenate([one.ravel() for one in data.differences])))
        wanted: list[Lesion] = [("disc", round(one.diameter_px), one.contrast / level) for one in inserts]
        noisy, denoised, rows = [], [], []
        for number, stack in enumerate(data.noisy):
            image, found = _one(np.asarray(stack[0]), wanted if not present[number] else [])
            noisy.append(np.asarray(stack[0], np.float64))
            denoised.append(image)
            rows += found
        for insert, lesion in zip(inserts, wanted, strict=True):
            kept, gain = _measured(np.stack(noisy), np.stack(denoised), present, insert)
            told = [row for row in rows if row.size == lesion[1]]
            foretold = [_mean(told, which) for which in ("kept", "gain")]
            print(f"| {dose} % | {insert.name} | {kept} | {foretold[0]} | {gain} | {foretold[1]} |")


def _one(image: NDArray[np.float32], wanted: list[Lesion]) -> tuple[_Image, list[Row]]:
    """An image denoised at once, and what became of lesions that were planted in it."""
    scan = from_array(image)
    noise = diagnose(scan, None)
    model = instant_model(make_plan([scan], Settings(), [noise]))
    denoised = model.denoise_scan(scan, noise, own=True).scan
    if not wanted:
        return np.asarray(denoised.data, np.float64), []
    again = Again(model, noise, own=True)
    slab = cut_slab(Paired(noise, denoised.voxels), again)
    if slab is None:
        raise SystemExit("the noise of an image isn't known")
    spread = Spread(slab, again)
    rows = [row for seed in range(4) for row in insertion_test(slab, again, spread, seed, wanted)]
    return np.asarray(denoised.data, np.float64), rows


def _measured(noisy: _Image, denoised: _Image, present: NDArray[np.bool_], insert: Insert) -> tuple[str, str]:
    """Contrast kept, and gain in d', each with its standard error over repeats (jack-knife)."""
    answers = [np.array([_answer(image, insert) for image in images]) for images in (noisy, denoised)]
    with_it, without = (np.flatnonzero(where) for where in (present, ~present))

    def figures(kept_with: NDArray[np.intp], kept_without: NDArray[np.intp]) -> NDArray[np.float64]:
        means = [one[kept_with].mean() - one[kept_without].mean() for one in answers]
        spread = [
            np.sqrt((one[kept_with].var(ddof=1) + one[kept_without].var(ddof=1)) / 2) for one in answers
        ]
        kept = means[1] / means[0]
        return np.array([kept, kept * spread[0] / spread[1]])

    whole = figures(with_it, without)
    left_out = np.array(
        [
            figures(np.delete(with_it, k), np.delete(without, k))
            for k in range(min(with_it.size, without.size))
        ]
    )
    errors = np.sqrt((len(left_out) - 1) * left_out.var(axis=0))
    return f"{whole[0]:.2f} ± {errors[0]:.2f}", f"{whole[1]:.2f} ± {errors[1]:.2f}"


def _answer(image: _Image, insert: Insert) -> float:
    """What an observer who knows the insert's shape sees at its place."""
    row, column = round(insert.row), round(insert.column)
    rows, columns = np.meshgrid(
        np.arange(-_HALF, _HALF + 1) + row - insert.row,
        np.arange(-_HALF, _HALF + 1) + column - insert.column,
        indexing="ij",
    )
    part = image[row - _HALF : row + _HALF + 1, column - _HALF : column + _HALF + 1]
    return float((part * disc(rows, columns, insert.diameter_px)).sum())


def _mean(rows: list[Row], which: str) -> str:
    values = np.array([getattr(row, which) for row in rows])
    return f"{values.mean():.2f} ± {values.std() / np.sqrt(len(values)):.2f}" if values.size else "-"


if __name__ == "__main__":
    main()

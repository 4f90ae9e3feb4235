"""How often the errors of regions' means are within what the report says of them.

    python -m bench.coverage --scans FOLDER      # prints a table, also into docs/trust.md

Squares of 4, 8 and 12 pixels in tissue; the true error is that against the clean image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from diffdenoise.config import Settings
from diffdenoise.model.again import Again
from diffdenoise.model.instant import instant_model
from diffdenoise.noise.statement import diagnose
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.scan.voxels import as_voxels
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.slab import cut_slab
from diffdenoise.trust.spread import Spread, square_means
from diffdenoise.types import Stack

_DOCS = Path(__file__).parents[1] / "docs" / "trust.md"
_SIDES = (4, 8, 12)
#: Stds of the normal distribution's middle 68 and 95 %.
_ONE, _TWO = 1.0, 1.96
_BEGIN, _END = "<!-- coverage: made by bench.coverage -->", "<!-- end of coverage -->"


def main() -> None:
    """Measure, print, and put the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scans", type=Path, required=True)
    given = parser.parse_args()
    found: dict[str, list[tuple[int, float, float, int]]] = {}
    for path in sorted(given.scans.glob("*.npz")):
        with np.load(path) as arrays:
            rows = _covered(arrays["clean"], arrays["noisy"], arrays["ours"])
        print(path.stem, rows, flush=True)
        found.setdefault(path.stem.rpartition(" ")[2], []).extend(rows)
    table = _table(found)
    print(table)
    before, rest = _DOCS.read_text(encoding="utf-8").split(_BEGIN)
    _DOCS.write_text(f"{before}{_BEGIN}\n\n{table}\n\n{_END}{rest.split(_END)[1]}", encoding="utf-8")


def _covered(clean: Stack, noisy: Stack, denoised: Stack) -> list[tuple[int, float, float, int]]:
    """Side, shares within one and two standard errors, and number of regions."""
    scan = from_array(noisy)
    noise = diagnose(scan, 0)
    model = instant_model(make_plan([scan], Settings(), [noise]))
    again = Again(model, noise, own=True)
    slab = cut_slab(Paired(noise, as_voxels(denoised)), again)
    if slab is None:
        return []
    spread = Spread(slab, again)
    truth = clean[slab.first : slab.first + len(slab.noisy)]
    error = slab.denoised - (truth - noise.ready.intensities.low) / noise.range
    found = []
    for side in _SIDES:
        regions = spread.regions(side)
        inside = square_means(slab.tissue.astype(np.float32), side) > 0.999
        if regions is None:
            continue
        own = np.abs(square_means(error.astype(np.float32), side)[inside])
        found.append(
            (
                side,
                float((own < _ONE * regions.after).mean()),
                float((own < _TWO * regions.after).mean()),
                own.size,
            )
        )
    return found


def _table(found: dict[str, list[tuple[int, float, float, int]]]) -> str:
    rows = [
        "| noise | side, px | scans | regions | within 1 standard error | within 1.96 |",
        "|---|---|---|---|---|---|",
    ]
    for noise, cells in found.items():
        for side in _SIDES:
            own = [cell for cell in cells if cell[0] == side]
            if own:
                one, two = (np.array([cell[place] for cell in own]) for place in (1, 2))
                spans = (f"{np.mean(each):.0%} ({each.min():.0%} to {each.max():.0%})" for each in (one, two))
                regions = sum(cell[3] for cell in own)
                rows.append(f"| {noise} | {side} | {len(own)} | {regions} | {' | '.join(spans)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()

"""Calibrate the trust report on known answers: planted faults against honest results.

    python -m bench.honest --data DIR --out FOLDER     # scans and results, once
    python -m bench.trust --scans FOLDER               # examine them all; what is there is not done again
    python -m bench.trust --scans FOLDER --tables      # docs/trust-tables.md from the cells

Each scan and result is a cell in bench/cells/trust, JSON. The report's limits were chosen in view of most
references ("seen"), and then held against others that had been kept back (see `bench.honest.KINDS`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.faults import FAULTS, Lesion, Scan, lesions
from bench.honest import KINDS, METHODS, level_of
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from diffdenoise.scan.voxels import as_voxels
from diffdenoise.trust.evidence import Evidence
from diffdenoise.trust.examine import examine
from diffdenoise.trust.paired import Paired
from diffdenoise.types import Stack

CELLS = Path(__file__).parent / "cells" / "trust"
_TABLES = Path(__file__).parents[1] / "docs" / "trust-tables.md"
_DOCS = Path(__file__).parents[1] / "docs" / "trust.md"
_BEGIN, _END = "<!-- found: made by bench.trust -->", "<!-- end of found -->"
#: References that limits were chosen in view of, and others.
HALVES = ("seen", "kept back")
#: Pixels that a place may be off.
_NEAR = 5
#: Clear lesions have this contrast, faint ones less; the limits of the targets.
_CLEAR = 2.0


def main() -> None:
    """Examine what is missing, or make the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_args()
    if given.tables:
        cells = _cells()
        _TABLES.write_text(tables(cells), encoding="utf-8")
        before, rest = _DOCS.read_text(encoding="utf-8").split(_BEGIN)
        found = f"{_BEGIN}\n\n{summary(cells)}\n\n{_END}"
        _DOCS.write_text(f"{before}{found}{rest.split(_END)[1]}", encoding="utf-8")
        return
    CELLS.mkdir(parents=True, exist_ok=True)
    for path in sorted(given.scans.glob("*.npz")):
        with np.load(path) as arrays:
            for method in (name for name in METHODS if name in arrays):
                target = CELLS / f"{path.stem} {method}.json".replace(" ", "-")
                if target.exists():
                    continue
                scan = Scan(arrays["clean"], arrays["noisy"], arrays[method], level_of(path.stem))
                cell = _cell(scan, path.stem, method)
                target.write_text(json.dumps(cell, indent=1), encoding="utf-8")
                print(target.name, flush=True)


def _cell(scan: Scan, name: str, method: str) -> dict[str, Any]:
    """What the report says of a result, of it with faults, and of lesions."""
    rng = np.random.default_rng(0)
    reference, _, noise = name.rpartition(" ")
    found = {"honest": _summary(_examined(scan.noisy, scan.denoised))}
    if method == "ours":
        found |= {fault: _summary(_examined(*plant(scan, rng))) for fault, plant in FAULTS.items()}
    missed = []
    for erased in (True, False):
        noisy, denoised, there = lesions(scan, rng, erased)
        evidence = _examined(noisy, denoised)
        missed += [
            {**lesion.__dict__, "erased": erased, "found": _is_found(lesion, evidence)} for lesion in there
        ]
    half = next(
        number
        for halves in KINDS.values()
        for number, references in enumerate(halves)
        if reference in references
    )
    return {
        "reference": reference,
        "noise": noise,
        "method": method,
        "half": HALVES[half],
        "results": found,
        "lesions": missed,
    }


def _examined(noisy: Stack, denoised: Stack) -> Evidence:
    noise = diagnose(from_array(noisy), 0)
    return examine(Paired(noise, as_voxels(denoised)), why="not asked for").evidence


def _summary(evidence: Evidence) -> dict[str, Any]:
    tree = evidence.as_dict()
    return {
        "verdict": tree["verdict"],
        "figures": tree["figures"],
        "reasons": [each.key for each in evidence.reasons],
    }


def _is_found(lesion: Lesion, evidence: Evidence) -> bool:
    return any(
        place.slice == lesion.slice
        and np.hypot(place.row - lesion.row, place.column - lesion.column) <= _NEAR
        for place in evidence.places
    )


def _cells() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CELLS.glob("*.json"))]


def tables(cells: list[dict[str, Any]]) -> str:
    """Return the tables as Markdown."""
    parts = ["<!-- Made by `python -m bench.trust --tables`; do not edit. -->"]
    parts += ["## Honest results", _honest(cells)]
    parts += ["## Planted faults, in our results", _faults(cells)]
    parts += ["## Planted lesions, found with their place", _lesions(cells)]
    parts += ["## Every figure as a test", _curves(cells)]
    return "\n\n".join(parts) + "\n"


def summary(cells: list[dict[str, Any]]) -> str:
    """Return the targets and what was found, as Markdown."""
    rows = ["| | target | seen | kept back |", "|---|---|---|---|"]
    lines: list[tuple[str, str, Callable[[list[dict[str, Any]]], str]]] = [
        ("lesions of 2 noise std and more, 4 to 12 px, found with their place", ">= 95 %", _clear),
        ("of 1 to 2 noise std", ">= 70 %", _faint),
        ("of these 6 px and more", "", lambda those: _faint(those, least=6)),
        ("faults of eleven kinds that are not called fine", "", _found_faults),
        (
            'honest results called "do not trust"',
            "<= 5 %",
            lambda those: _honest_share(those, "do not trust"),
        ),
        ('honest results called "fine"', "", lambda those: _honest_share(those, "fine")),
    ]
    for title, target, measure in lines:
        halves = (measure([cell for cell in cells if cell["half"] == half]) for half in HALVES)
        rows.append(f"| {title} | {target} | {' | '.join(halves)} |")
    return "\n".join(rows)


def _clear(cells: list[dict[str, Any]]) -> str:
    return _share([one["found"] for one in _all_lesions(cells) if one["contrast"] >= _CLEAR])


def _faint(cells: list[dict[str, Any]], least: int = 0) -> str:
    those = _all_lesions(cells)
    return _share([one["found"] for one in those if one["contrast"] < _CLEAR and one["size"] >= least])


def _all_lesions(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [lesion for cell in cells for lesion in cell["lesions"]]


def _found_faults(cells: list[dict[str, Any]]) -> str:
    verdicts = [
        cell["results"][fault]["verdict"] for cell in cells for fault in FAULTS if fault in cell["results"]
    ]
    return _share([verdict != "fine" for verdict in verdicts])


def _honest_share(cells: list[dict[str, Any]], verdict: str) -> str:
    return _share([cell["results"]["honest"]["verdict"] == verdict for cell in cells])


def _honest(cells: list[dict[str, Any]]) -> str:
    rows = ["| references | method | results | fine | look closer | do not trust |"]
    rows.append("|---|---|---|---|---|---|")
    for half in HALVES:
        for method in METHODS:
            verdicts = [
                cell["results"]["honest"]["verdict"]
                for cell in cells
                if cell["half"] == half and cell["method"] == method
            ]
            if verdicts:
                shares = (f"{verdicts.count(one) / len(verdicts):.0%}" for one in _GRADES)
                rows.append(f"| {half} | {method} | {len(verdicts)} | {' | '.join(shares)} |")
    return "\n".join(rows)


_GRADES = ("fine", "look closer", "do not trust")


def _faults(cells: list[dict[str, Any]]) -> str:
    rows = [
        "| fault | references | results | found (not fine) | do not trust | most often said by |",
        "|---|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        for half in HALVES:
            found = [
                cell["results"][fault] for cell in cells if cell["half"] == half and fault in cell["results"]
            ]
            if not found:
                continue
            bad = [one for one in found if one["verdict"] != "fine"]
            worst = sum(one["verdict"] == "do not trust" for one in found) / len(found)
            said = [reason for one in bad for reason in one["reasons"]]
            most = max(set(said), key=said.count) if said else "-"
            rows.append(
                f"| {fault} | {half} | {len(found)} | {len(bad) / len(found):.0%} | {worst:.0%} | {most} |"
            )
    return "\n".join(rows)


def _lesions(cells: list[dict[str, Any]]) -> str:
    rows = [
        "| references | noise | lesions | 2 noise std and more | 1 to 2 noise std | of these 6 px and more |",
        "|---|---|---|---|---|---|",
    ]
    for half in HALVES:
        for noise in (*dict.fromkeys(cell["noise"] for cell in cells), "all"):
            those = [
                lesion
                for cell in cells
                if cell["half"] == half and noise in (cell["noise"], "all")
                for lesion in cell["lesions"]
            ]
            if not those:
                continue
            chosen: tuple[Callable[[dict[str, Any]], bool], ...] = (
                lambda one: one["contrast"] >= _CLEAR,
                lambda one: one["contrast"] < _CLEAR,
                lambda one: one["contrast"] < _CLEAR and one["size"] >= 6,
            )
            shares = [_share([one["found"] for one in those if choose(one)]) for choose in chosen]
            rows.append(f"| {half} | {noise} | {len(those)} | {' | '.join(shares)} |")
    return "\n".join(rows)


def _share(found: list[bool]) -> str:
    return f"{np.mean(found):.0%}" if found else "-"


def _curves(cells: list[dict[str, Any]]) -> str:
    """Area under the ROC curve of each figure against each fault, honest results of ours being the others."""
    ours = [cell for cell in cells if cell["method"] == "ours"]
    keys = [key for key, value in ours[0]["results"]["honest"]["figures"].items() if value is not None]
    rows = [f"| fault | {' | '.join(keys)} |", f"|---|{'---|' * len(keys)}"]
    for fault in FAULTS:
        areas = []
        for key in keys:
            good, bad = (list(_values(ours, which, key)) for which in ("honest", fault))
            areas.append(f"{_area(good, bad):.2f}" if good and bad else "-")
        rows.append(f"| {fault} | {' | '.join(areas)} |")
    return "\n".join(rows)


def _values(cells: list[dict[str, Any]], which: str, key: str) -> Iterator[float]:
    for cell in cells:
        value = cell["results"].get(which, {"figures": {}})["figures"].get(key)
        if value is not None:
            yield value


def _area(good: list[float], bad: list[float]) -> float:
    """Share of pairs of which the faulty one is further out, on whichever side that is."""
    above = np.mean([[0.5 * (b == g) + (b > g) for g in good] for b in bad])
    return float(max(above, 1 - above))


if __name__ == "__main__":
    main()

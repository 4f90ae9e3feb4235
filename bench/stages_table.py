"""Fill the tables of docs/quality.md and README.md from the cells that `bench.stages` stored.

python -m bench.stages_table
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.stages import CASES, PARTS

_CELLS = Path("bench/cells/stages")
_REPEATS = Path("bench/cells/stages-repeats")
_SPLITS = Path("bench/cells/split")
_TITLES = {"t1w": "T1W", "flair": "FLAIR"}
#: Rows of the README's short table.
_SUMMARY = (
    "noisy",
    "BM3D, true level",
    "stage 1: blind-spot network",
    "stage 2: single sample",
    "stage 2: symmetric pair",
    "stage 2: pair + fusion",
    "stage 3: student",
    "ceiling: same network, clean pairs",
)

Cell = dict[str, Any]


def main() -> None:
    """Write the tables."""
    cells, repeats = _read(_CELLS), _read(_REPEATS)
    _fill(Path("docs/quality.md"), "main", f"{_table(cells)}\n\n{_runs(cells)}")
    _fill(Path("docs/quality.md"), "repeats", _over_seeds(repeats))
    _fill(Path("docs/quality.md"), "splits", _by_split(_read(_SPLITS)))
    _fill(Path("README.md"), "summary", _table(cells, _SUMMARY))


def _read(folder: Path) -> list[Cell]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def _fill(page: Path, name: str, table: str) -> None:
    """Put a table between its two marks."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: made by bench.stages_table -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{page}: has no place for the table '{name}'")
    page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")


def _table(cells: list[Cell], rows: Iterable[str] | None = None) -> str:
    """One line a row, PSNR and SSIM for each case."""
    lines = [
        "| row | " + " | ".join(f"{_TITLES[case]}: PSNR, SSIM" for case in CASES) + " |",
        "|---|" + "---|" * len(CASES),
    ]
    for row in rows or _row_names(cells):
        values = []
        for case in CASES:
            found = [cell["rows"][row] for cell in cells if cell["case"] == case and row in cell["rows"]]
            values.append(f"{found[0][0]:.2f} dB, {found[0][1]:.3f}" if found else "not run")
        lines.append(f"| {row} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _runs(cells: list[Cell]) -> str:
    """What each run did, one line each."""
    lines = ["What each run did:", ""]
    for cell in sorted(cells, key=lambda one: (one["case"], PARTS.index(one["part"]))):
        stages = cell.get("stages", {})
        steps = ", ".join(f"{name} {stage['steps']['steps']}" for name, stage in stages.items())
        seconds = cell.get("training_seconds")
        trained = f" trained {seconds:.0f} s ({steps} steps);" if seconds else ""
        lines.append(
            f"- {_TITLES[cell['case']]}, {cell['part']}, seed {cell['seed']}:{trained} {cell['device']},"
            f" torch {cell['torch']}"
        )
    return "\n".join(lines)


def _over_seeds(cells: list[Cell]) -> str:
    """Mean and range over seeds."""
    lines = ["| case | row | seeds | PSNR mean (lowest to highest) | SSIM mean |", "|---|---|---|---|---|"]
    for case in CASES:
        of_case = [cell for cell in cells if cell["case"] == case]
        for row in _row_names(of_case):
            found = [cell["rows"][row] for cell in of_case if row in cell["rows"]]
            psnr, ssim = [value[0] for value in found], [value[1] for value in found]
            lines.append(
                f"| {_TITLES[case]} | {row} | {len(found)} | {_mean(psnr):.2f}"
                f" ({min(psnr):.2f} to {max(psnr):.2f}) | {_mean(ssim):.3f} |"
            )
    devices = sorted({cell["device"] for cell in cells})
    return "\n".join([*lines, "", f"Device: {', '.join(devices)}."])


def _by_split(cells: list[Cell]) -> str:
    """Shares of the time, and what the students reach."""
    lines = ["| split | shares of the time | " + " | ".join(f"{_TITLES[case]}" for case in CASES) + " |"]
    lines.append("|---|---|" + "---|" * len(CASES))
    for name in dict.fromkeys(cell["split"] for cell in cells):
        of_split = {cell["case"]: cell for cell in cells if cell["split"] == name}
        shares = next(iter(of_split.values()))["shares"]
        told = ", ".join(f"{stage} {share:.0%}" for stage, share in shares.items())
        scores = [
            "{:.2f} dB, {:.3f}".format(*of_split[case]["rows"]["stage 3: student"])
            if case in of_split
            else "not run"
            for case in CASES
        ]
        lines.append(f"| {name} | {told} | " + " | ".join(scores) + " |")
    return "\n".join(lines)


def _row_names(cells: list[Cell]) -> list[str]:
    names: dict[str, None] = {}
    for part in PARTS:
        for cell in cells:
            if cell["part"] == part:
                names.update(dict.fromkeys(cell["rows"]))
    return list(names)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


if __name__ == "__main__":
    main()

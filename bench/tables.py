"""Fill docs/benchmarks.md with tables and pictures of the stored cells: `python -m bench.tables`.

Only what lies between the page's markers is written; the text around them is kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from bench.cases import CASES, REAL
from bench.end_to_end import CELL as VERSIONS_CELL
from bench.inferences import CELL as INFERENCES_CELL
from bench.noise_estimates import CELL as NOISE_CELL
from bench.noise_estimates import NOISES
from bench.pictures import SHOWN, can_draw, draw, draw_iterations
from bench.quality import ABLATED, CELLS

_ROOT = Path(__file__).parent.parent
PAGE = _ROOT / "docs" / "benchmarks.md"
PICTURES = _ROOT / "docs" / "images"

#: Methods in the order of the tables, with the names they have there.
NAMES = {
    "noisy": "noisy",
    "nlm": "NLM",
    "dipy-nlm": "NLM in 3-D (DIPY), true level",
    "bm3d": "BM3D, true level",
    "bm3d-estimated": "BM3D, wavelet estimate",
    "bm3d-spectrum": "BM3D, true spectrum",
    "bm4d": "BM4D, true level",
    "bm4d-estimated": "BM4D, wavelet estimate",
    "bm4d-spectrum": "BM4D, true spectrum",
    "noise2void": "Noise2Void",
    "neighbor2neighbor": "Neighbor2Neighbor",
    "ap-bsn": "AP-BSN",
    "unsure": "UNSURE",
    "sure": "SURE, true level",
    "r2r": "R2R, true level",
    "r2r-start": "R2R, true level, synthetic start",
    "r2r-spectrum": "R2R, true spectrum",
    "ours": "**DiffDenoise**",
    "ours-random-start": "ours, random start",
    "ours-literal": "ours, random start, literal stage 2, distilled from the pair",
    "ours-paper": "ours, random start, jointly blind stage 2, distilled from the pair",
    "ours-distilled": "ours, random start, distilled from pair + fusion",
    "ours-no-neighbours": "ours, no neighbour slices",
    "ours-iterations": "ours, three iterations",
    "ceiling": "ceiling: same network, clean pairs",
    "ceiling-start": "ceiling, synthetic start",
}
#: Rows of one of our runs, in order.
STAGES = {
    "start": "synthetic start, nothing learned from the scan",
    "condition": "stage 1: blind-spot network",
    "single": "stage 2: single sample",
    "two-random": "stage 2: two random samples",
    "srds": "stage 2: symmetric pair",
    "four-pairs": "stage 2: four symmetric pairs",
    "one-step": "stage 2: one step",
    "fusion": "stage 2: pair + fusion",
    "corrected": "stage 2: recorruption-corrected",
    "distilled": "stage 3: distilled only",
    "refined": "stage 3: student before self-training",
    "biased": "stage 3: before the Rician bias is undone",
    "one-pass": "stage 3: student, one pass",
    "result": "**stage 3: student**",
}
#: Methods that know what no user knows.
_TOLD = ("r2r-spectrum", "bm3d-spectrum", "bm4d-spectrum", "ceiling", "ceiling-start")
#: Methods that are ours in part: they begin with our weights.
_HALF_OURS = ("r2r-start",)
#: Cells with more than the tables' time for a training.
LONGER = CELLS.parent / "longer"

Cell = dict[str, Any]
Cells = dict[tuple[str, str], list[Cell]]


def main() -> None:
    """Write tables and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cells", type=Path, default=CELLS)
    parser.add_argument("--noise", type=Path, default=NOISE_CELL)
    parser.add_argument("--inferences", type=Path, default=INFERENCES_CELL)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    given = parser.parse_args()
    for name in CASES:
        names = {method: _name(method, name) for method in SHOWN}
        draw(name, names, given.cells, given.pictures / f"bench-{name}.png")
    draw_iterations(given.cells, given.pictures / "iterations.png")
    write(given.cells, given.noise, given.inferences, given.page, _ROOT / "README.md")


def write(
    folder: Path,
    noise: Path,
    inferences: Path,
    page: Path,
    readme: Path,
    versions_cell: Path = VERSIONS_CELL,
    longer_folder: Path = LONGER,
) -> None:
    """Fill the page's tables, and the README's, from folders of cells, and the other scripts' cells."""
    cells = read_cells(folder)
    drawn = [name for name in CASES if can_draw(name, folder)]
    text = page.read_text(encoding="utf-8")
    for name, table in {
        "summary": summary(cells),
        "cases": per_case(cells, drawn),
        "longer": longer(cells, read_cells(longer_folder)),
        "stages": stages(cells),
        "ablations": ablations(cells),
        "iterations": iterations(cells),
        "end-to-end": versions(
            json.loads(versions_cell.read_text(encoding="utf-8")) if versions_cell.is_file() else {}
        ),
        "inferences": inferences_table(json.loads(inferences.read_text(encoding="utf-8"))),
        "noise": noise_table(json.loads(noise.read_text(encoding="utf-8"))),
    }.items():
        text = fill(text, name, table)
    page.write_text(text, encoding="utf-8")
    front = fill(readme.read_text(encoding="utf-8"), "summary", summary(cells))
    readme.write_text(front, encoding="utf-8")


def inferences_table(record: dict[str, Any]) -> str:
    """Mean and spread of each kind of inference."""
    lines = ["| kind | inferences | mean PSNR | standard deviation |", "|---|---|---|---|"]
    for kind, values in record["psnr"].items():
        spread = f"{pstdev(values):.4f}" if len(values) > 1 else "none"
        lines.append(f"| {kind} | {len(values)} | {mean(values):.2f} | {spread} |")
    return "\n".join(lines)


def read_cells(folder: Path) -> Cells:
    """All cells of a folder by case and method, seeds in order."""
    found: Cells = {}
    for path in sorted(folder.glob("*.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault((cell["case"], cell["method"]), []).append(cell)
    return found


def fill(text: str, name: str, table: str, by: str = "bench.tables") -> str:
    """Replace what is between `<!-- name: made by a script -->` and `<!-- end of name -->`."""
    start, end = f"<!-- {name}: made by {by} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no marks {start} ... {end}")
    return f"{before}{start}\n\n{table}\n\n{end}{after}"


def _score(cells: Cells, case: str, method: str, key: str = "psnr", row: str = "result") -> float | None:
    values = [cell["rows"].get(row, {}).get(key) for cell in cells.get((case, method), [])]
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _minutes(cells: Cells, cases: Sequence[str]) -> str:
    """How long ours was trained, in words."""
    found = {cell["minutes"] for case in cases for cell in cells.get((case, "ours"), [])}
    return " and ".join(f"{minutes:g}" for minutes in sorted(found))


def summary(cells: Cells) -> str:
    """One line a case: ours, the best peer that knows no more than a user, and the ceiling."""
    lines = [
        "| case | noisy | best peer | DiffDenoise | over that peer | ceiling | below it |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in CASES:
        ours = _score(cells, case, "ours")
        if ours is None:
            continue
        best = _best_peer(cells, case)
        over = None if best is None else ours - (_score(cells, case, best) or 0.0)
        ceiling = _score(cells, case, "ceiling")
        lines.append(
            f"| {CASES[case].title} | {_pair(cells, case, 'noisy')} "
            f"| {'-' if best is None else f'{_name(best, case)}: {_pair(cells, case, best)}'} "
            f"| **{_pair(cells, case, 'ours')}** "
            f"| {'-' if over is None else f'{over:+.2f} dB'} "
            f"| {_pair(cells, case, 'ceiling')} "
            f"| {'-' if ceiling is None else f'{ceiling - ours:.2f} dB'} |"
        )
    return "\n".join(lines)


def _best_peer(cells: Cells, case: str) -> str | None:
    """The peer with the highest PSNR of those that know no more than the level."""
    peers = {
        method: _score(cells, case, method)
        for method in NAMES
        if not method.startswith("ours") and method not in (*_TOLD, *_HALF_OURS, "noisy")
    }
    known = {method: value for method, value in peers.items() if value is not None}
    return max(known, key=lambda method: known[method], default=None)


def longer(cells: Cells, more: Cells) -> str:
    """A line a case for ours and the ceiling with more time, and what they were with less."""
    cases = [case for case in CASES if (case, "ours") in more]
    if not cases:
        return "Not run yet."
    minutes = [_minutes(found, cases) for found in (cells, more)]
    head = [
        "case",
        "best peer",
        f"ours, {minutes[0]} min",
        f"ours, {minutes[1]} min",
        f"ceiling, {minutes[1]} min",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case in cases:
        best = _best_peer(cells, case)
        row = [
            CASES[case].title,
            "-" if best is None else f"{_name(best, case)}: {_pair(cells, case, best)}",
            _pair(cells, case, "ours"),
            _pair(more, case, "ours"),
            _pair(more, case, "ceiling"),
        ]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _name(method: str, case: str) -> str:
    """Name in a table; of a real scan nobody knows the true level."""
    return NAMES[method].replace("true level", "wavelet level") if case in REAL else NAMES[method]


def _pair(cells: Cells, case: str, method: str, row: str = "result") -> str:
    psnr, ssim = (_score(cells, case, method, key, row) for key in ("psnr", "ssim"))
    return "-" if psnr is None else f"{psnr:.2f} / {_number(ssim, 3)}"


def per_case(cells: Cells, drawn: Sequence[str]) -> str:
    """A table a case: every method that was run, with its scores."""
    parts = []
    for case in CASES:
        methods = [method for method in NAMES if (case, method) in cells]
        if not methods:
            continue
        real = any(
            cell["rows"]["result"]["psnr_corrected"] != cell["rows"]["result"]["psnr"]
            for cell in cells[case, methods[0]]
        )
        head = [
            "method",
            "seeds",
            "PSNR",
            *(["PSNR corrected"] if real else []),
            "SSIM",
            "sharpness",
            "bias %",
        ]
        lines = [f"### {CASES[case].title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for method in methods:
            of_method = cells[case, method]
            psnrs = [cell["rows"]["result"]["psnr"] for cell in of_method]
            spread = f" ({min(psnrs):.2f} to {max(psnrs):.2f})" if len(psnrs) > 1 else ""
            row = [
                _name(method, case),
                str(len(of_method)),
                f"{mean(psnrs):.2f}{spread}",
                *([_number(_score(cells, case, method, "psnr_corrected"), 2)] if real else []),
                _number(_score(cells, case, method, "ssim"), 3),
                _number(_score(cells, case, method, "sharpness"), 3),
                _number(_score(cells, case, method, "bias_percent"), 2, "+"),
            ]
            lines.append(f"| {' | '.join(row)} |")
        lines += ["", _how(cells, case, methods)]
        if case in drawn:
            lines += ["", f"![{CASES[case].title}: crops and differences](images/bench-{case}.png)"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _how(cells: Cells, case: str, methods: Sequence[str]) -> str:
    """What the trained methods did in their time."""
    found = []
    for method in methods:
        details = cells[case, method][0]["details"]
        if "steps" in details:
            found.append(f"{_name(method, case)} {details['steps']}")
        elif "stages" in details:
            steps = ", ".join(f"{name} {one['steps']['steps']}" for name, one in details["stages"].items())
            found.append(f"{_name(method, case)} {steps}")
    if not found:
        return ""
    minutes = sorted({cell["minutes"] for method in methods for cell in cells[case, method]})
    device = sorted({cell["device"] for method in methods for cell in cells[case, method]})
    return (
        f"Steps in {', '.join(f'{one:g}' for one in minutes)} min ({'; '.join(device)}): {'; '.join(found)}."
    )


def stages(cells: Cells) -> str:
    """What each stage of our runs gives."""
    return _stages_of(cells, "ours", [case for case in CASES if (case, "ours") in cells])


def _stages_of(cells: Cells, method: str, cases: Sequence[str]) -> str:
    rows = [
        (name, method, row)
        for row, name in STAGES.items()
        if any(_score(cells, case, method, row=row) for case in cases)
    ]
    return _rows_by_case(cells, cases, rows)


def ablations(cells: Cells) -> str:
    """What is lost without a part of the method, and stages 1 and 2 where they have most of the time."""
    variants = [method for method in NAMES if method.startswith("ours-") and method != "ours-iterations"]
    cases = [case for case in ABLATED if any((case, method) in cells for method in variants)]
    methods = [method for method in ("ours", *variants) if any((case, method) in cells for case in cases)]
    found = _rows_by_case(cells, cases, [(NAMES[method], method, "result") for method in methods])
    inside = [case for case in cases if (case, "ours-distilled") in cells]
    if not inside:
        return found
    early = _stages_of(cells, "ours-distilled", inside)
    return f'{found}\n\nInside of "{NAMES["ours-distilled"]}":\n\n{early}'


def iterations(cells: Cells) -> str:
    """Each of three rounds in the time of one run, beside one round in all of it."""
    cases = [case for case in CASES if (case, "ours-iterations") in cells]
    rows = [
        ("iteration 1 of 3", "ours-iterations", "iteration-1"),
        ("iteration 2 of 3", "ours-iterations", "iteration-2"),
        ("iteration 3 of 3", "ours-iterations", "result"),
        ("one iteration in all of the time", "ours", "result"),
    ]
    return _rows_by_case(cells, cases, rows) if cases else "Not run yet."


def _rows_by_case(cells: Cells, cases: Sequence[str], rows: Sequence[tuple[str, str, str]]) -> str:
    """A line for each (name, method, row of its cell), a case a column."""
    lines = [f"| row | {' | '.join(CASES[case].title for case in cases)} |", "|---" * (len(cases) + 1) + "|"]
    for name, method, row in rows:
        values = [_pair(cells, case, method, row) for case in cases]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def versions(record: dict[str, Any]) -> str:
    """`denoise` before and after, a line a scan."""
    lines = ["| scan | minutes | noisy | before | now |", "|---|---|---|---|---|"]
    for name, found in record.items():
        sides = (
            f"{found[side]['psnr']:.2f} / {found[side]['ssim']:.3f}" for side in ("noisy", "before", "after")
        )
        lines.append(f"| {CASES[name].title} | {found['minutes']:g} | {' | '.join(sides)} |")
    return "\n".join(lines) if record else "Not run yet."


def noise_table(found: dict[str, dict[str, Any]]) -> str:
    """What the diagnosis reads of known noise, a reference a column."""
    lines = [f"| noise added | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    lines += [
        f"| {label} | {' | '.join(_reading(rows[label]) for rows in found.values())} |" for label in NOISES
    ]
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

"""Fill docs/benchmarks.md with tables and pictures of the stored cells: `python -m bench.tables`.

Only what lies between the page's markers is written; the text around them is kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from bench.cases import CASES, REAL
from bench.end_to_end import CELL as VERSIONS_CELL
from bench.inferences import CELL as INFERENCES_CELL
from bench.noise_estimates import CELL as NOISE_CELL
from bench.noise_estimates import table as noise_table
from bench.observer import contrast_kept
from bench.page import fill
from bench.pictures import can_draw, draw, draw_iterations, shown
from bench.quality import ABLATED, CELLS, told

_ROOT = Path(__file__).parent.parent
PAGE = _ROOT / "docs" / "benchmarks.md"
PICTURES = _ROOT / "docs" / "images"

#: Methods in the order of the tables, with the names they have there; what each is told has its own column.
NAMES = {
    "noisy": "noisy",
    "nlm": "NLM",
    "dipy-nlm": "NLM in 3-D (DIPY)",
    **{
        f"{method}{ending}": f"{name}{words}"
        for method, name in (("bm3d", "BM3D"), ("bm4d", "BM4D"))
        for ending, words in {
            "": "",
            "-estimated": ", estimate",
            "-spectrum": ", spectrum",
            "-our-spectrum": ", our diagnosis",
            "-repeats": ", repeats",
            "-stabilised": ", stabilised",
            "-place": ", map",
        }.items()
    },
    "noise2void": "Noise2Void",
    "neighbor2neighbor": "Neighbor2Neighbor",
    "ap-bsn": "AP-BSN",
    "unsure": "UNSURE",
    "sure": "SURE",
    "r2r": "R2R",
    "r2r-start": "R2R, synthetic start",
    "r2r-spectrum": "R2R, spectrum",
    "instant": "**DiffDenoise**, at once",
    "ours": "**DiffDenoise**",
    "ours-random-start": "ours, random start",
    "ours-literal": "ours, random start, literal stage 2, distilled from the pair",
    "ours-paper": "ours, random start, jointly blind stage 2, distilled from the pair",
    "ours-distilled": "ours, random start, distilled from pair + fusion",
    "ours-no-neighbours": "ours, no neighbour slices",
    "ours-iterations": "ours, three iterations",
    "ceiling-others": "ceiling: clean images of other people",
    "ceiling": "ceiling: clean images of this scan",
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
    "biased": "stage 3: before the Rician bias is undone",
    "recorrupted": "stage 3: refined student on recorrupted copies as in training, mean of eight",
    "one-pass": "stage 3: student, one pass",
    "result": "**stage 3: student**",
}
#: Methods that are ours in part: they begin with our weights.
_HALF_OURS = ("r2r-start",)
#: Rows of a peer's cell that stand for it: averaged over orientations where it is a network, and with the
#: bias of magnitudes undone.
_PEER_ROWS = ("result", "one-pass", "inverted", "one-pass-inverted")

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
        names = {method: NAMES[method] for method in shown(name, given.cells)}
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
) -> None:
    """Fill the page's tables, and the README's, from folders of cells, and the other scripts' cells."""
    cells = read_cells(folder)
    drawn = [name for name in CASES if (PICTURES / f"bench-{name}.png").is_file() and can_draw(name, folder)]
    text = page.read_text(encoding="utf-8")
    for name, table in {
        "summary": summary(cells),
        "cases": per_case(cells, drawn),
        "stages": stages(cells),
        "ablations": ablations(cells),
        "iterations": iterations(cells),
        "end-to-end": versions(
            json.loads(versions_cell.read_text(encoding="utf-8")) if versions_cell.is_file() else {}
        ),
        "inferences": inferences_table(
            json.loads(inferences.read_text(encoding="utf-8")) if inferences.is_file() else {}
        ),
        "noise": noise_table(json.loads(noise.read_text(encoding="utf-8"))),
    }.items():
        text = fill(text, name, table)
    page.write_text(text, encoding="utf-8")
    page_one = fill(readme.read_text(encoding="utf-8"), "summary", front(cells))
    readme.write_text(page_one, encoding="utf-8")


def inferences_table(record: dict[str, Any]) -> str:
    """Mean and spread of each kind of inference."""
    if not record:
        return "Not run yet."
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


def _score(cells: Cells, case: str, method: str, key: str = "psnr", row: str = "result") -> float | None:
    values = [cell["rows"].get(row, {}).get(key) for cell in cells.get((case, method), [])]
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def front(cells: Cells) -> str:
    """The README's table: cases that ours was run on with this code."""
    lines = [
        "| case | noisy | best peer | it is told | at once, one pass | after 4 min, one pass | mean of eight "
        "| over that peer |",
        "|---" * 8 + "|",
    ]
    for case in CASES:
        if (case, "ours") in cells:
            lines.append("|".join(_summary_row(cells, case).split("|")[:9]) + "|")
    return "\n".join(lines) if len(lines) > 2 else "Being run again: see the benchmarks."


def summary(cells: Cells) -> str:
    """One line a case: ours and the ceilings, in one pass and averaged over eight, and the best peer."""
    lines = [
        "| case | noisy | best peer | it is told | at once, one pass | DiffDenoise, one pass | eight "
        "| over that peer | ceiling, other people: one pass | eight | ceiling, this scan: one pass | eight |",
        "|---" * 12 + "|",
    ]
    lines += [_summary_row(cells, case) for case in CASES if (case, "noisy") in cells]
    return "\n".join(lines)


def _summary_row(cells: Cells, case: str) -> str:
    """A line of the summary."""
    best = _best_peer(cells, case)
    eight, over = _score(cells, case, "ours"), ""
    if best is not None and eight is not None:
        over = f"{eight - (_score(cells, case, best.method, row=best.row) or 0.0):+.2f} dB"
    row = [
        CASES[case].title,
        _pair(cells, case, "noisy"),
        "" if best is None else f"{best.name}: {_pair(cells, case, best.method, best.row)}",
        "" if best is None else best.told,
        _pair(cells, case, "instant", "one-pass"),
        _pair(cells, case, "ours", "one-pass"),
        "" if eight is None else f"**{_pair(cells, case, 'ours')}**",
        over,
        *(
            _pair(cells, case, method, ends)
            for method in ("ceiling-others", "ceiling")
            for ends in ("one-pass", "result")
        ),
    ]
    return f"| {' | '.join(row)} |"


@dataclass(frozen=True)
class _Best:
    method: str
    row: str
    name: str
    told: str


def _best_peer(cells: Cells, case: str) -> _Best | None:
    """The peer with the highest PSNR, whatever it is told."""
    found: list[tuple[float, _Best]] = []
    for method in NAMES:
        if method.startswith(("ours", "ceiling", "instant")) or method in (*_HALF_OURS, "noisy"):
            continue
        for row in _PEER_ROWS:
            value = _score(cells, case, method, row=row)
            if value is not None:
                name, what = _row_name(method, row), cells[case, method][0].get("told") or told(method, case)
                found.append((value, _Best(method, row, name, what)))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _row_name(method: str, row: str) -> str:
    ending = ", then our inversion" if row.endswith("inverted") else ""
    return f"{NAMES[method]}{', one pass' if row.startswith('one-pass') else ''}{ending}"


def _pair(cells: Cells, case: str, method: str, row: str = "result") -> str:
    psnr, ssim = (_score(cells, case, method, key, row) for key in ("psnr", "ssim"))
    return "" if psnr is None else f"{psnr:.2f} / {_number(ssim, 3)}"


def per_case(cells: Cells, drawn: Sequence[str]) -> str:
    """A table a case: every method that was run, with its scores."""
    parts = []
    for case in CASES:
        methods = [method for method in NAMES if (case, method) in cells]
        if not methods:
            continue
        real = case in REAL
        head = ["method", "told", "seeds", "PSNR", *(["PSNR corrected"] if real else [])]
        head += ["SSIM", "sharpness", "bias %", "commit"]
        lines = [f"### {CASES[case].title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for method in methods:
            lines += [
                _line(cells, case, method, row, real=real)
                for row in _PEER_ROWS
                if any(row in cell["rows"] for cell in cells[case, method])
            ]
        lines += ["", *_inserts(cells, case, methods), _how(cells, case, methods)]
        if case in drawn:
            lines += ["", f"![{CASES[case].title}: crops and differences](images/bench-{case}.png)"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(cells: Cells, case: str, method: str, row: str, *, real: bool) -> str:
    """A row of a method's cells as a line of its case's table."""
    of_method = [cell for cell in cells[case, method] if row in cell["rows"]]
    psnrs = [cell["rows"][row]["psnr"] for cell in of_method]
    spread = f" ({min(psnrs):.2f} to {max(psnrs):.2f})" if len(psnrs) > 1 else ""
    commits = dict.fromkeys(str(cell.get("commit")) for cell in of_method)
    items = [
        _row_name(method, row),
        of_method[0].get("told") or told(method, case),
        ", ".join(str(cell["seed"]) for cell in of_method),
        f"{mean(psnrs):.2f}{spread}",
        *([_number(_score(cells, case, method, "psnr_corrected", row), 2)] if real else []),
        _number(_score(cells, case, method, "ssim", row), 3),
        _number(_score(cells, case, method, "sharpness", row), 3),
        _number(_score(cells, case, method, "bias_percent", row), 2, "+"),
        ", ".join(commits),
    ]
    return f"| {' | '.join(items)} |"


def _inserts(cells: Cells, case: str, methods: Sequence[str]) -> list[str]:
    """What is left of a phantom's inserts: contrast over the noisy scan's, and d', with standard errors."""
    found = {
        method: cells[case, method][0]["rows"]["result"]
        for method in methods
        if "inserts" in cells[case, method][0]["rows"].get("result", {})
    }
    if "noisy" not in found:
        return []
    names = list(found["noisy"]["inserts"])
    lines = [
        f"| method | contrast kept | {' | '.join(f'd, {name}' for name in names)} |",
        "|---" * (2 + len(names)) + "|",
    ]
    for method, row in found.items():
        kept, error = contrast_kept(row, found["noisy"])
        seen = [f"{row['inserts'][name]['d']:.2f} ± {row['inserts'][name]['d_se']:.2f}" for name in names]
        lines.append(f"| {NAMES[method]} | {kept:.2f} ± {error:.2f} | {' | '.join(seen)} |")
    return [*lines, ""]


def _how(cells: Cells, case: str, methods: Sequence[str]) -> str:
    """What the trained methods did in their time."""
    found = []
    for method in methods:
        details = cells[case, method][0]["details"]
        if "steps" in details:
            found.append(f"{NAMES[method]} {details['steps']}")
        elif "stages" in details:
            steps = ", ".join(f"{name} {one['steps']['steps']}" for name, one in details["stages"].items())
            found.append(f"{NAMES[method]} {steps}")
    if not found:
        return ""
    minutes = sorted({cell["minutes"] for method in methods for cell in cells[case, method]})
    device = sorted({cell["device"] for method in methods for cell in cells[case, method]})
    return (
        f"Steps in {', '.join(f'{one:g}' for one in minutes)} min ({'; '.join(device)}): {'; '.join(found)}."
    )


def stages(cells: Cells) -> str:
    """What each stage of our runs gives."""
    found = [case for case in CASES if (case, "ours") in cells]
    return _stages_of(cells, "ours", found) if found else "Not run yet."


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
    if not cases:
        return "Not run yet."
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


if __name__ == "__main__":
    main()

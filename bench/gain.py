"""What learning from the scan gains over the package's weights at once, by the stored cells.

    python -m bench.gain

Fills docs/benchmarks.md between its markers: a line a case that both were run on, and how well what is known
before a training ranks the gains (Spearman). As long as nothing ranks them surely, none is promised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cases import CASES
from bench.page import fill
from bench.quality import CELLS

_PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Gain:
    """A case that was denoised at once and after a training; PSNR in dB, level in shares of the range.

    Attributes
    ----------
    title : str
        Of the case.
    noisy, at_once, trained : float
        PSNR.
    level : float
        Highest level of the noise that was found.
    same_code : bool
        Whether both cells are of the same commit.
    """

    title: str
    noisy: float
    at_once: float
    trained: float
    level: float
    same_code: bool

    @property
    def gain(self) -> float:
        """Of the training, in dB."""
        return self.trained - self.at_once


#: What is known before a training, by how it is called.
KNOWN: dict[str, Callable[[Gain], float]] = {
    "the noise's level": lambda one: one.level,
    "what was gained at once": lambda one: one.at_once - one.noisy,
}


def gains(cells: Path) -> list[Gain]:
    """Return all cases with cells of both, seed 0, in the order of the tables."""
    found = []
    for name, case in CASES.items():
        paths = [cells / f"{name}-{method}-seed0.json" for method in ("noisy", "instant", "ours")]
        if not all(path.is_file() for path in paths):
            continue
        noisy, at_once, trained = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
        found.append(
            Gain(
                case.title,
                noisy=_psnr(noisy),
                at_once=_psnr(at_once),
                trained=_psnr(trained),
                level=max(at_once["details"]["noise"]["stds"]),
                same_code=at_once["commit"].strip("+") == trained["commit"].strip("+"),
            )
        )
    return found


def _psnr(cell: dict[str, Any]) -> float:
    return float(cell["rows"]["result"]["psnr"])


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's, of numbers without ties."""
    ranks = [[sorted(values).index(value) for value in values] for values in (one, other)]
    count = len(one)
    squares: int = sum((first - second) ** 2 for first, second in zip(*ranks, strict=True))
    return 1 - 6 * squares / (count * (count**2 - 1))


def table(found: Sequence[Gain]) -> str:
    """Return the page's part."""
    lines = ["| case | at once | trained | gain | |", "|---|---|---|---|---|"]
    for one in found:
        note = "" if one.same_code else "trained by older code"
        lines.append(f"| {one.title} | {one.at_once:.2f} | {one.trained:.2f} | {one.gain:+.2f} dB | {note} |")
    least, most = (choose(one.gain for one in found) for choose in (min, max))
    middle = sorted(one.gain for one in found)[len(found) // 2]
    ranked = [
        f"{rank_correlation([known(one) for one in found], [one.gain for one in found]):+.2f} by {name}"
        for name, known in KNOWN.items()
    ]
    said = f"{len(found)} cases: {least:+.2f} to {most:+.2f} dB, {middle:+.2f} in the middle."
    lines += ["", f"{said} Rank correlation with the gain: {', '.join(ranked)}."]
    return "\n".join(lines)


def main() -> None:
    """Fill the page."""
    found = gains(Path(sys.argv[1]) if len(sys.argv) > 1 else CELLS)
    text = _PAGE.read_text(encoding="utf-8")
    _PAGE.write_text(fill(text, "gain", table(found), "bench.gain"), encoding="utf-8")


if __name__ == "__main__":
    main()

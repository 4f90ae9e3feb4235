"""Quality against time, of all methods that were run on a case: docs/images/pareto.png.

    python -m bench.pareto

From the cells of `bench.quality`: PSNR of the scored slices over wall-clock seconds of one processor core,
training included. The machine was shared: seconds are right within a factor of about two.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from bench.quality import CELLS

_PICTURE = Path(__file__).parents[1] / "docs" / "images" / "pareto.png"
_CASES = {
    "t1w-white": "MS T1W, white 10 %",
    "flair-wide": "MS FLAIR, correlated 10 %",
    "ct-poisson": "chest CT, Poisson-Gaussian",
    "m4raw-real": "real 0.3 T repeats (M4Raw)",
}
#: Rows of ours, and what they are called.
_OURS = {
    ("instant", "result"): "ours, at once",
    ("ours", "result"): "ours, 4 min",
}
#: Decibels below the best that are shown.
_SHOWN_DB = 7.0


def main() -> None:
    """Draw and write."""
    figure, panels = plt.subplots(2, 2, figsize=(11, 8), constrained_layout=True)
    for axes, (case, title) in zip(panels.flat, _CASES.items(), strict=True):
        found = _found(case)
        top = max(psnr for _, _, psnr, _ in found)
        shown = [one for one in found if one[2] > top - _SHOWN_DB]
        for number, (label, seconds, psnr, ours) in enumerate(sorted(shown, key=lambda one: one[1])):
            colour = "#c2410c" if ours else "#64748b"
            axes.scatter(seconds, psnr, s=36, c=colour, zorder=3)
            # Neighbours' names above and below in turn.
            offset = (4, 5 if number % 2 else -10)
            axes.annotate(
                label, (seconds, psnr), offset, textcoords="offset points", fontsize=7, color=colour
            )
        _front(axes, [(seconds, psnr) for _, seconds, psnr, _ in shown])
        below = ", ".join(label for label, _, psnr, _ in found if psnr <= top - _SHOWN_DB)
        words = "seconds of one core, training included"
        if below:
            words += "\n" + "\n".join(textwrap.wrap(f"further below: {below}", 80))
        axes.set(title=title, xscale="log", ylabel="PSNR, dB")
        axes.set_xlabel(words, fontsize=8)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.2)
        axes.grid(alpha=0.3)
    figure.savefig(_PICTURE, dpi=110)


def _found(case: str) -> list[tuple[str, float, float, bool]]:
    """Name, seconds, PSNR, and whether it is ours, of every method's best row."""
    found = []
    for path in sorted(CELLS.glob(f"{case}-*-seed0.json")):
        cell = json.loads(path.read_text(encoding="utf-8"))
        if cell["case"] != case:
            continue
        for row, values in cell["rows"].items():
            ours = _OURS.get((cell["method"], row))
            if ours is not None or _is_peer(cell["method"], row):
                found.append((ours or cell["method"], cell["seconds"], values["psnr"], ours is not None))
    return found


def _is_peer(method: str, row: str) -> bool:
    """Whether it is a peer's best row: the mean of its copies where there is one."""
    mine = method.startswith(("ours", "instant", "ceiling")) or method in ("noisy", "r2r-start")
    return not mine and row in ("result", "one-pass")


def _front(axes: Axes, found: list[tuple[float, float]]) -> None:
    """The methods that none beats in both."""
    front: list[tuple[float, float]] = []
    for seconds, psnr in sorted(found):
        if not front or psnr > front[-1][1]:
            front.append((seconds, psnr))
    if front:
        axes.step(*zip(*front, strict=True), where="post", color="#c2410c", alpha=0.4, linewidth=1)


if __name__ == "__main__":
    main()

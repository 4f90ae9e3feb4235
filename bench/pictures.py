"""Crops of the benchmark's results beside each other, above their differences from the reference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Methods that are drawn, where there are crops of them.
_SHOWN = ("noisy", "bm3d", "r2r", "ours", "ceiling")
#: What a peer may be told of the noise: the first of which there is a crop.
_TOLD = ("-spectrum", "-repeats", "-stabilised", "-place")
#: The case whose iterations are drawn.
_ITERATED = "t1w-white"
#: Difference maps show this share of the range, either way, as black and white.
_DIFFERENCE = 0.1


def can_draw(case: str, cells: Path) -> bool:
    """Whether there are crops of the reference and of ours."""
    needed = (f"{case}-noisy-seed0-reference.png", f"{case}-ours-seed0.png")
    return all((cells / name).is_file() for name in needed)


def shown(case: str, cells: Path) -> list[str]:
    """Methods that are drawn of a case: peers as they do best, told what there is to tell."""
    found = []
    for method in _SHOWN:
        told = (f"{method}{each}" for each in _TOLD)
        found.append(next((one for one in told if (cells / f"{case}-{one}-seed0.png").is_file()), method))
    return found


def draw(case: str, names: Mapping[str, str], cells: Path, target: Path) -> bool:
    """Draw crops of a case, by methods with their names; False if there is nothing to draw."""
    if not can_draw(case, cells):
        return False
    crops = {name: cells / f"{case}-{method}-seed0.png" for method, name in names.items()}
    _draw_crops(cells / f"{case}-noisy-seed0-reference.png", crops, target)
    return True


def draw_iterations(cells: Path, target: Path) -> bool:
    """Crops of each iteration (figure 3e of Demir et al. 2025); False if there are none."""
    stem = f"{_ITERATED}-ours-iterations-seed0"
    crops = {f"iteration {turn}": cells / f"{stem}-iteration-{turn}.png" for turn in (1, 2)}
    crops["iteration 3"] = cells / f"{stem}.png"
    if not all(path.is_file() for path in crops.values()):
        return False
    _draw_crops(cells / f"{_ITERATED}-noisy-seed0-reference.png", crops, target)
    return True


def _draw_crops(reference: Path, crops: dict[str, Path], target: Path) -> None:
    """Draw the crops that are there, in columns, above their differences from the reference."""
    from matplotlib.figure import Figure

    truth = _grey(reference)
    images = {"reference": truth, **{name: _grey(path) for name, path in crops.items() if path.is_file()}}
    figure = Figure(figsize=(2.2 * len(images), 4.7), layout="constrained")
    axes = figure.subplots(2, len(images))
    low, high = float(truth.min()), float(np.quantile(truth, 0.998))
    for (top, bottom), (name, image) in zip(axes.T, images.items(), strict=True):
        top.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        top.set_title(name.strip("*").split(":")[0], fontsize=9)
        if image is truth:
            label = f"difference,\n±{_DIFFERENCE:.0%} of the range"
            bottom.text(0.5, 0.5, label, ha="center", va="center", fontsize=8)
        else:
            limits = {"vmin": -_DIFFERENCE, "vmax": _DIFFERENCE}
            bottom.imshow(image - truth, cmap="gray", interpolation="nearest", **limits)
        for axis in (top, bottom):
            axis.set_axis_off()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=80, pil_kwargs={"optimize": True})


def _grey(path: Path) -> NDArray[np.float64]:
    return np.asarray(Image.open(path), np.float64) / 255

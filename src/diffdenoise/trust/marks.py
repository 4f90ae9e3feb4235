"""What is written onto an image: the patient's directions at its sides, and a scale bar."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Greatest length of a scale bar as a share of the image's width.
_LONGEST = 0.3
#: Where letters stand: x, y, and which of their sides is there.
_SIDES = ((0.015, 0.5, "left", "center"), (0.985, 0.5, "right", "center"))
_ENDS = ((0.5, 0.985, "center", "top"), (0.5, 0.015, "center", "bottom"))


def mark_directions(axes: Axes, letters: tuple[str, str, str, str]) -> None:
    """Write directions such as R or AS at the left, right, top and bottom; "" leaves one out."""
    for letter, (x, y, across, along) in zip(letters, (*_SIDES, *_ENDS), strict=True):
        if letter:
            axes.text(
                x,
                y,
                letter,
                transform=axes.transAxes,
                ha=across,
                va=along,
                color="gold",
                fontsize=9,
                path_effects=_outline(),
            )


def mark_scale(axes: Axes, shape: tuple[int, ...], pixel_mm: tuple[float, float] | None) -> None:
    """Draw a scale bar with its length at the lower left; none where the size of a pixel isn't known."""
    if pixel_mm is None:
        return
    width_mm = shape[1] * pixel_mm[1]
    length_mm = scale_mm(width_mm)
    begin, share = 0.03, length_mm / width_mm
    axes.plot(
        [begin, begin + share],
        [0.03, 0.03],
        transform=axes.transAxes,
        color="gold",
        linewidth=1.6,
        solid_capstyle="butt",
        path_effects=_outline(),
        label="scale",
    )
    axes.text(
        begin + share / 2,
        0.045,
        f"{length_mm:g} mm",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        color="gold",
        fontsize=7,
        path_effects=_outline(),
    )


def scale_mm(width_mm: float) -> float:
    """Return the length of an image's scale bar: 1, 2 or 5 times a power of ten, up to 0.3 of its width."""
    longest = _LONGEST * width_mm
    power = 10.0 ** math.floor(math.log10(longest))
    return float(next(step * power for step in (5, 2, 1) if step * power <= longest))


def _outline() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="black")]

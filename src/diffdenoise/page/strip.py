"""One figure over many scans, drawn as a point a scan on a line."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from diffdenoise.page.cohort import Figure
from diffdenoise.page.document import element, number, text
from diffdenoise.page.figures import class_of
from diffdenoise.trust.evidence import GRADES

#: Size of a drawing in its own units, and of the band that points lie in; free room at its ends.
_WIDTH, _HEIGHT, _BAND, _ROOM = 720, 54, 34, 14
#: Height of a point's middle above that of those it would cover.
_STEP = 5
#: Outliers that have a ring and a title of their own.
_RINGS = 40


def strip(figure: Figure, values: Mapping[str, float], far: Mapping[str, float]) -> str:
    """Return a strip plot as SVG.

    Parameters
    ----------
    figure : Figure
        What is drawn.
    values : dict of str to float
        By the scan's name; at least one.
    far : dict of str to float
        Outliers among them.

    Returns
    -------
    str
        Points that would cover each other are stacked; where there are too many for that, they overlap.
    """
    given = np.array(list(values.values()))
    # A limit that is far from all values would press these into a corner.
    least, most = float(given.min()), float(given.max())
    span = most - least or abs(most) or 1.0
    limits = [
        (limit, class_of(grade))
        for limit, grade in zip(figure.limits, GRADES[1:], strict=True)
        if limit is not None and least - 0.5 * span <= limit <= most + 0.5 * span
    ]
    least, most = min([least, *(limit for limit, _ in limits)]), max([most, *(limit for limit, _ in limits)])
    if least == most:
        least, most = least - 0.5 * span, most + 0.5 * span

    def at(value: float) -> float:
        return _ROOM + (value - least) / (most - least) * (_WIDTH - 2 * _ROOM)

    spots = _stacked({name: at(value) for name, value in values.items()})
    middle = at(float(np.median(given)))
    rings = [
        element(
            "circle",
            element("title", text(f"{name}: {number(values[name])} (robust z {far[name]:.1f})")),
            cx=f"{spots[name][0]:.1f}",
            cy=f"{spots[name][1]:.1f}",
            r=5,
            class_="out",
        )
        for name in list(far)[:_RINGS]
    ]
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in dict.fromkeys(_rounded(spots)))
    said = (
        f"{figure.title}: {len(values)} scans from {number(float(given.min()))} to "
        f"{number(float(given.max()))}, median {number(float(np.median(given)))}, {len(far)} outliers"
    )
    return element(
        "svg",
        *(
            element("path", d=f"M{at(limit):.1f} 4V{_HEIGHT - 2}", class_=f"tick {name}")
            for limit, name in limits
        ),
        element("path", d=f"M{middle:.1f} 8V{_HEIGHT - 2}", class_="middle"),
        element("path", d=dots, class_="dots"),
        *rings,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=said,
        class_="strip",
    )


def _rounded(spots: Mapping[str, tuple[float, float]]) -> list[tuple[int, int]]:
    return [(round(x), round(y)) for x, y in spots.values()]


def _stacked(places: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Places of points, those at one place above each other from the middle of the band on."""
    counts: dict[int, int] = {}
    numbers: dict[str, tuple[int, int]] = {}
    for name, x in places.items():
        column = math.floor(x / _STEP)
        numbers[name] = (column, counts.get(column, 0))
        counts[column] = counts.get(column, 0) + 1
    found = {}
    for name, (column, index) in numbers.items():
        step = min(_STEP, _BAND / max(1, counts[column] - 1))
        found[name] = (places[name], 8 + _BAND / 2 + (index - (counts[column] - 1) / 2) * step)
    return found

"""The insertion test: lesions planted in the scan itself, and what is left of them when it is denoised again.

What every reader of a denoised scan asks is whether a faint lesion would still be there. Discs and thin lines
of known contrast are added to the noisy scan at flat and at structured places, and the difference of the two
results is what the denoiser makes of them; how well they can be told from noise, before and after, is that of
an observer who knows their shape (non-prewhitening matched filter, Wagner and Brown 1985).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.places import disc, line
from diffdenoise.trust.slab import Redenoise, Slab
from diffdenoise.trust.spread import Spread
from diffdenoise.types import Stack

Shape = Literal["disc", "line"]
#: What is planted: shape, diameter or length in pixels.
KINDS: tuple[tuple[Shape, int], ...] = (("disc", 4), ("disc", 8), ("disc", 16), ("line", 14))
#: Contrasts in stds of the noise.
CONTRASTS = (1.0, 2.0, 4.0)
#: Shape, size and contrast.
Lesion = tuple[Shape, int, float]
#: All that is planted.
LESIONS: tuple[Lesion, ...] = tuple((*kind, contrast) for contrast in CONTRASTS for kind in KINDS)
#: Half the side of the square around a lesion; distance of the grid's places; share of it that they may move.
_HALF, _APART, _MOVED = 14, 36, 3
#: Share of tissue that the square of a lesion needs; share of tissue with weaker edges that is flat.
_IN_TISSUE, _FLAT = 0.8, 0.6
#: Slices on either side that a lesion reaches into at most.
_MOST_REACH = 2
#: Passes, each with lesions at other places; fewest lesions that a number is told by.
_PASSES, _FEWEST = 4, 3


@dataclass(frozen=True)
class Planted:
    """What was planted at a place, and what came of it.

    Attributes
    ----------
    shape, size : str, int
        See `KINDS`.
    contrast : float
        In stds of the noise.
    structured : bool
        Whether the place has edges.
    kept : float
        Contrast afterwards over that planted.
    before, behind : float
        What the noise gives where the observer looks for it, before and after; scaled intensities.
    """

    shape: Shape
    size: int
    contrast: float
    structured: bool
    kept: float
    before: float
    behind: float


@dataclass(frozen=True)
class Row:
    """Lesions of one shape, size and contrast, at flat or structured places.

    Attributes
    ----------
    count : int
        How many.
    kept, kept_error : float
        Mean of the contrast kept, and its standard error.
    gain : float
        How many times better they can be told from noise afterwards (ratio of d').
    """

    shape: Shape
    size: int
    contrast: float
    structured: bool
    count: int
    kept: float
    kept_error: float
    gain: float


def insertion_test(
    slab: Slab, again: Redenoise, spread: Spread, seed: int = 0, wanted: Sequence[Lesion] = LESIONS
) -> tuple[Row, ...]:
    """Plant lesions in a slab and denoise it.

    Parameters
    ----------
    slab : Slab
        Slices before and after.
    again : callable
        The denoiser.
    spread : Spread
        Noise that was drawn, and what of it is left in the result.
    seed : int
        Of places and order.
    wanted : sequence of (shape, size, contrast)
        What is planted, in turn.
    """
    found: list[Planted] = []
    for number in range(_PASSES):
        rng = np.random.default_rng([seed, number])
        marks = list(_marks(slab, rng, wanted))
        if not marks:
            continue
        planted = slab.noisy.copy()
        for mark in marks:
            planted[mark.slices, mark.rows, mark.columns] += mark.image
        after = again(slab.volume, slab.first, planted) - slab.denoised
        found += [_judged(mark, after, spread) for mark in marks]
    return _rows(found, wanted)


@dataclass(frozen=True)
class _Mark:
    """Where something is planted."""

    shape: Shape
    size: int
    contrast: float
    structured: bool
    slices: slice
    middle: int
    rows: slice
    columns: slice
    image: Stack
    unit: NDArray[np.float64]


def _marks(slab: Slab, rng: np.random.Generator, wanted: Sequence[Lesion]) -> Iterator[_Mark]:
    """Places of a grid, each moved a little, and what is planted there, in turn."""
    from scipy.ndimage import gaussian_gradient_magnitude

    count, height, width = slab.noisy.shape
    around = range(_HALF + _MOVED, height - _HALF - _MOVED, _APART)
    aside = range(_HALF + _MOVED, width - _HALF - _MOVED, _APART)
    start = int(rng.integers(len(wanted)))
    everywhere = slab.tissue
    for number in _apart(slab, count, max(size for _, size, _ in wanted)):
        edges = gaussian_gradient_magnitude(slab.denoised[number], 1.5)
        tissue = everywhere[number]
        if not tissue.any():
            continue
        calm = np.quantile(edges[tissue], _FLAT)
        for row in around:
            for column in aside:
                down, right = (int(one) for one in rng.integers(-_MOVED, _MOVED + 1, 2))
                rows = slice(row + down - _HALF, row + down + _HALF + 1)
                columns = slice(column + right - _HALF, column + right + _HALF + 1)
                inner = (slice(row + down - 4, row + down + 5), slice(column + right - 4, column + right + 5))
                level = float(edges[inner].mean())
                if tissue[rows, columns].mean() < _IN_TISSUE:
                    continue
                shape, size, contrast = wanted[start % len(wanted)]
                start += 1
                sign = 1.0 if rng.random() < 0.5 else -1.0
                unit = _unit(shape, size, rng.uniform(0, np.pi))
                image = (sign * contrast * unit * float(slab.std[number][inner].mean())).astype(np.float32)
                place = (rows, columns, image, unit * sign)
                thick = _reach(slab, size) if shape == "disc" else 0
                slices = slice(max(0, number - thick), min(count, number + thick + 1))
                yield _Mark(shape, size, contrast, level > calm, slices, number, *place)


def _apart(slab: Slab, count: int, size: int) -> Sequence[int]:
    """Slices in which something is planted, so that it doesn't reach to the next of them."""
    reach = _reach(slab, size)
    return range(min(reach, count - 1), count, 1 + 2 * reach)


def _reach(slab: Slab, size: int) -> int:
    """Slices on either side that a lesion of a diameter in pixels reaches into."""
    return max(0, min(_MOST_REACH, int((size / slab.thickness - 1) / 2)))


def _unit(shape: Shape, size: int, angle: float) -> NDArray[np.float64]:
    middle = np.arange(-_HALF, _HALF + 1)
    rows, columns = np.meshgrid(middle, middle, indexing="ij")
    return disc(rows, columns, size) if shape == "disc" else line(rows, columns, size, angle)


def _judged(mark: _Mark, after: Stack, spread: Spread) -> Planted:
    """Compare what is left of a lesion with what was planted, in its middle slice."""
    left = after[mark.middle, mark.rows, mark.columns].astype(np.float64)
    unit = mark.unit
    kept = float((left * unit).sum() / (mark.image.astype(np.float64) * unit).sum())
    part = (mark.middle, mark.rows, mark.columns)
    return Planted(mark.shape, mark.size, mark.contrast, mark.structured, kept, *spread.response(part, unit))


def _rows(found: Sequence[Planted], wanted: Sequence[Lesion]) -> tuple[Row, ...]:
    """What became of each kind of lesion, at flat and at structured places."""
    rows = []
    for shape, size, contrast in sorted(wanted):
        for structured in (False, True):
            kind = (shape, size, contrast, structured)
            own = [one for one in found if (one.shape, one.size, one.contrast, one.structured) == kind]
            if len(own) >= _FEWEST:
                rows.append(_row(own))
    return tuple(rows)


def _row(own: Sequence[Planted]) -> Row:
    """Mean over lesions of one kind."""
    kept = np.array([one.kept for one in own])
    before, behind = (
        float(np.sqrt(np.mean([each**2 for each in one])))
        for one in ([one.before for one in own], [one.behind for one in own])
    )
    gain = float(kept.mean()) * before / behind if behind > 0 else np.nan
    error = float(kept.std(ddof=1) / np.sqrt(len(kept)))
    first = own[0]
    return Row(
        first.shape,
        first.size,
        first.contrast,
        first.structured,
        len(own),
        float(kept.mean()),
        error,
        gain,
    )

"""How a scan's noise level varies from place to place: a smooth map of few numbers.

Parallel imaging amplifies noise by the coils' geometry factor, coils are more sensitive nearby, and X-rays
that pass through more of the body leave fewer photons: so noise has the same brightness at two places and
not the same level. The map says how many times the level it is there that the noise has at this brightness
in the middle of the tissue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffdenoise.types import Slices

#: Places along an axis by which parts of a volume are compared; the centre of a slice is up to the first
#: share of the way to its rim, which begins at the second.
_SAMPLED, _INNER, _OUTER = 24, 0.35, 0.8

#: Slices, height and width of a volume.
Shape = tuple[int, int, int]


class Contrast(NamedTuple):
    """Two parts of a volume, and how many times the noise in the first is stronger than in the second."""

    times: float
    strong: str
    weak: str


@dataclass(frozen=True, repr=False)
class PlaceMap:
    """Natural logarithms of the level's factor on a coarse grid over a volume, its ends at the outer pixels.

    Between them it is linear in the logarithm along each axis, so that it is positive everywhere and the
    same for volumes of any size.

    Attributes
    ----------
    logs : tuple of tuples of tuples of float
        Across slices, down and right; one number along an axis: alike all along it.
    """

    logs: tuple[tuple[tuple[float, ...], ...], ...]

    def __repr__(self) -> str:
        """One line, without the grid."""
        count, rows, columns = self.grid.shape
        return f"PlaceMap({self.least:.2f} to {self.most:.2f}, {count} x {rows} x {columns})"

    @classmethod
    def of_grid(cls, logs: NDArray[np.float64]) -> PlaceMap:
        """Return the map of a grid of logarithms (across slices, down, right), to a tenth of a percent."""
        return cls(tuple(tuple(tuple(round(float(one), 3) for one in row) for row in each) for each in logs))

    @property
    def grid(self) -> NDArray[np.float64]:
        """Logarithms as an array (across slices, down, right)."""
        return np.array(self.logs, dtype=np.float64)

    @property
    def least(self) -> float:
        """Lowest factor."""
        return float(np.exp(self.grid.min()))

    @property
    def most(self) -> float:
        """Highest factor."""
        return float(np.exp(self.grid.max()))

    def of_slice(
        self,
        shape: Shape,
        number: int,
        rows: tuple[int, int] | None = None,
        columns: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Return the factor at each pixel of a slice, or of a part of it.

        Parameters
        ----------
        shape : (slices, height, width)
            Of the volume.
        number : int
            Of the slice.
        rows, columns : (int, int), optional
            First and last (not included); None: all.

        Returns
        -------
        float32 array (height, width)
        """
        grid = self.grid
        across = hats(np.array([number]), shape[0], grid.shape[0])[0]
        down = hats(np.arange(*(rows or (0, shape[1]))), shape[1], grid.shape[1])
        right = hats(np.arange(*(columns or (0, shape[2]))), shape[2], grid.shape[2])
        of_slice = np.tensordot(across, grid, 1)
        return np.exp(down @ of_slice @ right.T).astype(np.float32)

    def over(self, shape: Shape) -> Factors:
        """Return the factors of a volume, computed slice by slice when they are asked for."""
        return Factors(self, shape)

    def contrast(self) -> Contrast:
        """Return where noise is strongest in comparison with another part, and how many times so."""
        logs = np.log(np.stack([self.of_slice((_SAMPLED,) * 3, number) for number in range(_SAMPLED)]))
        outer = np.abs(np.arange(_SAMPLED) - (_SAMPLED - 1) / 2) / ((_SAMPLED - 1) / 2)
        away = np.maximum(*np.meshgrid(outer, outer, indexing="ij"))
        side = _SAMPLED // 6
        parts = {
            "centre": logs[:, away < _INNER],
            "rim": logs[:, away > _OUTER],
            "first slices": logs[:side],
            "last slices": logs[-side:],
            "first rows": logs[:, :side],
            "last rows": logs[:, -side:],
            "first columns": logs[:, :, :side],
            "last columns": logs[:, :, -side:],
        }
        level = {name: float(part.mean()) for name, part in parts.items()}
        pairs = zip(list(level)[::2], list(level)[1::2], strict=True)
        first, second = max(pairs, key=lambda pair: abs(level[pair[0]] - level[pair[1]]))
        strong, weak = (first, second) if level[first] >= level[second] else (second, first)
        return Contrast(float(np.exp(level[strong] - level[weak])), strong, weak)

    def as_lists(self) -> list[list[list[float]]]:
        """Return the grid as plain lists."""
        return [[list(row) for row in each] for each in self.logs]


def hats(positions: NDArray[Any], count: int, knots: int) -> NDArray[np.float64]:
    """Weights (positions, knots) of piecewise linear interpolation between evenly spaced knots.

    Parameters
    ----------
    positions : array
        Pixels along an axis; the first knot is at 0, the last at `count` - 1.
    count, knots : int
        Pixels and knots along it; one knot: the same everywhere.
    """
    if knots == 1:
        return np.ones((len(positions), 1))
    # A single slice is in the middle of what it is a part of.
    place = (knots - 1) * (positions / (count - 1) if count > 1 else np.full(len(positions), 0.5))
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(knots))))


class Factors:
    """The factors of a volume: float32 slices (height, width) by number."""

    def __init__(self, place: PlaceMap, shape: Shape) -> None:
        self.shape = shape
        self._place = place

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        return self._place.of_slice(self.shape, number)


class Placed:
    """Slices of a volume together with how their noise's level varies over them.

    What measures noise takes its residuals relative to the factors; the intensities stay as they are.

    Attributes
    ----------
    factors : Factors
        Of the volume.
    """

    def __init__(self, slices: Slices, place: PlaceMap) -> None:
        count, height, width = slices.shape
        self.shape = (count, height, width)
        self.factors = place.over(self.shape)
        self._slices = slices

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        return np.asarray(self._slices[number])


def placed(stacks: Sequence[Slices], place: PlaceMap | None) -> Sequence[Slices]:
    """Return volumes with a map of their noise's level; as they are without one."""
    return stacks if place is None else [Placed(stack, place) for stack in stacks]

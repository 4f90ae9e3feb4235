"""Find how the noise's level varies from place to place, told apart from brightness and from anatomy.

The logarithm of a calm patch's variance is taken for a sum: a curve of its brightness, a smooth function of
its place, and scatter. Brightness classes occur at many places, and at a place there are several: so the two
are told apart, and of what both could explain, as a bias field does, the smoothest is taken. Anatomy only
ever adds: so in each part of the image the calmest patches count, by how flat those around them are
in comparison with what the fit so far says of that brightness and place. A map is taken only if it is worth
one, and if what is left scatters as noise does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.autocorrelation import NARROW
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.evenness import Scatter
from diffdenoise.noise.level import MEDIAN_OF_NORMAL
from diffdenoise.noise.patches import Patches, find_patches
from diffdenoise.noise.place import PlaceMap, hats
from diffdenoise.types import Slices

#: Pixels between the knots of a map, the fewest and most knots along a side, and the most across slices.
_APART_PX, _FEWEST_KNOTS, _MOST_KNOTS, _MOST_ACROSS = 16, 4, 13, 5
#: Brightness classes.
_CLASSES = 8
#: Parts along a side (across slices, as many as knots), in each of which the calmest patches count: this
#: share of them at first, and in each round this share of those.
_PARTS, _CALMER, _CALMEST = 6, 0.5, 0.6
#: Rounds of choosing patches and fitting.
_ROUNDS = 8
#: Std of the second differences of a map's logarithms of variance from knot to knot, 16 pixels apart in 200:
#: that of maps from 1 to 3 with ridges a fifth of the image wide. Of first differences, where nothing is
#: known.
_BEND, _SLOPE = 0.3, 3.0
#: Std of the differences from knot to knot across slices, in which there are fewer places to tell by.
_ACROSS = 0.3
#: Std of the second and first differences of the curve's logarithms of variance from class to class.
_CURVE_BEND, _CURVE_SLOPE = 0.5, 3.0
#: Quantile that the scatter is told by, and how many stds of a normal variable it is below the median; stds
#: above it from which on a patch holds anatomy.
_LOW, _LOW_STDS, _MOST_STDS = 0.1, 1.2816, 2.5
#: Of how many overlapping patches one is independent of the others.
_OVERLAP = 3.0
#: Times that the level must vary over nine tenths of the tissue for a map to be worth it: less is within what
#: anatomy feigns, and makes no difference to any result.
_WORTH = 1.15
#: Share of the calmer half of each part's patches by which a map is judged; times pure noise's scatter up to
#: which what a map leaves is noise, and times that it must scatter less than without: anatomy is where it is,
#: and any smooth map takes off a little of its scatter.
_TELLING, _MOST_SCATTER, _MORE_EVEN = 0.15, 2.0, 1.07
#: What chance adds to that, over the root of the number of independent patches.
_BY_CHANCE = 2.4
#: Fewest patches that a map is told by.
_FEWEST = 200
#: Scaled intensity from which on a patch is of tissue, and share of such patches from which on these alone
#: tell what the middle is, and whether a map is worth it.
_TISSUE, _LEAST_TISSUE = 0.25, 0.1


@dataclass(frozen=True)
class _Fit:
    """A map's logarithms on its grid, and the patches that it was told by."""

    logs: NDArray[np.float64]
    used: _Chosen


@dataclass(frozen=True)
class _Chosen:
    """Patches that may count: place, mean and brightness from 0 to 1, logarithms of variance, part."""

    place: NDArray[np.float64]
    mean: NDArray[np.float64]
    brightness: NDArray[np.float64]
    variance: NDArray[np.float64]
    surroundings: NDArray[np.float64]
    part: NDArray[np.intp]

    def only(self, which: NDArray[np.bool_]) -> _Chosen:
        """Return some of them."""
        return _Chosen(
            self.place[which],
            self.mean[which],
            self.brightness[which],
            self.variance[which],
            self.surroundings[which],
            self.part[which],
        )


def find_place(stacks: Sequence[Slices], correlation: Correlation, *, adjacent: bool) -> PlaceMap | None:
    """Return how the noise's level varies over a scan's volumes, 1 in the middle of the tissue.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure. All are of one scan.
    correlation : Correlation
        Of the noise inside slices.
    adjacent : bool
        As in `find_patches`.

    Returns
    -------
    PlaceMap or None
        None where it varies too little to matter, or can't be told from anatomy.

    References
    ----------
    Eilers and Marx 1996, "Flexible smoothing with B-splines and penalties", of degree 1, for the map.
    """
    knots = _knots(stacks)
    chosen = _calm(find_patches(stacks, NARROW[0], adjacent=adjacent), knots[0])
    if chosen is None:
        return None
    found = _fit(chosen, knots)
    if found is None or not _tells(found.logs, chosen, knots, _expected_scatter(correlation)):
        return None
    everywhere = _basis(found.used.place, knots) @ found.logs.ravel()
    tissue = found.used.mean > _TISSUE
    inside = everywhere[tissue] if tissue.mean() > _LEAST_TISSUE else everywhere
    low, high = np.quantile(inside, [0.05, 0.95])
    if high - low < np.log(_WORTH):
        return None
    # Where there are no patches, no more and no less than where there are.
    logs = np.clip(found.logs, everywhere.min(), everywhere.max())
    return PlaceMap.of_grid(logs - np.median(inside))


def _knots(stacks: Sequence[Slices]) -> tuple[int, int, int]:
    """Knots across slices, down and right."""
    count, height, width = (max(sizes) for sizes in zip(*(stack.shape for stack in stacks), strict=True))
    down, right = (
        int(np.clip(round(size / _APART_PX) + 1, _FEWEST_KNOTS, _MOST_KNOTS)) for size in (height, width)
    )
    return max(1, min(_MOST_ACROSS, count // 3)), down, right


def _calm(patches: Patches, across: int) -> _Chosen | None:
    """The calmer half of the patches in each part of the volume, of so many across slices; None: too few."""
    known = (patches.variance > 0) & (patches.surroundings > 0)
    if known.sum() < _FEWEST:
        return None
    mean = patches.mean[known]
    low, high = np.quantile(mean, [0.005, 0.995])
    place = patches.place[known]
    counts = (across, _PARTS, _PARTS)
    parts = [np.minimum(place[:, axis] * each, each - 1).astype(np.intp) for axis, each in enumerate(counts)]
    found = _Chosen(
        place,
        mean,
        np.clip((mean - low) / max(float(high - low), 1e-9), 0, 1),
        np.log(patches.variance[known]),
        np.log(patches.surroundings[known]),
        np.ravel_multi_index(tuple(parts), counts),
    )
    return found.only(_calmest(found.surroundings, found.part, _CALMER))


def _calmest(restless: NDArray[np.float64], part: NDArray[np.intp], share: float) -> NDArray[np.bool_]:
    """Which patches are the calmest share of their part of the image."""
    kept = np.zeros(len(restless), bool)
    for each in np.unique(part):
        inside = part == each
        kept[inside] = restless[inside] <= np.quantile(restless[inside], share)
    return kept


def _fit(chosen: _Chosen, knots: tuple[int, int, int]) -> _Fit | None:
    """Fit curve and map in turn with the choice of the calmest; None: too few patches are left."""
    from scipy import sparse

    classes = _classes(chosen.brightness)
    rows = sparse.hstack([classes, _basis(chosen.place, knots)]).tocsr()
    smooth = _roughness(knots, classes.shape[1])
    fitted, scatter = np.zeros(len(chosen.variance)), 1.0
    for turn in range(_ROUNDS):
        used = _calmest(chosen.surroundings - fitted, chosen.part, _CALMEST)
        if turn:
            off = chosen.variance - fitted
            low, middle = np.quantile(off[used], [_LOW, 0.5])
            # Anatomy only adds: so the lower half tells how far noise scatters.
            scatter = float(middle - low) / _LOW_STDS
            used &= off < middle + _MOST_STDS * scatter
        if used.sum() < _FEWEST or not scatter > 0:
            return None
        inside = rows[used]
        weight = 1 / (scatter**2 * _OVERLAP)
        # What neither patches nor smoothness tell, the level of all, is told apart by as good as nothing.
        normal = weight * (inside.T @ inside).toarray() + smooth + 1e-6 * np.eye(len(smooth))
        found = np.linalg.solve(normal, weight * (inside.T @ chosen.variance[used]))
        fitted = rows @ found
    # Of a variance's logarithm, half is the level's.
    logs = found[classes.shape[1] :].reshape(knots) / 2
    return _Fit(logs, chosen.only(used))


def _tells(logs: NDArray[np.float64], chosen: _Chosen, knots: tuple[int, int, int], expected: float) -> bool:
    """Whether the calmest patches scatter as noise does with a map, and clearly less than without one."""
    calmest = chosen.only(_calmest(chosen.surroundings, chosen.part, _TELLING))
    classes = _classes(calmest.brightness).toarray()

    def scatter(variance: NDArray[np.float64]) -> float:
        curve = np.linalg.lstsq(classes, variance, rcond=None)[0]
        low, high = np.quantile(variance - classes @ curve, [0.25, 0.75])
        return float(high - low) / (2 * MEDIAN_OF_NORMAL)

    left = scatter(calmest.variance - 2 * (_basis(calmest.place, knots) @ logs.ravel()))
    more = _MORE_EVEN + _BY_CHANCE / np.sqrt(len(calmest.variance) / _OVERLAP)
    return left < _MOST_SCATTER * expected and more * left < scatter(calmest.variance)


def _classes(brightness: NDArray[np.float64]) -> Any:
    """Sparse weights (patches, knots) of the curve's logarithms at a brightness from 0 to 1."""
    from scipy import sparse

    return sparse.csr_array(hats(brightness, 2, _CLASSES + 1))


def _basis(place: NDArray[np.float64], knots: tuple[int, int, int]) -> Any:
    """Sparse weights (patches, knots in all) of a map's logarithms at places from 0 to 1."""
    from scipy import sparse

    lower, parts = [], []
    for axis, count in enumerate(knots):
        position = place[:, axis] * (count - 1)
        first = np.minimum(position.astype(np.intp), max(count - 2, 0))
        lower.append(first)
        parts.append(position - first)
    numbers, weights = [], []
    for corner in product(*((0, 1) if count > 1 else (0,) for count in knots)):
        at = [first + step for first, step in zip(lower, corner, strict=True)]
        numbers.append(np.ravel_multi_index(tuple(at), knots))
        weights.append(np.prod([p if step else 1 - p for p, step in zip(parts, corner, strict=True)], axis=0))
    count = len(place)
    where = (np.tile(np.arange(count), len(numbers)), np.concatenate(numbers))
    return sparse.csr_array((np.concatenate(weights), where), shape=(count, int(np.prod(knots))))


def _roughness(knots: tuple[int, int, int], classes: int) -> NDArray[np.float64]:
    """Inverse covariance (unknowns, unknowns) of curve and map before any patch is looked at."""
    curve = _differences(classes, 2) / _CURVE_BEND**2 + _differences(classes, 1) / _CURVE_SLOPE**2
    total = np.zeros((classes + int(np.prod(knots)),) * 2)
    total[:classes, :classes] = curve
    for axis, count in enumerate(knots):
        each = [np.eye(one) for one in knots]
        if axis:
            # A bend over longer steps is as much stronger; the planes across slices share it.
            apart = (_MOST_KNOTS - 1) / max(count - 1, 1)
            bend = _differences(count, 2) / (_BEND * apart**2) ** 2
            each[axis] = (bend + _differences(count, 1) / (_SLOPE * apart) ** 2) / knots[0]
        else:
            each[axis] = _differences(count, 1) / _ACROSS**2
        total[classes:, classes:] += np.kron(np.kron(each[0], each[1]), each[2])
    return total


def _differences(count: int, order: int) -> NDArray[np.float64]:
    """Matrix (count, count) of the sum of squared differences of that order."""
    differences = np.diff(np.eye(count), order, axis=0)
    return np.asarray(differences.T @ differences)


def _expected_scatter(correlation: Correlation) -> float:
    """Std of the logarithm of the variance of patches of pure noise."""
    from scipy.special import polygamma

    free = Scatter.of(correlation, NARROW[0]).free
    return float(np.sqrt(polygamma(1, free / 2)))

"""Patches of a scan that lie in calm surroundings, and hence hold little but noise.

Patches that are flat themselves would be the obvious choice; but among patches of pure noise, those
of the least variance are those in which its slow components happen to be weak, so that level and
correlation would come out too low. Anatomy is continuous and noise is not: so a patch is chosen by how
flat the eight patches around it are, and the same place in the adjacent slices, all of which have
noise of their own. What is left in a patch after a quadratic surface is taken off is mostly noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.place import Placed
from diffdenoise.scan.sample import Part, Shape, parts_of
from diffdenoise.types import Slices

#: Brightness classes; in each, this share of the patches, those in the calmest surroundings, is used;
#: up to the second share, if that is needed for as many pixels as figures need.
_CLASSES, CALM, _MOST_CALM, _LEAST_PIXELS = 8, 0.08, 0.4, 3000
#: A patch that varies by more than this many times the median of the chosen is not flat after all (the
#: square of it where many are chosen, since noise itself may vary from place to place).
_TOO_VARIED = 2.0
#: Std, as a share of the range, that no image has: pure Gaussian noise has .19, and the air of ratios
#: (MP2RAGE), which is evenly spread over all of it, .29.
_NO_IMAGE = 0.25
#: Share of such patches that doesn't matter, and patches that the range is told by.
_FEW_OF_NO_IMAGE, _SAMPLED = 0.01, 4000
#: A darkest level below this share of the others' median is that of a background cut off at zero.
_CUT_OFF = 0.75
#: The classes are equally wide up to this many times the 90th percentile of the brightness; beyond, each is
#: twice as wide as the one before: a few hot spots must not leave the rest in one class.
_BULK = 2.0
#: Noise grows with brightness no faster than that itself, as speckle does; a class with more than this many
#: times what another one's level allows for holds edges, and so does one with less than this share.
_OVER, _FEW = 2.0, 0.05


@dataclass(frozen=True)
class Patches:
    """Patches of a scan.

    Attributes
    ----------
    values : float32 array (patches, side, side)
        The patches.
    residual : float32 array, same shape
        Patch less its least-squares quadratic surface.
    mean, variance : arrays (patches,)
        Mean of the patch, and variance of the residual.
    surroundings : array (patches,)
        Mean variance of the patches around it.
    place : array (patches, 3)
        Where its middle is in its volume: across slices, down and right, each from 0 to 1.
    """

    values: NDArray[np.float32]
    residual: NDArray[np.float32]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    surroundings: NDArray[np.float64]
    place: NDArray[np.float64]


def shapes_of(stacks: Sequence[Slices]) -> list[Shape]:
    """Slices, height and width of each stack."""
    return [(int(stack.shape[0]), int(stack.shape[1]), int(stack.shape[2])) for stack in stacks]


def cut_part(stack: Slices, part: Part, number: int | None = None) -> NDArray[np.float32]:
    """Return a part of a slice, or the same part of another slice of its stack."""
    image = stack[part.number if number is None else number]
    return np.asarray(image[slice(*part.rows), slice(*part.columns)])


def find_patches(stacks: Sequence[Slices], side: int, *, adjacent: bool) -> Patches:
    """Cut overlapping patches out of evenly spaced slices.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure. What is left of patches of `Placed` ones,
        and its variance, is in units of the level at their place.
    side : int
        Side of a patch in pixels.
    adjacent : bool
        Whether adjacent slices have noise of their own, so that they can tell what is calm.
    """
    found: list[tuple[NDArray[Any], ...]] = []
    arounds: list[NDArray[np.float64]] = []
    for part in parts_of(shapes_of(stacks)):
        stack = stacks[part.volume]
        image = cut_part(stack, part)
        if min(image.shape) < 3 * side:
            continue
        values, mean, residual, variance, flat = _cut(image, side)
        around = _around(variance)
        level = _level(stack, part, part.number, side)
        if level is not None:
            residual, variance = residual / level[:, :, None, None], variance / level**2
        surroundings = _around(variance)
        if adjacent:
            beside = [k for k in (part.number - 1, part.number + 1) if 0 <= k < len(stack)]
            others = [_variance(stack, part, k, side) for k in beside]
            surroundings = surroundings + _mean_of_known(others) if others else surroundings
        # Not those that are constant, or reach to where nothing can be measured.
        keep = ~flat.astype(bool) & np.isfinite(variance) & np.isfinite(surroundings)
        # In float32 at once: of a large image these are many.
        kept = (values[keep].astype(np.float32), residual[keep].astype(np.float32))
        place = _places(part, stack, keep, side)
        found.append((*kept, mean[keep], variance[keep], surroundings[keep], place))
        arounds.append(around[keep])
    if not found:
        nothing = np.empty(0)
        none = np.empty((0, side, side), np.float32)
        return Patches(none, none, nothing, nothing, nothing, np.empty((0, 3)))
    return _of_the_image(Patches(*(np.concatenate(each) for each in zip(*found, strict=True))), arounds)


def _of_the_image(patches: Patches, arounds: Sequence[NDArray[np.float64]]) -> Patches:
    """Leave out patches in nothing but noise, where they are many.

    Parameters
    ----------
    patches : Patches
        All of a scan.
    arounds : sequence of arrays
        Mean variance around each in its slice, whatever the level there.
    """
    if not len(patches.mean):
        return patches
    some = patches.values[:: max(1, len(patches.mean) // _SAMPLED), ::3, ::3]
    low, high = np.quantile(some, [0.005, 0.995])
    image = np.concatenate(arounds) < (_NO_IMAGE * float(high - low)) ** 2
    if image.mean() > 1 - _FEW_OF_NO_IMAGE:
        return patches
    return Patches(*(getattr(patches, field.name)[image] for field in fields(patches)))


def _cut(image: NDArray[np.float32], side: int) -> tuple[NDArray[Any], ...]:
    """Values, mean, residual, variance and whether it is constant, of each patch of a grid over a slice."""
    windows, flat, residual, variance = _fitted(image, side)
    rows, columns = windows.shape[:2]
    # Not by maximum and minimum, which take longer; NaN is not equal to itself.
    constant = (flat == flat[:, :1]).all(1)
    grid = (rows, columns)
    return (
        windows,
        flat.mean(1).reshape(grid),
        residual.reshape(*grid, side, side),
        variance,
        constant.reshape(grid),
    )


def _fitted(image: NDArray[np.float32], side: int) -> tuple[NDArray[Any], ...]:
    """Patches of a grid over a slice, flat ones, what is left of these without surfaces, and its variance."""
    step = side // 2
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side))[::step, ::step]
    rows, columns = windows.shape[:2]
    flat = windows.reshape(rows * columns, side * side).astype(np.float64)
    shapes = surfaces(side)
    residual = flat - (flat @ shapes.T) @ shapes
    variance = (residual**2).sum(1) / (side * side - len(shapes))
    return windows, flat, residual, variance.reshape(rows, columns)


def _variance(stack: Slices, part: Part, number: int, side: int) -> NDArray[np.float64]:
    """Variance alone of each patch's residual, of the same part of another slice."""
    variance = _fitted(cut_part(stack, part, number), side)[3]
    level = _level(stack, part, number, side)
    return variance if level is None else np.asarray(variance / level**2)


def _level(stack: Slices, part: Part, number: int, side: int) -> NDArray[np.float64] | None:
    """How many times its typical level the noise is in the middle of each patch; None: it isn't said."""
    if not isinstance(stack, Placed):
        return None
    (top, bottom), (left, right) = part.rows, part.columns
    step, middle = side // 2, side // 2
    rows, columns = ((end - start - side) // step + 1 for start, end in (part.rows, part.columns))
    factors = stack.factors[number][top + middle : bottom : step, left + middle : right : step]
    return np.asarray(factors[:rows, :columns], dtype=np.float64)


def _places(part: Part, stack: Slices, keep: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Where those patches of a part that are kept are: across slices, down and right, from 0 to 1."""
    down, right = np.nonzero(keep)
    middle = (side - 1) / 2
    pixels = (part.rows[0] + side // 2 * down + middle, part.columns[0] + side // 2 * right + middle)
    sizes = stack.shape[1:]
    inside = [at / max(size - 1, 1) for at, size in zip(pixels, sizes, strict=True)]
    # A single slice is in the middle of what it is a part of.
    across = part.number / (len(stack) - 1) if len(stack) > 1 else 0.5
    return np.stack([np.full(len(down), across), *inside], axis=1)


def _around(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of a grid's eight neighbours that don't overlap with the patch (two steps of half a side)."""
    rows, columns = variance.shape
    wide = np.pad(variance, 2, mode="reflect")
    offsets = [(down, right) for down in (0, 2, 4) for right in (0, 2, 4) if (down, right) != (2, 2)]
    return _mean_of_known([wide[down : down + rows, right : right + columns] for down, right in offsets])


def _mean_of_known(grids: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean of grids at each place, without NaN; NaN where there is nothing else."""
    known = [np.isfinite(grid) for grid in grids]
    total = np.sum([np.where(where, grid, 0) for where, grid in zip(known, grids, strict=True)], axis=0)
    count = np.sum(known, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@cache
def surfaces(side: int) -> NDArray[np.float64]:
    """Orthonormal quadratic surfaces over a patch, (6, side^2)."""
    flat = np.full(side, side**-0.5)
    slope = np.arange(side) - (side - 1) / 2
    bend = slope**2 - (slope**2).mean()
    slope, bend = slope / np.linalg.norm(slope), bend / np.linalg.norm(bend)
    pairs = [(flat, flat), (slope, flat), (flat, slope), (bend, flat), (flat, bend), (slope, slope)]
    return np.stack([np.kron(down, right) for down, right in pairs])


@dataclass(frozen=True)
class CalmLevel:
    """Noise of one brightness class, from its patches in the calmest surroundings.

    Attributes
    ----------
    number : int
        Of the class, from dark to bright.
    mean, std : float
        Mean intensity, and std of the residuals.
    chosen : int array
        Numbers of the patches.
    """

    number: int
    mean: float
    std: float
    chosen: NDArray[np.intp]


def calm_levels(patches: Patches, share: float = CALM, *, trim: bool = True) -> list[CalmLevel]:
    """Noise level of each brightness class with enough calm patches, from dark to bright.

    Where no class has enough, as in a small image, all brightnesses are one class.

    Parameters
    ----------
    patches : Patches
        All of a scan.
    share : float
        Of each class's patches, those in the calmest surroundings to use.
    trim : bool
        Whether to leave out those that vary far more than the rest after all.
    """
    if not len(patches.mean):
        return []
    # The classes are those of the smallest share, whatever the share.
    edges = class_edges(patches.mean)
    calm = _levels(patches, edges, CALM, trim=trim)
    if not calm:
        return _levels(patches, edges[[0, -1]], share, trim=trim)
    calm = _without_edges(calm, edges[0])
    if share == CALM:
        return calm
    kept = {level.number for level in calm}
    return [one for one in _levels(patches, edges, share, trim=trim) if one.number in kept]


def class_edges(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Borders of the brightness classes, from dark to bright; what lies beyond belongs to the outer ones.

    Parameters
    ----------
    means : array (patches,)
        Of at least one patch.
    """
    low, bright, high = np.quantile(means, [0.005, 0.9, 0.995])
    bulk = min(high - low, _BULK * (bright - low))
    if bulk <= 0:
        bulk = max(high - low, 1e-9)
    edges = [*np.linspace(low, low + bulk, _CLASSES + 1)]
    while edges[-1] < high - 1e-9:
        edges.append(edges[-1] + 2 * (edges[-1] - edges[-2]))
    return np.array(edges)


def _without_edges(levels: list[CalmLevel], dark: float) -> list[CalmLevel]:
    """Leave out classes between tissues that hold nothing but edges, told by what noise can't be.

    Parameters
    ----------
    levels : list of CalmLevel
        From dark to bright.
    dark : float
        Lowest brightness.
    """
    most = max(len(level.chosen) for level in levels)

    def allowed(level: CalmLevel, other: CalmLevel) -> float:
        """Highest level that noise can have in a class, by that of another."""
        brighter = (level.mean - dark) / max(other.mean - dark, 1e-9)
        return _OVER * other.std * max(brighter, 1.0)

    telling = [level for level in tissue_levels(levels) if len(level.chosen) >= _FEW * most]
    return [level for level in levels if all(level.std <= allowed(level, other) for other in telling)]


def is_cut_off(stds: Sequence[float], weights: Sequence[float]) -> bool:
    """Whether the first of some levels is that of a background cut off at zero, masked or Rician.

    Parameters
    ----------
    stds, weights : sequences of float
        Noise levels in order of brightness, and how many patches each stands for.
    """
    return len(stds) >= 3 and stds[0] < _CUT_OFF * weighted_median(stds[1:], weights[1:])


def tissue_levels(levels: list[CalmLevel]) -> list[CalmLevel]:
    """Levels without that of a background cut off at zero."""
    cut_off = is_cut_off([one.std for one in levels], [len(one.chosen) for one in levels])
    return levels[1:] if cut_off else levels


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """Value below which half of the weight lies."""
    order = np.argsort(values)
    passed = np.cumsum(np.asarray(weights, dtype=float)[order])
    return float(np.asarray(values)[order][int(np.searchsorted(passed, 0.5 * passed[-1]))])


def _levels(
    patches: Patches, edges: NDArray[np.float64], least_share: float, *, trim: bool
) -> list[CalmLevel]:
    area = patches.residual.shape[1] ** 2
    number = np.searchsorted(edges[1:-1], patches.mean, side="right")
    found = []
    for each in range(len(edges) - 1):
        inside = np.flatnonzero(number == each)
        share = max(least_share, 1.1 * _LEAST_PIXELS / area / max(len(inside), 1))
        if share > max(_MOST_CALM, least_share):
            continue
        limit = np.quantile(patches.surroundings[inside], share)
        chosen = inside[patches.surroundings[inside] <= limit]
        variance = patches.variance[chosen]
        varied = _TOO_VARIED if least_share == CALM else _TOO_VARIED**2
        if trim:
            chosen = chosen[variance <= varied * np.median(variance)]
        std = float(np.sqrt(patches.variance[chosen].mean()))
        if std > 0:
            found.append(CalmLevel(each, float(patches.mean[chosen].mean()), std, chosen))
    return found

"""The noise's correlation, from patches that lie in calm surroundings.

Patches that are flat themselves would be the obvious choice; but among patches of pure noise, those
of the least variance are those in which its slow components happen to be weak, so the correlation
would come out too narrow. Anatomy is continuous and noise is not: so a patch is chosen by how flat
the eight patches around it are, and the same place in the adjacent slices, all of which have noise
of their own. What is left in a patch after a quadratic surface is taken off is then mostly noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.types import Stack

#: Side of a patch, lags at which noise may be correlated in it, and lags measured: what is left at the
#: longer ones is anatomy. The wider patches are for noise too wide for the narrow ones.
_NARROW, _WIDE = (8, 3, 6), (16, 6, 10)
#: Correlation two pixels apart from which on the wide pair is used.
_IS_WIDE = 0.3
#: Kernel width in pixels from which on levels are read from the wide patches; width of the Gaussian
#: whose correlation stands for anatomy's, as a share of a patch's side.
_WIDE_FROM_PX, _ANATOMY_WIDTH = 0.75, 1 / 3
#: Brightness classes; in each, this share of the patches, those in the calmest surroundings, is used;
#: up to the second share, if that is needed for as many pixels as figures need.
_CLASSES, _CALM, _MOST_CALM, _LEAST_PIXELS = 8, 0.08, 0.4, 3000
#: Shares of a class's patches that its level is read from, the largest in which anatomy is no more than
#: this part of the variance.
_SHARES, _MOST_ANATOMY = (_CALM, 0.25, 0.5, 0.8), 0.06
#: A patch that varies by more than this many times the median of the chosen is not flat after all (the
#: square of it where many are chosen, since noise itself may vary from place to place).
_TOO_VARIED = 2.0
#: Anatomy adds to the measured correlation and never takes from it: the classes in which it is least
#: count, up to this share of the patches.
_LEAST_ANATOMY = 0.3
#: A darkest class with noise weaker than this share of the others' is background cut off at zero, or
#: Rician, where the noise is correlated differently.
_CUT_OFF = 0.75
#: Correlation between neighbours that anatomy can feign; up to this, noise is taken for independent.
_FEIGNED = 0.06
#: Correlation at other lags that is taken for none.
_NOTHING = 0.03
#: Pixels looked at in all, so that the time is bounded.
_MOST_PIXELS = 16 * 512 * 512
_MOST_SLICES = 16
#: Larger slices are looked at in parts of this side.
_PART = 1024


@dataclass(frozen=True)
class Patches:
    """Patches of a scan.

    Attributes
    ----------
    residual : float32 array (patches, side, side)
        Patch less its least-squares quadratic surface.
    mean, variance : arrays (patches,)
        Mean of the patch, and variance of the residual.
    surroundings : array (patches,)
        Mean variance of the patches around it.
    """

    residual: NDArray[np.float32]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    surroundings: NDArray[np.float64]


def chosen_slices(stacks: Sequence[Stack]) -> list[tuple[Stack, int]]:
    """Evenly spaced slices of a scan, or parts of large ones, as (stack, number)."""
    parts = [part for stack in stacks for part in _parts(stack)]
    places = [(part, k) for part in parts for k in range(len(part))]
    pixels = max(part.shape[1] * part.shape[2] for part in parts)
    count = min(len(places), _MOST_SLICES, max(1, _MOST_PIXELS // pixels))
    chosen = np.unique(np.linspace(0, len(places) - 1, count).round().astype(int))
    return [places[index] for index in chosen]


def _parts(stack: Stack) -> list[Stack]:
    """Views of a stack, none larger than `_PART` pixels along an axis of the slices."""
    cuts = [
        [(start, min(start + _PART, size)) for start in range(0, size, _PART)] for size in stack.shape[1:]
    ]
    return [stack[:, top:bottom, left:right] for top, bottom in cuts[0] for left, right in cuts[1]]


def find_patches(stacks: Sequence[Stack], side: int, *, adjacent: bool) -> Patches:
    """Cut overlapping patches out of evenly spaced slices.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities.
    side : int
        Side of a patch in pixels.
    adjacent : bool
        Whether adjacent slices have noise of their own, so that they can tell what is calm.
    """
    found: list[tuple[NDArray[np.float64], ...]] = []
    for stack, k in chosen_slices(stacks):
        if min(stack.shape[1:]) < 3 * side:
            continue
        mean, residual, variance, flat = _cut(stack[k], side)
        surroundings = _around(variance)
        if adjacent:
            others = [_cut(stack[other], side)[2] for other in (k - 1, k + 1) if 0 <= other < len(stack)]
            surroundings = surroundings + np.mean(others, axis=0) if others else surroundings
        keep = flat == 0
        found.append((residual[keep], mean[keep], variance[keep], surroundings[keep]))
    if not found:
        nothing = np.empty(0)
        return Patches(np.empty((0, side, side), np.float32), nothing, nothing, nothing)
    residuals, means, variances, around = (np.concatenate(each) for each in zip(*found, strict=True))
    return Patches(residuals.astype(np.float32), means, variances, around)


def _cut(image: NDArray[np.float32], side: int) -> tuple[NDArray[np.float64], ...]:
    """Mean, residual, variance and whether it is constant, of each patch of a grid over a slice."""
    step = side // 2
    windows = np.lib.stride_tricks.sliding_window_view(image, (side, side))[::step, ::step]
    rows, columns = windows.shape[:2]
    flat = windows.reshape(rows * columns, side * side).astype(np.float64)
    surfaces = _surfaces(side)
    residual = flat - (flat @ surfaces.T) @ surfaces
    variance = (residual**2).sum(1) / (side * side - len(surfaces))
    constant = flat.max(1) == flat.min(1)
    grid = (rows, columns)
    return (
        flat.mean(1).reshape(grid),
        residual.reshape(*grid, side, side),
        variance.reshape(grid),
        constant.reshape(grid),
    )


def _around(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of a grid's eight neighbours that don't overlap with the patch (two steps of half a side)."""
    rows, columns = variance.shape
    wide = np.pad(variance, 2, mode="reflect")
    offsets = [(down, right) for down in (0, 2, 4) for right in (0, 2, 4) if (down, right) != (2, 2)]
    return np.asarray(
        np.mean([wide[down : down + rows, right : right + columns] for down, right in offsets], axis=0)
    )


@cache
def _surfaces(side: int) -> NDArray[np.float64]:
    """Orthonormal quadratic surfaces over a patch, (6, side^2)."""
    flat = np.full(side, side**-0.5)
    slope = np.arange(side) - (side - 1) / 2
    bend = slope**2 - (slope**2).mean()
    slope, bend = slope / np.linalg.norm(slope), bend / np.linalg.norm(bend)
    pairs = [(flat, flat), (slope, flat), (flat, slope), (bend, flat), (flat, bend), (slope, slope)]
    return np.stack([np.kron(down, right) for down, right in pairs])


def estimate_correlation(stacks: Sequence[Stack], *, adjacent: bool) -> Correlation:
    """Estimate the correlation of a scan's noise inside slices.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities.
    adjacent : bool
        As in `find_patches`.

    Returns
    -------
    Correlation
        White where nothing else can be told.
    """
    for side, lags, measured_lags in (_NARROW, _WIDE):
        measured = _measure(find_patches(stacks, side, adjacent=adjacent), measured_lags)
        if measured is None:
            continue
        down, right = _separate(measured, side, lags, measured_lags)
        if side == _NARROW[0] and max(down[1], right[1]) > _IS_WIDE:
            continue
        return Correlation(_significant(down), _significant(right))
    return Correlation()


@dataclass(frozen=True)
class LevelPoint:
    """Noise level at one brightness.

    Attributes
    ----------
    brightness, std : float
        Mean intensity of the calm patches, and std of the noise in them.
    patches : int
        Number of these patches.
    """

    brightness: float
    std: float
    patches: int


def noise_curve(stacks: Sequence[Stack], correlation: Correlation, *, adjacent: bool) -> list[LevelPoint]:
    """Noise level at each brightness, from dark to bright.

    What calm patches hold is taken for a sum of noise, whose autocorrelation is known, and of anatomy,
    whose is wide; non-negative least squares tells how much of each.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities.
    correlation : Correlation
        Of the noise.
    adjacent : bool
        As in `find_patches`.

    Returns
    -------
    list of LevelPoint
        Empty where no patch is large enough or calm.
    """
    from scipy.optimize import nnls

    side, lags, _ = _WIDE if max(correlation.width_px) > _WIDE_FROM_PX else _NARROW
    patches = find_patches(stacks, side, adjacent=adjacent)
    if not len(patches.mean):
        side, lags, _ = _NARROW
        patches = find_patches(stacks, side, adjacent=adjacent)
    anatomy = Correlation.gaussian(_ANATOMY_WIDTH * side)
    parts = np.stack(
        [_expected_of(one, side, lags) for one in (correlation, anatomy)],
        axis=1,
    )
    found: dict[int, LevelPoint] = {}
    # The calmest places may be those where the noise itself is weak: so from many places if that can be.
    # Wide noise looks like anatomy, so that the two can't be told apart well enough for it.
    for share in _SHARES if side == _NARROW[0] else _SHARES[:1]:
        for level in calm_levels(patches, share):
            products = _lagged_products(patches.residual[level.chosen], lags)
            (noise, anatomy), _ = nnls(parts, products)
            if noise > 0 and (share == _SHARES[0] or anatomy * parts[0, 1] < _MOST_ANATOMY * products[0]):
                found[level.number] = LevelPoint(level.mean, float(np.sqrt(noise)), len(level.chosen))
    return [found[number] for number in sorted(found)]


def _lagged_products(residual: NDArray[np.float32], lags: int) -> NDArray[np.float64]:
    """Mean product of pixels of patches that lie apart by each of `_lag_pairs`."""
    side = residual.shape[1]
    cube = residual.astype(np.float64)
    return np.array(
        [
            (cube[:, : side - down, : side - right] * cube[:, down:, right:]).mean()
            for down, right in _lag_pairs(lags)
        ]
    )


def _lag_pairs(lags: int) -> list[tuple[int, int]]:
    """(0, 0), then down, then right."""
    steps = range(1, lags + 1)
    return [(0, 0), *((step, 0) for step in steps), *((0, step) for step in steps)]


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


def calm_levels(patches: Patches, share: float = _CALM) -> list[CalmLevel]:
    """Noise level of each brightness class with enough calm patches, from dark to bright.

    Where no class has enough, as in a small image, all brightnesses are one class.

    Parameters
    ----------
    patches : Patches
        All of a scan.
    share : float
        Of each class's patches, those in the calmest surroundings to use.
    """
    if not len(patches.mean):
        return []
    return _levels(patches, _CLASSES, share) or _levels(patches, 1, share)


def _levels(patches: Patches, classes: int, least_share: float) -> list[CalmLevel]:
    area = patches.residual.shape[1] ** 2
    low, high = np.quantile(patches.mean, [0.005, 0.995])
    number = np.clip((patches.mean - low) / max(high - low, 1e-9) * classes, 0, classes - 1).astype(int)
    found = []
    for each in range(classes):
        inside = np.flatnonzero(number == each)
        share = max(least_share, 1.1 * _LEAST_PIXELS / area / max(len(inside), 1))
        if share > max(_MOST_CALM, least_share):
            continue
        limit = np.quantile(patches.surroundings[inside], share)
        chosen = inside[patches.surroundings[inside] <= limit]
        variance = patches.variance[chosen]
        varied = _TOO_VARIED if least_share == _CALM else _TOO_VARIED**2
        chosen = chosen[variance <= varied * np.median(variance)]
        std = float(np.sqrt(patches.variance[chosen].mean()))
        if std > 0:
            found.append(CalmLevel(each, float(patches.mean[chosen].mean()), std, chosen))
    return found


def _measure(patches: Patches, lags: int) -> NDArray[np.float64] | None:
    """Autocorrelation of the residuals along both axes, where there is least anatomy in them."""
    levels = calm_levels(patches)
    if not levels:
        return None
    if len(levels) >= 3 and levels[0].std < _CUT_OFF * float(np.median([one.std for one in levels[1:]])):
        levels = levels[1:]
    products = [_lagged_products(patches.residual[level.chosen], lags) for level in levels]
    classes = [each / each[0] for each in products]
    order = np.argsort([float(lagged[1:].sum()) for lagged in classes])
    weights = np.array([len(levels[k].chosen) for k in order], dtype=float)
    before = np.cumsum(weights) - weights
    used = before < _LEAST_ANATOMY * weights.sum()
    return np.asarray(np.average([classes[k] for k in order], axis=0, weights=weights * used))


def _separate(
    measured: NDArray[np.float64], side: int, lags: int, measured_lags: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noise's autocorrelations (lags 1 and on, down and right) that explain the measured one best.

    Least squares over the noise's lags, its level and that of anatomy, whose correlation is wide; all as
    they are once the surfaces are taken off.
    """
    from scipy.optimize import least_squares

    anatomy = _expected_of(Correlation.gaussian(_ANATOMY_WIDTH * side), side, measured_lags)

    def missing(unknown: NDArray[np.float64]) -> NDArray[np.float64]:
        down, right = (np.array([1.0, *part]) for part in np.split(unknown[2:], 2))
        noise = _expected(down, right, side, measured_lags)
        return np.asarray(unknown[0] * noise + unknown[1] * anatomy - measured)

    start = np.concatenate([[1.0, 0.05], np.zeros(2 * lags)])
    lowest = np.concatenate([[0.0, 0.0], np.full(2 * lags, -0.5)])
    highest = np.concatenate([[10.0, 10.0], np.full(2 * lags, 0.99)])
    found = least_squares(missing, start, bounds=(lowest, highest)).x
    down, right = np.split(found[2:], 2)
    return down, right


def _expected_of(correlation: Correlation, side: int, lags: int) -> NDArray[np.float64]:
    down, right = (np.array([1.0, *axis])[:side] for axis in (correlation.down, correlation.right))
    return _expected(down, right, side, lags)


def _expected(
    down: NDArray[np.float64], right: NDArray[np.float64], side: int, lags: int
) -> NDArray[np.float64]:
    """Mean lagged products of patches of unit noise less their surfaces."""
    apart = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    along, across = (
        np.concatenate([lagged, np.zeros(side - len(lagged))])[apart] for lagged in (down, right)
    )
    surfaces = _surfaces(side)
    full = np.kron(along, across)
    taken = surfaces.T @ (surfaces @ full)
    left = (full - taken - taken.T + surfaces.T @ (surfaces @ full @ surfaces.T) @ surfaces).reshape(
        (side,) * 4
    )
    rows, columns = np.arange(side)[:, None], np.arange(side)[None]
    return np.array(
        [
            left[rows[: side - one], columns[:, : side - other], rows[one:], columns[:, other:]].mean()
            for one, other in _lag_pairs(lags)
        ]
    )


def _significant(lags: NDArray[np.float64]) -> tuple[float, ...]:
    """Lags without what anatomy can feign; nothing if neighbours are all but independent."""
    if abs(lags[0]) < _FEIGNED:
        return ()
    kept = np.where(np.abs(lags) < _NOTHING, 0.0, lags)
    last = int(np.flatnonzero(kept)[-1]) + 1
    return tuple(round(float(lag), 4) for lag in kept[:last])

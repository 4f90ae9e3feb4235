"""The autocorrelation of a scan's noise inside slices, told apart from that of anatomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.patches import CalmLevel, Patches, calm_levels, find_patches, surfaces, tissue_levels
from diffdenoise.noise.spectrum import with_fine_half
from diffdenoise.types import Slices

#: Side of a patch, lags at which noise may be correlated in it, and lags measured: what is left at the
#: longer ones is anatomy. The wider patches are for noise too wide for the narrow ones.
NARROW, WIDE = (8, 3, 6), (16, 6, 10)
#: Correlation two pixels apart from which on the wide patches are used.
_IS_WIDE = 0.3
#: Width of the Gaussian whose correlation stands for anatomy's, as a share of a patch's side.
_ANATOMY_WIDTH = 1 / 3
#: Anatomy adds to the measured correlation and never takes from it: the classes in which it is least
#: count, up to this share of the patches.
_LEAST_ANATOMY = 0.3
#: Correlation between neighbours that anatomy can feign; up to this, noise is taken for independent.
_FEIGNED = 0.06
#: Correlation at other lags that is taken for none.
_NOTHING = 0.03


def estimate_correlation(stacks: Sequence[Slices], *, adjacent: bool) -> Correlation:
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
    return _estimate(stacks, _least_anatomy, adjacent=adjacent)


def estimate_background(stacks: Sequence[Slices], *, adjacent: bool) -> Correlation | None:
    """Estimate the correlation of the noise where there is no signal, if that is noise of another kind.

    The noise of a magnitude image is that of the complex one's real part where the signal is strong, and
    is correlated less, by about the square, where there is none.

    Parameters
    ----------
    stacks, adjacent
        As in `estimate_correlation`.

    Returns
    -------
    Correlation or None
        None without such a background.
    """
    calm = _background(find_patches(stacks, NARROW[0], adjacent=adjacent), NARROW[2])
    return _estimate(stacks, _background, adjacent=adjacent) if calm else None


def _estimate(
    stacks: Sequence[Slices], calm_of: Callable[[Patches, int], list[_Calm]], *, adjacent: bool
) -> Correlation:
    found = WHITE
    for side, lags, measured_lags in (NARROW, WIDE):
        calm = calm_of(find_patches(stacks, side, adjacent=adjacent), measured_lags)
        if not calm:
            continue
        measured = np.average([one.lagged for one in calm], axis=0, weights=[one.weight for one in calm])
        down, right = _separate(measured, side, lags, measured_lags)
        found = Correlation.of_axes(_significant(down), _significant(right))
        if max(down[1], right[1]) <= _IS_WIDE:
            break
    side, _, lags = WIDE
    calm = [] if found.is_white else calm_of(find_patches(stacks, side, adjacent=adjacent), lags)
    return _with_fine_half(found, calm) if calm else found


def lagged_products(residual: NDArray[np.float32], lags: int) -> NDArray[np.float64]:
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
class _Calm:
    """Calm patches of one brightness class: residuals, autocorrelation along both axes, weight."""

    residual: NDArray[np.float32]
    lagged: NDArray[np.float64]
    weight: float


def _least_anatomy(patches: Patches, lags: int) -> list[_Calm]:
    """The classes of calm patches in which there is least anatomy."""
    classes = [_calm(patches, level, lags) for level in tissue_levels(calm_levels(patches))]
    classes.sort(key=lambda one: float(one.lagged[1:].sum()))
    before = np.cumsum([0.0, *(one.weight for one in classes)])
    return [one for one, passed in zip(classes, before, strict=False) if passed < _LEAST_ANATOMY * before[-1]]


def _background(patches: Patches, lags: int) -> list[_Calm]:
    """The darkest class, if it is a background cut off at zero."""
    levels = calm_levels(patches)
    darkest = levels[: len(levels) - len(tissue_levels(levels))]
    return [_calm(patches, level, lags) for level in darkest]


def _calm(patches: Patches, level: CalmLevel, lags: int) -> _Calm:
    residual = patches.residual[level.chosen]
    products = lagged_products(residual, lags)
    return _Calm(residual, products / products[0], float(len(level.chosen)))


def _with_fine_half(found: Correlation, calm: Sequence[_Calm]) -> Correlation:
    """Take the upper half of a correlated noise's spectrum from the scan."""
    residuals, weights = [one.residual for one in calm], [one.weight for one in calm]
    axes = [
        _rounded(with_fine_half(np.array(axis), residuals, weights, number)) if axis else ()
        for number, axis in ((1, found.down), (2, found.right))
    ]
    return Correlation.of_axes(*axes)


def _separate(
    measured: NDArray[np.float64], side: int, lags: int, measured_lags: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noise's autocorrelations (lags 1 and on, down and right) that explain the measured one best.

    Least squares over the noise's lags, its level and that of anatomy, whose correlation is wide; all as
    they are once the surfaces are taken off.
    """
    from scipy.optimize import least_squares

    anatomy = expected_of(anatomy_correlation(side), side, measured_lags)

    def missing(unknown: NDArray[np.float64]) -> NDArray[np.float64]:
        down, right = (np.array([1.0, *part]) for part in np.split(unknown[2:], 2))
        noise = _expected(_covariance(down, right, side), side, measured_lags)
        return np.asarray(unknown[0] * noise + unknown[1] * anatomy - measured)

    start = np.concatenate([[1.0, 0.05], np.zeros(2 * lags)])
    lowest = np.concatenate([[0.0, 0.0], np.full(2 * lags, -0.5)])
    highest = np.concatenate([[10.0, 10.0], np.full(2 * lags, 0.99)])
    found = least_squares(missing, start, bounds=(lowest, highest)).x
    down, right = np.split(found[2:], 2)
    return down, right


def anatomy_correlation(side: int) -> Correlation:
    """What stands for the correlation of anatomy in patches of that side."""
    return Correlation.gaussian(_ANATOMY_WIDTH * side)


def expected_of(correlation: Correlation, side: int, lags: int) -> NDArray[np.float64]:
    """Products that `lagged_products` finds on average in patches of noise of std 1, less their surfaces."""
    return _expected(covariance_of(correlation, side), side, lags)


def covariance_of(correlation: Correlation, side: int) -> NDArray[np.float64]:
    """Covariance (side^2, side^2) of patches of noise of std 1, less their surfaces."""
    rows, columns = (axis.ravel() for axis in np.indices((side, side)))
    lags = np.zeros((4 * side - 1, 4 * side - 1))
    plane = correlation.full()
    down, right = (min(reach, side - 1) for reach in correlation.reach)
    inner = np.s_[
        correlation.reach[0] - down : correlation.reach[0] + down + 1,
        correlation.reach[1] - right : correlation.reach[1] + right + 1,
    ]
    middle = 2 * side - 1
    lags[middle - down : middle + down + 1, middle - right : middle + right + 1] = plane[inner]
    full = lags[
        middle + np.subtract.outer(rows, rows),
        middle + np.subtract.outer(columns, columns),
    ]
    return _less_surfaces(full, side)


def _less_surfaces(full: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    shapes = surfaces(side)
    taken = shapes.T @ (shapes @ full)
    return np.asarray(full - taken - taken.T + shapes.T @ (shapes @ full @ shapes.T) @ shapes)


def _covariance(down: NDArray[np.float64], right: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    apart = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    along, across = (
        np.concatenate([lagged, np.zeros(side - len(lagged))])[apart] for lagged in (down, right)
    )
    return _less_surfaces(np.kron(along, across), side)


def _expected(covariance: NDArray[np.float64], side: int, lags: int) -> NDArray[np.float64]:
    """Mean lagged products of patches with this covariance."""
    left = covariance.reshape((side,) * 4)
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
    return _rounded(kept[:last])


def _rounded(lags: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(lag), 5) for lag in lags)

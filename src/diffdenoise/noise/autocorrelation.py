"""The autocorrelation of a scan's noise inside slices, told apart from that of anatomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.lagged import anatomy_of, lagged_products, lags_up_to, pairs_of, response
from diffdenoise.noise.patches import CALM, CalmLevel, Patches, calm_levels, find_patches, tissue_levels
from diffdenoise.noise.spectrum import periodogram, with_fine_half
from diffdenoise.types import Slices

#: Side of a patch, largest lag at which noise may be correlated in it, and largest lag measured: what is left
#: at the longer ones is anatomy. The wide patches are for noise that reaches further than the narrow ones
#: see, and tell the lags more exactly where they hold no anatomy.
NARROW, WIDE = (8, 3, 6), (16, 7, 10)
#: Noise reaches further if it is correlated by this much two pixels apart along an axis, or by this much, of
#: either sign, at the ends of what narrow patches see.
_IS_WIDE, _AT_THE_END, _END_PX = 0.3, 0.12, 2.5
#: Share of anatomy in wide patches up to which they are believed where narrow ones would do, if their lags
#: scatter at most this many times as much: of few patches, anatomy hides behind chance.
_MUCH_ANATOMY, _AS_SURE = 0.15, 1.25
#: Wide patches from which on a class tells by itself, and times the least variance that it has at most.
_TELLS, _NO_MORE = 100, 1.25
#: Share of anatomy up to which there are classes without any; where there is more, these are anatomy's own.
_SOME_ANATOMY = 0.25
#: Wide patches below which they are too few to tell, unless noise is so wide that narrow ones don't at all.
_TOO_FEW, _NEEDS_WIDE_PX = 30, 1.1
#: Anatomy adds to the measured correlation and never takes from it: the classes in which it is least
#: count, up to this share of the patches.
_LEAST_ANATOMY = 0.3
#: Shares of a class's patches to look at; the more the better, as the calmest places are those where noise
#: may be weak or of another shape, as long as anatomy in them is no more than this beyond that in the
#: calmest.
_SHARES, _MORE_ANATOMY = (0.8, 0.5, 0.25), 0.03
#: Correlation that anatomy or chance can feign; noise without more is taken for independent. Chance: in its
#: own stds.
_FEIGNED, _BY_CHANCE = 0.06, 3.0
#: Share of the largest class from which on one tells by itself that noise is independent, and what its lags
#: are off at most for that, and on average of their squares; in their stds.
_LARGE, _MOST_BY_CHANCE, _SCATTER = 0.25, 4.6, 1.75
#: Correlations that are the same but for this, and for chance, on either side of an axis are one.
_ALIKE = 0.03
#: Patches of a class that are looked at: more cost time and tell no more.
_ENOUGH = 1000
#: What a fit may be off for reasons other than chance, and how far off 0 covariances may well be.
_INEXACT, _USUAL = 0.002, 3.0
#: Sum of squared correlations of the widest noise that is looked for, 2 px.
_MOST_SPREAD = 25.0
#: Least share of what was measured that has to be noise for a fit with anatomy to say something about it.
_LEAST_NOISE = 0.3


def patches_for(
    correlation: Correlation, stacks: Sequence[Slices], *, adjacent: bool
) -> tuple[Patches, tuple[int, int, int]]:
    """Patches that tell the level of noise, and their size: wide ones for wide noise where these are enough.

    Parameters
    ----------
    correlation : Correlation
        Of the noise.
    stacks, adjacent
        As in `find_patches`.

    Returns
    -------
    patches : Patches
    size : (int, int, int)
        `NARROW` or `WIDE`.
    """
    if correlation.is_wide:
        wide = find_patches(stacks, WIDE[0], adjacent=adjacent)
        most = max((len(level.chosen) for level in calm_levels(wide)), default=0)
        if most >= (1 if max(correlation.width_px) > _NEEDS_WIDE_PX else _TOO_FEW):
            return wide, WIDE
    return find_patches(stacks, NARROW[0], adjacent=adjacent), NARROW


@dataclass(frozen=True, eq=False)
class _Calm:
    """Calm patches: those looked at, class by class, of how many; lagged products over the variance.

    `classes` are all of the calmest ones from dark to bright, those with more anatomy too.
    """

    residuals: tuple[NDArray[np.float32], ...]
    weights: tuple[float, ...]
    lagged: NDArray[np.float64]
    classes: tuple[_Calm, ...] = ()

    @property
    def count(self) -> int:
        """Number of patches looked at."""
        return sum(map(len, self.residuals))

    def power(self) -> NDArray[np.float64]:
        """Mean periodogram."""
        return np.average([periodogram(one) for one in self.residuals], axis=0, weights=self.weights)


@dataclass(frozen=True)
class _Fit:
    """Half of a plane of lags, (reach + 1, 2 reach + 1), their stds by chance, and shares of variance."""

    plane: NDArray[np.float64]
    chance: NDArray[np.float64]
    noise: float
    anatomy: float


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
    return _estimate(stacks, _calm_of_tissue, adjacent=adjacent)


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
    calm = _calm_of_background(find_patches(stacks, NARROW[0], adjacent=adjacent), NARROW)
    return None if calm is None else _estimate(stacks, _calm_of_background, adjacent=adjacent)


def _estimate(
    stacks: Sequence[Slices],
    calm_of: Callable[[Patches, tuple[int, int, int]], _Calm | None],
    *,
    adjacent: bool,
) -> Correlation:
    calm = calm_of(find_patches(stacks, NARROW[0], adjacent=adjacent), NARROW)
    if calm is None or any(map(_is_white_class, _large_of_tissue(calm.classes))):
        # Noise that is correlated is so in all classes.
        return WHITE
    found = _fit(calm, NARROW, rough=False)
    if _is_white(found):
        return WHITE
    around = calm_of(find_patches(stacks, WIDE[0], adjacent=adjacent), WIDE)
    if around is not None:
        wide = _fit_without_anatomy(around)
        sure = wide.anatomy < _MUCH_ANATOMY and wide.chance.max() <= _AS_SURE * found.chance.max()
        if around.count >= _TOO_FEW and (_reaches_further(found) or sure):
            found = wide
    plane = with_fine_half(found.plane, (around or calm).power())
    return Correlation.of_plane(np.round(_made_symmetric(plane, _symmetry(found)), 4))


def _is_white(found: _Fit) -> bool:
    """Whether nothing is left that anatomy and chance can't feign."""
    others = np.abs(found.plane)
    others[0, others.shape[1] // 2] = 0
    return bool((others < np.maximum(_FEIGNED, _BY_CHANCE * found.chance)).all())


def _large_of_tissue(classes: Sequence[_Calm]) -> list[_Calm]:
    """The larger classes, without the darkest, in which there may be noise of another kind."""
    brighter = classes[1:] or classes
    most = max((one.count for one in brighter), default=0)
    return [one for one in brighter if one.count >= _LARGE * most]


def _fit_without_anatomy(around: _Calm) -> _Fit:
    """Fit of wide patches: of all, or if there is some anatomy in them, of a class in which there is none.

    That is the largest of those with the least variance, as anatomy adds to it.
    """
    found = _fit(around, WIDE, rough=True)
    if not 0 < found.anatomy < _SOME_ANATOMY:
        return found
    large = {one: float(np.square(one.residuals[0]).mean()) for one in around.classes if one.count >= _TELLS}
    calm = [one for one, variance in large.items() if variance <= _NO_MORE * min(large.values())]
    calm.sort(key=lambda one: one.count, reverse=True)
    alone = (_fit(one, WIDE, rough=True) for one in calm)
    return next((one for one in alone if one.anatomy == 0), found)


def _is_white_class(calm: _Calm) -> bool:
    """Whether independent noise and self-similar anatomy explain what one class holds, but for chance.

    Of few patches many a correlation would explain it too, and this is the least of them.
    """
    from scipy.optimize import nnls

    side, _, measured = NARROW
    white = response(side, measured, 0)
    parts = np.column_stack([white, anatomy_of(side, measured, rough=True)])
    chance = _chance(NARROW, calm.count)
    shares, _ = nnls(parts / chance[:, None], calm.lagged / chance)
    off = np.abs(calm.lagged - parts @ shares) / chance
    return bool(shares[0] > _LEAST_NOISE and off.max() < _MOST_BY_CHANCE and np.square(off).mean() < _SCATTER)


def _reaches_further(found: _Fit) -> bool:
    """Whether noise is correlated beyond what was looked at, or is so wide that it is hard to see there."""
    middle = found.plane.shape[1] // 2
    down, right = np.indices(found.plane.shape)
    end = np.hypot(down, right - middle) > _END_PX
    beyond = np.abs(found.plane[end]) > np.maximum(_AT_THE_END, _BY_CHANCE * found.chance[end])
    return bool(beyond.any()) or max(found.plane[2, middle], found.plane[0, middle + 2]) > _IS_WIDE


def _calm_of_tissue(patches: Patches, size: tuple[int, int, int]) -> _Calm | None:
    """Calm patches of the classes in which there is least anatomy: as many as are like the calmest."""
    side, _, measured = size
    levels = calm_levels(patches, CALM)
    calmest = _least_anatomy(patches, levels, measured)
    if calmest is None:
        return None
    classes = tuple(_calm(patches, level, measured) for level in tissue_levels(levels))
    from scipy.optimize import nnls

    anatomy = anatomy_of(side, measured, rough=size == WIDE)
    both = np.stack([calmest.lagged, anatomy], axis=1)
    for share in _SHARES:
        more = _least_anatomy(patches, calm_levels(patches, share), measured)
        if more is not None and more.count > calmest.count:
            chance = _chance(size, calmest.count)
            (_, added), _ = nnls(both / chance[:, None], more.lagged / chance)
            if added < _MORE_ANATOMY:
                return replace(more, classes=classes)
    return replace(calmest, classes=classes)


def _calm_of_background(patches: Patches, size: tuple[int, int, int]) -> _Calm | None:
    """Calm patches of the darkest class, if it is a background cut off at zero."""
    levels = calm_levels(patches)
    darkest = levels[: len(levels) - len(tissue_levels(levels))]
    return _together([_calm(patches, level, size[2]) for level in darkest])


def _least_anatomy(patches: Patches, levels: list[CalmLevel], measured: int) -> _Calm | None:
    classes = [_calm(patches, level, measured) for level in tissue_levels(levels)]
    along = (lags_up_to(measured) == 0).any(axis=1)
    classes.sort(key=lambda one: float(one.lagged[along].sum()))
    before = np.cumsum([0.0, *(sum(one.weights) for one in classes)])
    return _together(
        [one for one, passed in zip(classes, before, strict=False) if passed < _LEAST_ANATOMY * before[-1]]
    )


def _calm(patches: Patches, level: CalmLevel, measured: int) -> _Calm:
    count = len(level.chosen)
    residual = patches.residual[level.chosen[:: -(-count // _ENOUGH)]]
    products = lagged_products(residual, measured)
    return _Calm((residual,), (float(count),), products / products[0])


def _together(classes: Sequence[_Calm]) -> _Calm | None:
    if not classes:
        return None
    weights = [sum(one.weights) for one in classes]
    lagged = np.average([one.lagged for one in classes], axis=0, weights=weights)
    residuals = tuple(residual for one in classes for residual in one.residuals)
    return _Calm(residuals, tuple(weights), lagged)


def _chance(size: tuple[int, int, int], count: int, spread: float = 1.0) -> NDArray[np.float64]:
    """Std of the mean products of so many patches, and of what else they are off by; for a variance of 1.

    Half-overlapping patches of white noise tell as much as if each was drawn anew but for a fifth of it.
    Correlated noise has fewer values of its own: `spread` is the sum of its squared correlations (Bartlett
    1946).
    """
    side, _, measured = size
    return np.sqrt(1.2 * spread / (count * pairs_of(side, measured)) + _INEXACT**2)


def _fit(calm: _Calm, size: tuple[int, int, int], *, rough: bool) -> _Fit:
    """Noise's autocovariance and anatomy's share that explain the measured products best.

    Weighted least squares, with the noise's covariance free at all lags up to the reach, and 0 beyond;
    anatomy is there where it is needed, by more than chance. That noise has an end is what tells the two
    apart, and not that it is positive.

    Parameters
    ----------
    calm : _Calm
        What was measured.
    size : (int, int, int)
        `NARROW` or `WIDE`.
    rough : bool
        See `anatomy_of`.
    """
    side, reach, measured = size
    lags = lags_up_to(reach)
    lags = lags[np.hypot(*lags.T.astype(np.float64)) <= reach + 0.5]
    kept = [index for index, lag in enumerate(lags_up_to(reach).tolist()) if lag in lags.tolist()]
    parts = response(side, measured, reach)[:, kept]
    anatomy = anatomy_of(side, measured, rough=rough)
    alone, _ = _weighted(parts, calm.lagged, _chance(size, calm.count))
    # Each lag but the first stands for two.
    spread = 2 * float(np.square(alone / max(alone[0], 1e-9)).sum()) - 1
    chance = _chance(size, calm.count, min(max(spread, 1.0), _MOST_SPREAD))
    both, both_by_chance = _weighted(np.column_stack([parts, anatomy]), calm.lagged, chance)
    if both[-1] > _BY_CHANCE * both_by_chance[-1]:
        found = _as_fit(lags, both[:-1], both_by_chance[:-1], float(both[-1]))
        if found.noise > _LEAST_NOISE and float(np.abs(found.plane).max()) < 1 + _ALIKE:
            return found
    return _as_fit(lags, *_weighted(parts, calm.lagged, chance), 0.0)


def _as_fit(
    lags: NDArray[np.intp], covariance: NDArray[np.float64], chance: NDArray[np.float64], anatomy: float
) -> _Fit:
    reach = int(lags.max())
    planes = [np.zeros((reach + 1, 2 * reach + 1)) for _ in range(2)]
    for plane, values in zip(planes, (covariance, chance), strict=True):
        plane[lags[:, 0], reach + lags[:, 1]] = values / max(float(covariance[0]), 1e-9)
        plane[0, :reach] = plane[0, :reach:-1]
    return _Fit(planes[0], planes[1], float(covariance[0]), anatomy)


def _weighted(
    parts: NDArray[np.float64], target: NDArray[np.float64], chance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares with given stds of the target: what is found, and its stds."""
    count = parts.shape[1]
    matrix = np.vstack([parts / chance[:, None], np.eye(count) / _USUAL])
    inverse = np.linalg.inv(matrix.T @ matrix)
    found = inverse @ (matrix.T @ np.append(target / chance, np.zeros(count)))
    return found, np.sqrt(np.diag(inverse))


def _symmetry(found: _Fit) -> tuple[bool, bool]:
    """Whether lags are, but for chance, the same mirrored, and then also along both axes."""
    plane, middle = found.plane, found.plane.shape[1] // 2
    alike = np.maximum(_ALIKE, _BY_CHANCE * found.chance)
    mirrored = bool((np.abs(plane - plane[:, ::-1]) <= alike).all())
    quarter = (plane + plane[:, ::-1])[:, middle:] / 2
    return mirrored, mirrored and bool((np.abs(quarter - quarter.T) <= alike[:, middle:]).all())


def _made_symmetric(plane: NDArray[np.float64], symmetry: tuple[bool, bool]) -> NDArray[np.float64]:
    mirrored, square = symmetry
    if mirrored:
        plane = (plane + plane[:, ::-1]) / 2
    if square:
        quarter = plane[:, plane.shape[1] // 2 :]
        quarter = (quarter + quarter.T) / 2
        plane = np.concatenate([quarter[:, :0:-1], quarter], axis=1)
    return plane

"""What denoising costs in resolution: edges before and after, and what becomes of a single bright pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.paired import Paired
from diffdenoise.trust.slab import Redenoise, Slab

#: Pixels that are looked at; share of the strongest gradients; edges of a part at most; fewest in all.
_LOOKED_AT, _STRONGEST, _MOST, _FEWEST = 3_000_000, 0.02, 4000, 200
#: Std in pixels at which gradients are taken; reach of profiles and their steps, pixels.
_SCALE_PX, _REACH, _STEP = 1.5, 6.0, 0.25
#: Levels between which an edge's width is measured.
_LOW, _HIGH = 0.25, 0.75
#: Distance of probed pixels, reach of their responses, and how much they are raised in stds of the noise.
_APART, _AROUND, _RAISED = 24, 5, 3.0


@dataclass(frozen=True)
class Edges:
    """Mean profile across the strongest edges.

    Attributes
    ----------
    count : int
        Edges.
    before_px, after_px : float
        Distance in which it rises from a quarter to three quarters, before and after; pixels.
    """

    count: int
    before_px: float
    after_px: float

    @property
    def ratio(self) -> float:
        """How many times wider edges became."""
        return self.after_px / self.before_px


@dataclass(frozen=True)
class Response:
    """What becomes of a pixel that is made brighter.

    Attributes
    ----------
    count : int
        Pixels that were tried.
    total : float
        Sum of the response over what was added: 1 where brightness is kept.
    peak : float
        Response of that pixel itself over what was added.
    width_px : float
        Full width at half the peak, pixels; NaN where nothing is left of it.
    """

    count: int
    total: float
    peak: float
    width_px: float


def edge_spread(paired: Paired) -> Edges | None:
    """Measure edges; None where there are too few.

    Noise averages out of the mean profile of many edges, so that the noisy scan shows how sharp they were.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    """
    profiles: list[NDArray[np.float64]] = []
    for pair in paired.pairs(paired.parts(_LOOKED_AT)):
        if pair.known.mean() > 0.1:
            profiles += _profiles(pair.noisy, pair.denoised, pair.known)
    count = sum(each.shape[1] for each in profiles)
    if count < _FEWEST:
        return None
    mean = sum(each.sum(1) for each in profiles) / count
    before, after = (_width(one) for one in np.asarray(mean))
    if not (np.isfinite(before) and np.isfinite(after)):
        return None
    return Edges(count, before, after)


def _profiles(
    noisy: NDArray[np.float32], denoised: NDArray[np.float32], known: NDArray[np.bool_]
) -> list[NDArray[np.float64]]:
    """Profiles across edges, rising: (before and after, edges, places)."""
    from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates

    down, right = (gaussian_filter(denoised, _SCALE_PX, order=order) for order in ((1, 0), (0, 1)))
    strength = np.hypot(down, right)
    reach = int(_REACH) + 2
    inside = binary_erosion(known, iterations=reach, border_value=0)
    if inside.sum() < _FEWEST:
        return []
    least = np.quantile(strength[inside], 1 - _STRONGEST)
    rows, columns = np.nonzero(inside & (strength >= least) & (strength > 0))
    normal = np.stack([down[rows, columns], right[rows, columns]]) / strength[rows, columns]
    # The ridge of the gradient: neither neighbour across is steeper.
    around = [
        map_coordinates(strength, [rows + side * normal[0], columns + side * normal[1]], order=1)
        for side in (-1, 1)
    ]
    ridge = np.flatnonzero(strength[rows, columns] >= np.maximum(*around))[:_MOST]
    if not ridge.size:
        return []
    along = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    # Its top lies between pixels: where it is, a parabola through the three tells.
    before, top, behind = around[0][ridge], strength[rows, columns][ridge], around[1][ridge]
    shift = 0.5 * (before - behind) / np.minimum(before + behind - 2 * top, -1e-12 * top)
    along = along + shift.clip(-0.5, 0.5)[:, None]
    places = np.stack([rows[ridge], columns[ridge]])[:, :, None] + normal[:, ridge][:, :, None] * along
    images = (np.where(known, image, 0).astype(np.float64) for image in (noisy, denoised))
    return [np.stack([map_coordinates(image, places, order=3, mode="nearest") for image in images])]


def _width(profile: NDArray[np.float64]) -> float:
    """Distance between the two levels of a rising profile, pixels; NaN where it doesn't rise through them."""
    along = np.arange(profile.size) * _STEP
    middle = profile.size // 2
    # An edge ends where the profile turns: beyond it is other anatomy.
    top = middle + int(np.argmax(profile[middle:]))
    bottom = int(np.argmin(profile[: middle + 1]))
    rising = np.maximum.accumulate(profile[bottom : top + 1])
    if rising.size < 3 or rising[-1] <= rising[0]:
        return np.nan
    share = (rising - rising[0]) / (rising[-1] - rising[0])
    low, high = (float(np.interp(level, share, along[bottom : top + 1])) for level in (_LOW, _HIGH))
    return high - low


def local_response(slab: Slab, again: Redenoise) -> Response | None:
    """Make pixels brighter, and see what becomes of them; None where there are no places for it.

    Parameters
    ----------
    slab : Slab
        Slices before and after.
    again : callable
        The denoiser.
    """
    count, height, width = slab.noisy.shape
    raised, places = slab.noisy.copy(), []
    tissue = slab.tissue
    for number in range(0, count, 2):
        for row in range(_APART // 2, height - _AROUND, _APART):
            for column in range(_APART // 2, width - _AROUND, _APART):
                if tissue[number, row, column]:
                    raised[number, row, column] += _RAISED * slab.std[number, row, column]
                    places.append((number, row, column))
    if len(places) < 10:
        return None
    moved = again(slab.volume, slab.first, raised) - slab.denoised
    mean, added = np.zeros((2 * _AROUND + 1, 2 * _AROUND + 1)), 0.0
    for number, row, column in places:
        mean += moved[number, row - _AROUND : row + _AROUND + 1, column - _AROUND : column + _AROUND + 1]
        added += _RAISED * float(slab.std[number, row, column])
    mean /= added
    return Response(len(places), float(mean.sum()), float(mean[_AROUND, _AROUND]), _full_width(mean))


def _full_width(response: NDArray[np.float64]) -> float:
    """Full width at half the peak, the mean of both axes, pixels; NaN where there is no peak."""
    if not response[_AROUND, _AROUND] > 0:
        return np.nan
    widths = []
    for line in (response[_AROUND], response[:, _AROUND]):
        half = line[_AROUND] / 2
        sides = []
        for side in (line[_AROUND:], line[_AROUND::-1]):
            below = np.flatnonzero(side <= half)
            if not below.size:
                sides.append(float(_AROUND))
                continue
            at = int(below[0])
            sides.append(at - 1 + float((side[at - 1] - half) / (side[at - 1] - side[at])))
        widths.append(sum(sides))
    return float(np.mean(widths))

"""The mean of a region that the user names, and how sure it is before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.cut import to_stacks
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.slab import Slab, draw_noise
from diffdenoise.trust.spread import Spread

#: Draws that tell how far noise moves a region's mean.
_DRAWS = 64


@dataclass(frozen=True)
class Region:
    """A region's mean, in the scan's units.

    Attributes
    ----------
    voxels, slices : int
        In the region.
    before, after : float
        Its mean.
    error_before, error_after : float
        Standard errors.
    """

    voxels: int
    slices: int
    before: float
    after: float
    error_before: float
    error_after: float

    def rows(self, unit: str) -> list[tuple[str, str]]:
        """Return it as lines of a table."""
        return [
            ("voxels, in slices", f"{self.voxels}, {self.slices}"),
            (f"mean before, {unit}", f"{self.before:.5g} ± {self.error_before:.2g}"),
            (f"mean after, {unit}", f"{self.after:.5g} ± {self.error_after:.2g}"),
        ]


def region_of(paired: Paired, spread: Spread, roi: NDArray[np.bool_]) -> Region | str:
    """Measure a region; why it can't be, in words.

    The error after is that of squares of the same size in the scan's tissue: see `Spread.regions`.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    spread : Spread
        Pairs of results.
    roi : bool array of the scan's shape
        Where the region is.
    """
    noise = paired.noise
    where = to_stacks(roi, noise.axis)
    before, after, noises, voxels, slices = 0.0, 0.0, np.zeros(_DRAWS), 0, 0
    rng = np.random.default_rng(0)
    for volume, stack in enumerate(where):
        for number in np.flatnonzero(stack.any((1, 2))):
            pair = paired.slice(volume, int(number))
            inside = stack[number] & pair.known
            if not inside.any():
                continue
            slices += 1
            voxels += int(inside.sum())
            before += float(pair.noisy[inside].sum(dtype=np.float64))
            after += float(pair.denoised[inside].sum(dtype=np.float64))
            noises += _sums(spread.slab, pair.std, inside, rng)
    if not voxels:
        return "the region is empty, or holds no data"
    side = max(1, round(float(np.sqrt(voxels / slices))))
    regions = spread.regions(side)
    if regions is None:
        return f"there are too few other regions of {side} x {side} pixels to compare with"
    low, scale = noise.ready.intensities.low, noise.range
    return Region(
        voxels,
        slices,
        low + scale * before / voxels,
        low + scale * after / voxels,
        scale * float(noises.std()) / voxels,
        scale * regions.after / float(np.sqrt(slices)),
    )


def _sums(
    slab: Slab, std: NDArray[np.float32], inside: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Sums of drawn noise over a region of a slice."""
    rows, columns = (slice(int(one.min()), int(one.max()) + 1) for one in np.nonzero(inside))
    part = np.broadcast_to(std[rows, columns], (_DRAWS, *std[rows, columns].shape))
    drawn = draw_noise(part, slab.correlation, rng)
    return np.asarray(drawn[:, inside[rows, columns]].sum(1, dtype=np.float64))

"""The noise's level at each brightness, told apart from what anatomy adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdenoise.noise.autocorrelation import NARROW, patches_for
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.lagged import anatomy_of, expected_of, lagged_products
from diffdenoise.noise.patches import CALM, calm_levels
from diffdenoise.types import Slices

#: Shares of a class's patches that its level is read from, the largest in which anatomy is no more than
#: this part of the variance.
_SHARES, _MOST_ANATOMY = (CALM, 0.25, 0.5, 0.8), 0.06
#: Cosine between the products of noise and those of self-similar anatomy from which on narrow patches don't
#: tell the two apart.
_ALIKE = 0.92
#: Times the level of fewer patches that more of them may tell where that is so: what is more is anatomy.
_GROWS = 1.1


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


def noise_curve(stacks: Sequence[Slices], correlation: Correlation, *, adjacent: bool) -> list[LevelPoint]:
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

    patches, (side, lags, _) = patches_for(correlation, stacks, adjacent=adjacent)
    noise_of_one = expected_of(correlation, side, lags)
    anatomy_of_one = anatomy_of(side, lags, rough=True)
    alike = float(noise_of_one @ anatomy_of_one)
    alike /= float(np.linalg.norm(noise_of_one) * np.linalg.norm(anatomy_of_one))
    if side == NARROW[0] and alike > _ALIKE:
        anatomy_of_one = anatomy_of(side, lags, rough=False)
    parts = np.stack([noise_of_one, anatomy_of_one], axis=1)
    found: dict[int, LevelPoint] = {}
    # The calmest places may be those where the noise itself is weak: so from many places if that can be.
    # Wide noise looks like anatomy, so that the two can't be told apart well enough for it.
    for share in _SHARES if side == NARROW[0] else _SHARES[:1]:
        for level in calm_levels(patches, share):
            products = lagged_products(patches.residual[level.chosen], lags)
            (noise, anatomy), _ = nnls(parts, products)
            point = LevelPoint(level.mean, float(np.sqrt(noise)), len(level.chosen))
            calmest = found.get(level.number)
            grows = alike > _ALIKE and calmest is not None and point.std > _GROWS * calmest.std
            few = share == _SHARES[0] or (anatomy < _MOST_ANATOMY * products[0] and not grows)
            if noise > 0 and few:
                found[level.number] = point
    return [found[number] for number in sorted(found)]

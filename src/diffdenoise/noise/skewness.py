"""How skewed a scan's noise is: counts are, detectors' and reconstructions' noise is hardly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdenoise.noise.patches import calm_levels, find_patches
from diffdenoise.types import Slices

#: Side of the patches in pixels.
_SIDE = 8
#: Residuals beyond this many stds count as this: a speck of anatomy would decide alone.
_LIMIT = 4.0
#: Pixels at least: their skewness then scatters by no more than .03.
_FEWEST = 6000


def noise_skewness(stacks: Sequence[Slices], least: float, adjacent: bool) -> float:
    """Skewness of the noise in calm patches of the object.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure.
    least : float
        Brightness above which a patch is the object's.
    adjacent : bool
        Whether adjacent slices have noise of their own.

    Returns
    -------
    float
        0 where there are too few patches to tell.
    """
    patches = find_patches(stacks, _SIDE, adjacent=adjacent)
    found = []
    for level in calm_levels(patches):
        if level.mean > least and level.std > 0:
            found.append((patches.residual[level.chosen] / level.std).ravel())
    values = np.concatenate(found) if found else np.empty(0)
    if len(values) < _FEWEST:
        return 0.0
    values = np.clip(values, -_LIMIT, _LIMIT).astype(np.float64)
    values -= values.mean()
    return float((values**3).mean() / values.std() ** 3)

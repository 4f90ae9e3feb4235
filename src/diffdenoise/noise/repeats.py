"""The noise of a series of volumes, from how each differs from the next.

Where a scan repeats, as in fMRI, anatomy cancels in the difference of consecutive volumes, however fine
it is. What also changes between them (motion, contrast) only adds, so that this is an upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.level import MEDIAN_OF_NORMAL
from diffdenoise.noise.patches import shapes_of
from diffdenoise.scan.sample import repeats
from diffdenoise.types import Slices

#: Brightness classes, and fewest pixels in one.
_CLASSES, _FEWEST = 8, 500


def levels_of_repeats(stacks: Sequence[Slices]) -> list[LevelPoint]:
    """Noise level at each brightness, from dark to bright, by the differences of consecutive volumes.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Volumes of one scan in their order, scaled intensities; NaN where there is nothing to measure.

    Returns
    -------
    list of LevelPoint
        Empty without volumes of one size. `patches` counts pixels here.
    """
    pairs = [
        (stacks[volume][k], stacks[volume + 1][k])
        for volume, numbers in repeats(shapes_of(stacks))
        for k in numbers
    ]
    if not pairs:
        return []
    brightness = np.concatenate([((one + other) / 2).ravel() for one, other in pairs])
    differences = np.concatenate([((other - one) / np.sqrt(2)).ravel() for one, other in pairs])
    known = np.isfinite(brightness)
    if not known.any():
        return []
    brightness, differences = brightness[known], differences[known]
    low, high = np.quantile(brightness, [0.005, 0.995])
    if not low < high:
        return []
    number = np.clip((brightness - low) / (high - low) * _CLASSES, 0, _CLASSES - 1).astype(int)
    points = []
    for each in range(_CLASSES):
        inside = differences[number == each]
        if len(inside) < _FEWEST:
            continue
        std = float(np.median(np.abs(inside))) / MEDIAN_OF_NORMAL
        if std > 0:
            points.append(LevelPoint(float(brightness[number == each].mean()), std, len(inside)))
    return points

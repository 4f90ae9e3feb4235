"""How much neighbouring tissues differ, place by place: what noise is small or large against.

The range of a scan says little about that: it goes from air to bone in a CT and to the bladder in a PET, and
what is looked for differs by a fiftieth of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.patches import cut_part, shapes_of
from diffdenoise.scan.sample import parts_of
from diffdenoise.types import Slices

#: Side in pixels of the blocks whose means are compared, and blocks along the side of what is called a place.
_BLOCK, _PLACE = 4, 3
#: The object is what is brighter than Otsu's threshold; if that is less than this share of the places, these
#: are hot spots, and it is looked for among the rest.
_LEAST_OBJECT = 0.15
#: Bins of the histogram that the threshold is found in, and fewest places.
_BINS, _FEWEST = 256, 50
#: Differences of scaled intensities that are rounding.
_ROUNDING = 1e-6


class Object(NamedTuple):
    """What a scan is of.

    Attributes
    ----------
    least : float
        Brightness above which a place is the object's.
    variances : array (places,)
        Of the means of blocks of 4x4 pixels over 12x12 pixels, at each of its places.
    """

    least: float
    variances: NDArray[np.float64]


def find_object(stacks: Sequence[Slices]) -> Object | None:
    """Look for the object of a scan: what is brighter than Otsu's threshold.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure.

    Returns
    -------
    Object or None
        None where there are too few places to tell.
    """
    found = [_places(cut_part(stacks[part.volume], part)) for part in parts_of(shapes_of(stacks))]
    if not found:
        return None
    means, variances = (np.concatenate(each) for each in zip(*found, strict=True))
    if len(means) < _FEWEST:
        return None
    least = _threshold(means)
    inside = variances[means > least]
    return Object(least, inside) if len(inside) else None


def tissue_contrast(seen: Object, std: float, correlation: Correlation) -> float:
    """Typical std of the means of blocks of 4x4 pixels over 12x12 pixels of the object, without the noise's.

    Parameters
    ----------
    seen : Object
        Of the scan.
    std, correlation
        Of the noise.

    Returns
    -------
    float
        The median over places, scaled intensities; 0 in an object that is the same everywhere.
    """
    # What noise leaves of itself in the mean of a block.
    apart = np.arange(1 - _BLOCK, _BLOCK)
    shares = (_BLOCK - np.abs(apart)) / _BLOCK**2
    left = sum(
        one * other * correlation.at(int(down), int(right))
        for down, one in zip(apart, shares, strict=True)
        for right, other in zip(apart, shares, strict=True)
    )
    found = np.sqrt(max(float(np.median(seen.variances)) - max(left, 0.0) * std**2, 0.0))
    # Sums of float32 slices depend on how these lie in memory.
    return round(float(found), 9)


def _places(image: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of the block means at each place of a slice."""
    rows, columns = (side // _BLOCK for side in image.shape)
    if min(rows, columns) < _PLACE:
        return np.empty(0), np.empty(0)
    cut = image[: rows * _BLOCK, : columns * _BLOCK].astype(np.float64)
    blocks = cut.reshape(rows, _BLOCK, columns, _BLOCK).mean((1, 3))
    places = np.lib.stride_tricks.sliding_window_view(blocks, (_PLACE, _PLACE))
    means, variances = places.mean((2, 3)).ravel(), places.var((2, 3), ddof=1).ravel()
    known = np.isfinite(means)
    return means[known], variances[known]


def _threshold(means: NDArray[np.float64]) -> float:
    """Brightness above which places are the object's (Otsu 1979), hot spots left out."""
    found = _otsu(means)
    while np.mean(means > found) < _LEAST_OBJECT:
        rest = means[means <= found]
        if len(rest) < _FEWEST or rest.min() == rest.max():
            break
        found = _otsu(rest)
    return found


def _otsu(values: NDArray[np.float64]) -> float:
    # Not scikit-image's: what a look at a scan or a trained model needs loads no such package.
    if values.min() == values.max():
        return float(values.min()) - 1
    counts, edges = np.histogram(values, _BINS)
    share = counts.cumsum() / counts.sum()
    middles = (edges[1:] + edges[:-1]) / 2
    mean = (counts * middles).cumsum() / counts.sum()
    between = (mean[-1] * share - mean) ** 2 / np.maximum(share * (1 - share), 1e-12)
    return float(edges[1 + int(np.argmax(between[:-1]))])


def value_step(stacks: Sequence[Slices]) -> float:
    """Smallest difference between two values of a slice in the middle: the step that a scan was stored with.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities; NaN where there is nothing to measure.

    Returns
    -------
    float
        Scaled intensities; 0 where there are no two values, and next to that for values with decimals.
    """
    parts = parts_of(shapes_of(stacks))
    part = parts[len(parts) // 2]
    differences = np.diff(np.unique(cut_part(stacks[part.volume], part)))
    # NaN is the last of the unique values.
    apart = differences[np.isfinite(differences) & (differences > _ROUNDING)]
    return float(apart.min()) if len(apart) else 0.0

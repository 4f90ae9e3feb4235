"""The value that parts an image in two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Classes of the histogram.
_BINS = 256


def threshold_otsu(values: NDArray[np.floating]) -> float:
    """Return the value that parts numbers into two classes with the largest variance between their means.

    Parameters
    ----------
    values : array
        Finite, and not all the same.

    Returns
    -------
    float
        Middle of the histogram's class that belongs to the lower ones last.

    References
    ----------
    Otsu 1979, "A threshold selection method from gray-level histograms", equation 18.
    """
    counts, edges = np.histogram(values, _BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    sums = np.cumsum(counts * middles)
    mean_below, mean_above = sums[:-1] / below, (sums[-1] - sums[:-1]) / above
    between = below.astype(float) * above * (mean_below - mean_above) ** 2
    return float(middles[np.argmax(between)])

"""Stage 1's variance held against what its mean misses by, before the noisy pixel is given back by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffdenoise.method.windows import Sample

Array = NDArray[np.float64]
#: Bins of predicted variance, and pixels of each: a bin's mean square then scatters by 2 %.
_BINS, _PIXELS = 12, 5000


def measure(
    samples: Iterable[Sample],
    predict: Callable[[Tensor], tuple[Tensor, Tensor]],
    std_of: Callable[[Tensor], Tensor],
) -> list[list[float]]:
    """Return predicted variances and what pixels really scatter by about their mean, in units of the noise's.

    No clean image is needed: the pixel is not among what its mean and variance are predicted from.

    Parameters
    ----------
    samples : iterable of Sample
        Noisy slices.
    predict : callable
        noisy (1, channels, height, width) to mean and variance of each pixel given its surroundings.
    std_of : callable
        Noisy slice (1, 1, height, width) to the noise's std at each pixel.

    Returns
    -------
    predicted, found : list of float
        A point for each of up to twelve bins of predicted variance, both rising.
    """
    from scipy.optimize import isotonic_regression

    predictions, squares = [], []
    for sample in samples:
        centre = sample.noisy[:, :1]
        mean, variance = predict(sample.noisy)
        level = std_of(centre).square()
        inside = torch.ones_like(centre, dtype=torch.bool) if sample.known is None else sample.known > 0
        predictions.append((variance / level)[inside].double().cpu().numpy())
        squares.append(((centre - mean).square() / level)[inside].double().cpu().numpy())
    predicted, square = np.concatenate(predictions), np.concatenate(squares)
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, max(1, min(_BINS, len(order) // _PIXELS)))
    points = np.array([predicted[part].mean() for part in parts])
    weights = np.array([float(len(part)) for part in parts])
    found = isotonic_regression([square[part].mean() for part in parts], weights=weights).x
    return [points.tolist(), found.tolist()]


def calibrated(variance: Tensor, level: Tensor, points: Sequence[Sequence[float]]) -> Tensor:
    """Correct predicted variances by what `measure` found; beyond its points by the last factor.

    Parameters
    ----------
    variance : Tensor (batch, 1, height, width)
        Of the noisy pixel given its surroundings.
    level : Tensor, of a shape that fits
        The noise's std.
    points
        What `measure` returned.

    Returns
    -------
    Tensor, same shape as `variance`
    """
    predicted, found = (np.asarray(values) for values in points)
    relative = (variance / level.square()).double().cpu().numpy()
    factor = np.interp(np.log(relative), np.log(predicted), found / predicted)
    return variance * torch.from_numpy(factor).to(variance)

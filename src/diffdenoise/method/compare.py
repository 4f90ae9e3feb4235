"""Which of several estimators comes nearest to the clean image, told by noisy slices alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffdenoise.method import blind_spot
from diffdenoise.method.recorruption import Recorruption, Split
from diffdenoise.method.step_data import mean_of_known, with_centre
from diffdenoise.method.windows import Sample
from diffdenoise.training.randomness import generator

#: estimate(noisy, number of the slice, std of its noise) -> clean slice (1, 1, height, width).
Estimator = Callable[[Tensor, int, float], Tensor]

#: Recorruption strength: with so little noise added, estimators see what they were trained on.
ALPHA = 0.25
#: Share of the pixels that are hidden at a time.
_HIDDEN = 0.05


def within(
    seconds: float,
    compare: Callable[[int], list[float]],
    sides: Sequence[int],
    now: Callable[[], float] = time.monotonic,
) -> list[float]:
    """Return what the largest comparison says that takes no more than so many seconds.

    Parameters
    ----------
    seconds : float
        For all that is compared.
    compare : callable
        Side in pixels of what is compared to what is found.
    sides : sequence of int
        Rising. The first is compared in any case, and tells how long others take, as their pixels.
    now : callable
        Source of seconds.
    """
    began = now()
    found = compare(sides[0])
    taken = now() - began
    affordable = [side for side in sides if taken * (1 + (side / sides[0]) ** 2) <= seconds]
    return compare(affordable[-1]) if affordable[1:] else found


@torch.no_grad()
def blind_risks(
    slices: Iterable[Sample], estimators: Sequence[Estimator], level: float, width: int, seed: int
) -> list[float]:
    """Mean squared errors of estimators at pixels that they are not shown, all but for the same constant.

    This needs no level of the noise: what is hidden from an estimator can't help it to give the noise back.

    Parameters
    ----------
    slices, estimators, seed
        As in `risks`.
    level : float
        Std of the noise that estimators are told.
    width : int
        Odd side of the square that is hidden about a pixel, as wide as the noise is correlated.

    Returns
    -------
    list of float
        One an estimator, in squared intensities.

    References
    ----------
    Batson and Royer 2019, "Noise2Self", proposition 1.
    """
    totals = [0.0] * len(estimators)
    for number, noisy, known in slices:
        centre = noisy[:, :1]
        mask = blind_spot.random_mask(centre, _HIDDEN, width, generator(seed, "blind risk", number))
        seen = with_centre(noisy, blind_spot.fill(centre, mask, width))
        weight = mask.float() if known is None else mask.float() * known
        for place, estimate in enumerate(estimators):
            error = estimate(seen, number, level).float() - centre
            totals[place] += float(mean_of_known(error.square(), weight))
    return totals


@torch.no_grad()
def risks(
    slices: Iterable[Sample],
    estimators: Sequence[Estimator],
    recorruption: Recorruption,
    seed: int,
    draws: int = 1,
) -> NDArray[np.float64]:
    """Mean squared errors of estimators against the clean slices, all but for the same constant.

    Parameters
    ----------
    slices : iterable of Sample
        Noisy slices with their neighbours.
    estimators : sequence of callable
        What is to be compared.
    recorruption : Recorruption
        Of the scan's noise, and weak (`ALPHA`): estimators then see what they were trained on.
    seed : int
        Seed of the recorruption.
    draws : int
        Of it for each slice.

    Returns
    -------
    array (slices, estimators)
        In units of the noise's variance. Only differences between estimators say anything.

    References
    ----------
    Pang et al. 2021, "Recorrupted-to-Recorrupted", theorem 1: see `recorruption.recorrupt`.
    """
    found = []
    for number, noisy, known in slices:
        centre, row = noisy[:, :1], [0.0] * len(estimators)
        source = generator(seed, "compare", number)
        for _ in range(draws):
            # With a noise and its negative: most of what the added noise brings cancels.
            split = recorruption.split(centre, source, known=known, both=True)
            for sign in range(2):
                one = Split(*(part.expand_as(split.source)[sign : sign + 1] for part in split))
                seen = with_centre(noisy, one.source)
                for place, estimate in enumerate(estimators):
                    error = recorruption.error(estimate(seen, number, recorruption.level).float(), one)
                    row[place] += float(mean_of_known(error.square(), known)) / (2 * draws)
        found.append(row)
    if not found:
        raise ValueError("risks: no slice was given; expected at least one")
    return np.array(found)

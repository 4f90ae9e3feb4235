"""Rician noise of magnitude images: recognise it by its background, and undo its bias.

The magnitude of a complex signal with noise of std s in both parts is larger than the signal on
average: by 1.25 s where there is no signal (Rayleigh noise), by about s^2 / 2A where the signal A is
strong (Gudbjartsson and Patz 1995). A denoiser gives this mean; the signal is found from it by
inverting the mean's formula (Koay and Basser 2006). Near the floor that inverse is steep as a root is,
so that a denoiser's remaining unevenness in air would come out several times as strong: what can't be
told from air, by the local false discovery rate (Efron 2004), is therefore taken for air.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.patches import calm_levels, find_patches, weighted_median
from diffdenoise.types import Stack

#: Mean of Rayleigh noise over its std, with room for what little anatomy is in a background.
_RAYLEIGH_RATIO = (1.75, 2.1)
#: Level in tissue over that in the background: 1.53 in theory.
_TISSUE_RATIO = (1.2, 2.0)
#: Std of Rayleigh noise made from parts of std 1, and its mean.
_RAYLEIGH_STD, _RAYLEIGH_MEAN = np.sqrt(2 - np.pi / 2), np.sqrt(np.pi / 2)
#: Side of the patches looked at in pixels.
_SIDE = 8
#: Depth below the floor, in noise stds, within which values are air's; lower ones are of another kind,
#: such as a mask's zeros. Fewest values that tell how air scatters.
_DEPTH, _FEWEST = 0.6, 500
#: Std in pixels of the Gaussian over which a place's surroundings tell whether it is air.
_AROUND_PX = 1.5
#: Bins a scatter for the density of values.
_BINS = 20
#: Signal over noise up to which the mean is tabulated; beyond, the bias is below 0.1 % of the signal.
_HIGHEST = 30.0


def find_rician_std(stacks: Sequence[Stack], *, adjacent: bool) -> float | None:
    """Return the std of the complex noise's parts, if the background says that noise is Rician.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Magnitudes, with their true zero: none is negative. NaN where there is nothing to measure.
    adjacent : bool
        Whether adjacent slices have noise of their own.

    Returns
    -------
    float or None
        In the units of the data. None: not Rician, or nothing to tell it by, such as a background that
        was masked, or one of several coils (noncentral chi).
    """
    if any(bool((stack < 0).any()) for stack in stacks):
        return None
    levels = calm_levels(find_patches(stacks, _SIDE, adjacent=adjacent))
    if len(levels) < 2:
        return None
    background, *tissue = levels
    ratio = background.mean / background.std
    level = weighted_median([one.std for one in tissue], [len(one.chosen) for one in tissue])
    contrast = level / background.std
    if not (_inside(ratio, _RAYLEIGH_RATIO) and _inside(contrast, _TISSUE_RATIO)):
        return None
    return background.std / float(_RAYLEIGH_STD)


def _inside(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signal and mean magnitude for parts of std 1, both rising."""
    from scipy.special import ive

    signal = np.linspace(0, _HIGHEST, 3001)
    t = signal**2 / 4
    # Gudbjartsson and Patz 1995; ive is the Bessel function times exp(-t).
    return signal, _RAYLEIGH_MEAN * ((1 + 2 * t) * ive(0, t) + 2 * t * ive(1, t))


def signal_of_rician_mean(mean: NDArray[np.float64], std: float) -> NDArray[np.float64]:
    """Signal whose mean magnitude is given, for complex noise of that std in each part; 0 below 1.25 std."""
    signals, means = _table()
    relative = mean / std
    beyond = relative - 0.5 / np.maximum(relative, 1)
    return np.asarray(std * np.where(relative < means[-1], np.interp(relative, means, signals), beyond))


def signal_of_denoised(denoised: Sequence[Stack], std: float) -> list[Stack]:
    """Undo the Rician bias of a denoised scan.

    Parameters
    ----------
    denoised : sequence of arrays (slices, height, width)
        Mean magnitudes as a denoiser estimates them, air included, with their true zero.
    std : float
        Std of the complex noise's parts, in the same units.

    Returns
    -------
    list of float32 arrays, same shapes
        Signal; 0 where nothing but air is to be seen.
    """
    from scipy.ndimage import gaussian_filter

    # Looked at together with their surroundings, weak tissue and air are told apart far better.
    around = [gaussian_filter(stack / std, (0, _AROUND_PX, _AROUND_PX)) for stack in denoised]
    share_of = _air_share(np.concatenate([stack.ravel() for stack in around]))
    return [
        ((1 - share_of(near)) * signal_of_rician_mean(stack.astype(np.float64), std)).astype(np.float32)
        for stack, near in zip(denoised, around, strict=True)
    ]


def _air_share(relative: NDArray[np.floating[Any]]) -> Callable[[NDArray[np.floating[Any]]], Any]:
    """Local false discovery rate: which share of the places with a value is air, as a function of it.

    Values of air scatter evenly about the floor, and only air's are below it: their lower half tells how
    many they are and how far they scatter.
    """
    floor = float(_RAYLEIGH_MEAN)
    below = relative[(relative < floor) & (relative > floor - _DEPTH)]
    if below.size < _FEWEST:
        return np.zeros_like
    scatter = float(np.sqrt(((below - floor) ** 2).mean()))
    edges = floor + scatter * np.linspace(0, 8, 8 * _BINS + 1)
    counts, _ = np.histogram(relative, edges)
    middles = (edges[1:] + edges[:-1]) / 2
    expected = below.size * 2 * np.diff(edges) * np.exp(-0.5 * ((middles - floor) / scatter) ** 2)
    expected /= scatter * np.sqrt(2 * np.pi)
    share = np.minimum.accumulate(np.clip(expected / np.maximum(counts, 1), 0, 1))
    return partial(np.interp, xp=middles, fp=share, left=1.0, right=0.0)

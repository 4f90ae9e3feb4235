"""Rician noise of magnitude images: recognise it by its background, and undo its bias.

The magnitude of a complex signal with noise of std s in both parts is larger than the signal on
average: by 1.25 s where there is no signal (Rayleigh noise), by about s^2 / 2A where the signal A is
strong (Gudbjartsson and Patz 1995). A denoiser gives this mean; the signal is found from it by
inverting the mean's formula (Koay and Basser 2006). Near the floor that inverse is steep as a root is,
so that a denoiser's remaining unevenness in air would come out several times as strong: what can't be
told from air, by the local false discovery rate (Efron 2004), is therefore taken for air.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.patches import calm_levels, cut_part, find_patches, shapes_of, weighted_median
from diffdenoise.scan.sample import parts_of
from diffdenoise.types import Slices, Stack

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


def find_rician_std(stacks: Sequence[Slices], *, adjacent: bool) -> float | None:
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
    looked_at = [cut_part(stacks[part.volume], part) for part in parts_of(shapes_of(stacks))]
    if any(bool((image < 0).any()) for image in looked_at):
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
    """Undo the Rician bias of a denoised scan in memory, with its true zero; see `bias_correction`."""
    undo = bias_correction(denoised, std)
    return [undo(stack) for stack in denoised]


def bias_correction(denoised: Sequence[Slices], std: float, zero: float = 0.0) -> Callable[[Stack], Stack]:
    """Return what undoes the Rician bias of a denoised scan, slices at a time.

    Parameters
    ----------
    denoised : sequence of arrays or the like (slices, height, width)
        Mean magnitudes as a denoiser estimates them, air included.
    std : float
        Std of the complex noise's parts, in the same units.
    zero : float
        Value that stands for their true zero.

    Returns
    -------
    callable
        Takes float32 slices (slices, height, width) of the scan, and gives their signal: zero where nothing
        but air is to be seen.
    """
    share_of = _air_share(lambda: _around(denoised, std, zero))

    def undo(slices: Stack) -> Stack:
        magnitude = slices - np.float32(zero)
        signal = signal_of_rician_mean(magnitude.astype(np.float64), std)
        tissue = 1 - share_of(_smoothed(magnitude, std))
        return np.asarray(tissue * signal + zero, dtype=np.float32)

    return undo


def _around(denoised: Sequence[Slices], std: float, zero: float) -> Iterator[NDArray[np.float32]]:
    """Yield each slice's magnitudes in stds, smoothed."""
    for stack in denoised:
        for number in range(len(stack)):
            yield _smoothed(np.asarray(stack[number : number + 1], np.float32) - np.float32(zero), std)


def _smoothed(magnitude: NDArray[np.float32], std: float) -> NDArray[np.float32]:
    """Magnitudes in stds with their surroundings: so weak tissue and air are told apart far better."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(magnitude / std, (0, _AROUND_PX, _AROUND_PX)))


def _air_share(
    slices: Callable[[], Iterable[NDArray[np.floating[Any]]]],
) -> Callable[[NDArray[np.floating[Any]]], Any]:
    """Local false discovery rate: which share of the places with a value is air, as a function of it.

    Values of air scatter evenly about the floor, and only air's are below it: their lower half tells how
    many they are and how far they scatter. The slices are gone through twice.
    """
    floor = float(_RAYLEIGH_MEAN)
    number, squares = 0, 0.0
    for relative in slices():
        below = relative[(relative < floor) & (relative > floor - _DEPTH)].astype(np.float64)
        number += below.size
        squares += float(((below - floor) ** 2).sum())
    if number < _FEWEST:
        return np.zeros_like
    scatter = float(np.sqrt(squares / number))
    edges = floor + scatter * np.linspace(0, 8, 8 * _BINS + 1)
    counts = np.sum([np.histogram(relative, edges)[0] for relative in slices()], axis=0)
    middles = (edges[1:] + edges[:-1]) / 2
    expected = number * 2 * np.diff(edges) * np.exp(-0.5 * ((middles - floor) / scatter) ** 2)
    expected /= scatter * np.sqrt(2 * np.pi)
    share = np.minimum.accumulate(np.clip(expected / np.maximum(counts, 1), 0, 1))
    return partial(np.interp, xp=middles, fp=share, left=1.0, right=0.0)

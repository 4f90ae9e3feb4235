"""The bias of magnitude images: what a signal's mean magnitude is, how it scatters, and the way back.

The magnitude of a complex signal with noise of std s in both parts is larger than the signal on
average: by 1.25 s where there is no signal (Rayleigh noise), by about s^2 / 2A where the signal A is
strong (Gudbjartsson and Patz 1995); the root of several coils' sum of squares the more so, as a
noncentral chi distribution has it (Constantinides et al. 1997). A denoiser gives this mean; the signal is
found from it by inverting the mean's formula (Koay and Basser 2006). Near the floor that inverse is steep as
a root is, so that a denoiser's remaining unevenness in air would come out several times as strong: what can't
be told from air, by the local false discovery rate (Efron 2004), is therefore taken for air.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.types import Slices, Stack

#: Depth below the floor, in noise stds, within which values are air's; lower ones are of another kind,
#: such as a mask's zeros. Fewest values that tell how air scatters.
_DEPTH, _FEWEST = 0.6, 500
#: Std in pixels of the Gaussian over which a place's surroundings tell whether it is air.
_AROUND_PX = 1.5
#: Bins a scatter for the density of values.
_BINS = 20
#: Signal over noise up to which the mean is tabulated; beyond, the bias is below 0.1 % of the signal.
_HIGHEST = 30.0


@cache
def _table(coils: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signal and mean magnitude for parts of std 1, both rising."""
    from scipy.special import gammaln, hyp1f1

    signal = np.linspace(0, _HIGHEST, 3001)
    # Constantinides et al. 1997, eq. 9; for one coil Rice's mean.
    floor = np.sqrt(2) * np.exp(gammaln(coils + 0.5) - gammaln(coils))
    return signal, floor * hyp1f1(-0.5, coils, -(signal**2) / 2)


def signal_of_mean(mean: NDArray[np.float64], std: float, coils: int = 1) -> NDArray[np.float64]:
    """Signal whose mean magnitude is given; 0 below that of noise alone (1.25 std for one coil).

    Parameters
    ----------
    mean : array
        Of magnitudes.
    std : float
        Of the complex noise's parts, in the same units.
    coils : int
        Whose sum of squares the magnitude is the root of.
    """
    signals, means = _table(coils)
    relative = mean / std
    # Far above the floor the mean of squares tells: E[M]^2 = A^2 + 2n - 1 but for terms in 1 / A^2.
    beyond = np.sqrt(np.maximum(relative**2 - (2 * coils - 1), 0))
    return np.asarray(std * np.where(relative < means[-1], np.interp(relative, means, signals), beyond))


def mean_of_signal(signal: NDArray[np.float64], std: float, coils: int = 1) -> NDArray[np.float64]:
    """Mean magnitude of a signal that isn't negative; the other way round than `signal_of_mean`."""
    signals, means = _table(coils)
    relative = signal / std
    beyond = np.sqrt(relative**2 + (2 * coils - 1))
    return np.asarray(std * np.where(relative < _HIGHEST, np.interp(relative, signals, means), beyond))


def std_of_mean(mean: NDArray[np.float64], std: float, coils: int = 1) -> NDArray[np.float64]:
    """Std of magnitudes with that mean; parameters as of `signal_of_mean`."""
    signal, floor = signal_of_mean(mean, std, coils), std * float(_table(coils)[1][0])
    # E[M^2] = A^2 + 2 n s^2.
    variance = signal**2 + 2 * coils * std**2 - np.maximum(mean, floor) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def signal_of_denoised(denoised: Sequence[Stack], std: float, coils: int = 1) -> list[Stack]:
    """Undo the bias of a denoised scan in memory, with its true zero; see `bias_correction`."""
    undo = bias_correction(denoised, std, coils)
    return [undo(stack, 1.0) for stack in denoised]


def bias_correction(
    denoised: Sequence[Slices],
    std: float,
    coils: int = 1,
    zero: float = 0.0,
    factors: Sequence[Slices] | None = None,
) -> Callable[[Stack, NDArray[np.float32] | float], Stack]:
    """Return what undoes the bias of a denoised magnitude scan, slices at a time.

    Parameters
    ----------
    denoised : sequence of arrays or the like (slices, height, width)
        Mean magnitudes as a denoiser estimates them, air included.
    std : float
        Std of the complex noise's parts, in the same units.
    coils : int
        Whose sum of squares the magnitude is the root of; 1: Rician noise.
    zero : float
        Value that stands for their true zero.
    factors : sequence of arrays or the like, same shapes, optional
        How many times `std` the noise is at each place; None: everywhere the same.

    Returns
    -------
    callable
        Takes float32 slices (slices, height, width) of the scan, and the factor at their places, and gives
        their signal: zero where nothing but air is to be seen.
    """
    floor = float(_table(coils)[1][0])
    share_of = _air_share(lambda: _around(denoised, std, zero, factors), floor)

    def undo(slices: Stack, factor: NDArray[np.float32] | float = 1.0) -> Stack:
        # Signal and noise divided by the level's factor are those of noise of one level.
        magnitude = (slices - np.float32(zero)) / np.float32(factor)
        signal = factor * signal_of_mean(magnitude.astype(np.float64), std, coils)
        tissue = 1 - share_of(_smoothed(magnitude, std))
        return np.asarray(tissue * signal + zero, dtype=np.float32)

    return undo


def _around(
    denoised: Sequence[Slices], std: float, zero: float, factors: Sequence[Slices] | None
) -> Iterator[NDArray[np.float32]]:
    """Yield each slice's magnitudes in stds, smoothed."""
    for volume, stack in enumerate(denoised):
        for number in range(len(stack)):
            magnitude = np.asarray(stack[number : number + 1], np.float32) - np.float32(zero)
            yield _smoothed(magnitude if factors is None else magnitude / factors[volume][number], std)


def _smoothed(magnitude: NDArray[np.float32], std: float) -> NDArray[np.float32]:
    """Magnitudes in stds with their surroundings: so weak tissue and air are told apart far better."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(magnitude / std, (0, _AROUND_PX, _AROUND_PX)))


def _air_share(
    slices: Callable[[], Iterable[NDArray[np.floating[Any]]]],
    floor: float,
) -> Callable[[NDArray[np.floating[Any]]], Any]:
    """Local false discovery rate: which share of the places with a value is air, as a function of it.

    Values of air scatter evenly about the floor, and only air's are below it: their lower half tells how
    many they are and how far they scatter. The slices are gone through twice.
    """
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

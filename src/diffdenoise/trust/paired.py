"""A scan before and after, slice by slice, in scaled intensities and with what its noise is said to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.rician import mean_of_signal
from diffdenoise.noise.statement import Noise
from diffdenoise.scan.sample import parts_of_slice, spread_slices
from diffdenoise.scan.voxels import Voxels

_Image = NDArray[np.float32]
#: Pixels at most that are searched for places; of more, evenly spaced slices.
MOST_SEARCHED = 16_000_000
#: Pixels that tell whether the bias of magnitudes was undone.
_TOLD_BY = 500_000


@dataclass(frozen=True)
class Part:
    """Where a part of a slice is: slices of up to a megapixel are one part.

    Attributes
    ----------
    volume, number : int
        Of the slice.
    top, left : int
        Of its first row and column.
    height, width : int
        In pixels.
    """

    volume: int
    number: int
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Pair:
    """A part of a slice before and after.

    Attributes
    ----------
    part : Part
        Where it is.
    noisy, denoised : float32 array (height, width)
        Scaled intensities.
    expected : float32 array (height, width)
        What the noisy image would be on average, if the denoised one were the truth: magnitudes are brighter
        than their signal.
    known : bool array (height, width)
        Where there is data.
    std : float32 array (height, width)
        Stated std of the noise, scaled intensities; 0 where none was found.
    """

    part: Part
    noisy: _Image
    denoised: _Image
    expected: _Image
    known: NDArray[np.bool_]
    std: _Image

    @property
    def residual(self) -> _Image:
        """What was taken off, less the bias of magnitudes that was undone; 0 where there is no data."""
        return np.where(self.known, self.noisy - self.expected, np.float32(0))


class Paired:
    """A scan before and after.

    Parameters
    ----------
    noise : Noise
        Of the noisy scan, with its slices.
    denoised : Voxels
        Of the same shape, in the same units.
    share : float
        Of the residual that was taken off: the denoised image is looked at as if all of it had been.
    """

    def __init__(self, noise: Noise, denoised: Voxels, share: float = 1.0) -> None:
        self.noise, self._share = noise, np.float32(share)
        self._ready, self._denoised = noise.ready, denoised
        self._factors = noise.factors

    def with_all_taken_off(self, share: float) -> Paired:
        """Return the scan and what it would be if not only a share of the residual had been taken off."""
        return Paired(self.noise, self._denoised, share)

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """Slices, height and width of each volume."""
        return self._ready.shapes

    def parts(self, most_pixels: int) -> list[Part]:
        """Return parts of evenly spaced slices with this many pixels in all at most; at least one slice."""
        pixels = max(height * width for _, height, width in self.shapes)
        found = []
        for volume, number in spread_slices(self.shapes, max(1, most_pixels // pixels)):
            for (top, bottom), (left, right) in parts_of_slice(self.shapes[volume]):
                found.append(Part(volume, number, top, left, bottom - top, right - left))
        return found

    def pairs(self, parts: list[Part]) -> Iterator[Pair]:
        """Read parts of slices; those of one slice should follow each other."""
        last: tuple[int, int] | None = None
        for part in parts:
            if (part.volume, part.number) != last:
                whole = self.slice(part.volume, part.number)
                last = part.volume, part.number
            rows = slice(part.top, part.top + part.height)
            columns = slice(part.left, part.left + part.width)
            images = (whole.noisy, whole.denoised, whole.expected)
            noisy, denoised, expected = (each[rows, columns] for each in images)
            yield Pair(part, noisy, denoised, expected, whole.known[rows, columns], whole.std[rows, columns])

    def slice(self, volume: int, number: int) -> Pair:
        """Read a slice."""
        return self._slice(volume, number, self._is_unbiased)

    def _slice(self, volume: int, number: int, is_unbiased: bool) -> Pair:
        """Read a slice whose result has the bias of magnitudes undone, or not."""
        ready = self._ready
        given = ready.voxels.slab(ready.axis, volume, number, number + 1)
        nothing = ready.regions.no_data_in(volume, number, given)
        after = self._denoised.slab(ready.axis, volume, number, number + 1)
        noisy, denoised = (ready.scaled(values, nothing)[0] for values in (given, after))
        if self._share < 1:
            denoised = noisy - (noisy - denoised) / self._share
        unmeasurable = ready.regions.unmeasurable_in(volume, number, given)
        known = np.ones(noisy.shape, np.bool_) if unmeasurable is None else ~unmeasurable[0]
        factor = 1.0 if self._factors is None else self._factors[volume][number]
        std = self.noise.model.levels(denoised, factor).astype(np.float32)
        part = Part(volume, number, 0, 0, *noisy.shape)
        expected = magnitude_of(self.noise, denoised, factor) if is_unbiased else denoised
        return Pair(part, noisy, denoised, expected, known, std)

    @cached_property
    def _is_unbiased(self) -> bool:
        """Whether the result of magnitudes is nearer to their signal than to their mean."""
        if self.noise.diagnosis.rician_std is None:
            return False
        off = np.zeros(2)
        for volume, number in {(part.volume, part.number) for part in self.parts(_TOLD_BY)}:
            pair = self._slice(volume, number, is_unbiased=True)
            dark = pair.known & (pair.denoised <= np.median(pair.denoised))
            if dark.any():
                noisy = pair.noisy[dark]
                images = (pair.denoised, pair.expected)
                off += [float((noisy - image[dark]).mean(dtype=np.float64)) for image in images]
        return bool(abs(off[1]) < abs(off[0]))


def magnitude_of(
    noise: Noise, denoised: NDArray[np.floating], factor: NDArray[np.floating] | float
) -> _Image:
    """Return the mean magnitude of a signal under the stated noise, scaled intensities.

    Parameters
    ----------
    noise : Noise
        Of magnitudes.
    denoised : array
        The signal, scaled intensities.
    factor : array, same shape, or float
        How many times its typical level the noise is at each place.
    """
    found, zero = noise.diagnosis, noise.ready.intensities.zero
    if found.rician_std is None:
        return np.asarray(denoised, np.float32)
    signal = np.maximum(denoised.astype(np.float64) - zero, 0) / factor
    return np.asarray(factor * mean_of_signal(signal, found.rician_std, found.coils) + zero, np.float32)

"""The same denoiser once more, on slices of its scan whose values were changed on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.domain import EnteredVolume
from diffdenoise.noise.rician import bias_correction
from diffdenoise.noise.statement import Noise
from diffdenoise.scan.volume import Volume
from diffdenoise.types import Stack

if TYPE_CHECKING:
    from diffdenoise.model.trained import Model


#: Turned copies that are averaged at most: more take as many times the time, for a tenth of a decibel.
_TURNS = 2


class Again:
    """Denoises slabs of a scan as the scan itself was denoised, along one axis and with few turned copies.

    Parameters
    ----------
    model : Model
        Denoised the scan.
    noise : Noise
        Of the scan.
    own : bool
        As `Model.denoise_scan` was told.
    strength : float
        Share of the residual that was taken off.
    """

    def __init__(self, model: Model, noise: Noise, own: bool, strength: float = 1.0) -> None:
        self._noise, self._strength = noise, np.float32(strength)
        whole = model.denoiser
        self._denoiser = replace(whole, turns=whole.turns[:_TURNS])
        self._domain, self._places = model.domain_for(noise, own)
        self._magnitude = model.magnitude_of(noise, own)
        self._undo: Callable[..., Stack] | None = None

    def __call__(self, volume: int, first: int, values: Stack) -> Stack:
        """Denoise a slab.

        The first one that is denoised should be as it was scanned: what is air is told by it.

        Parameters
        ----------
        volume, first : int
            Volume, and number of the slab's first slice.
        values : float32 array (slices, height, width)
            Scaled intensities; the slices beside these are the scan's own.

        Returns
        -------
        float32 array, same shape
            Scaled intensities, the bias of magnitudes undone.
        """
        changed = _Changed(self._noise.ready.volumes[volume], first, values)
        entered = EnteredVolume(changed, self._domain, self._places[volume])
        found = self._denoiser.denoise_part(entered, self._domain.level, first, first + len(values))
        denoised = self._without_bias(volume, first, found)
        return denoised if self._strength == 1 else values + self._strength * (denoised - values)

    def _without_bias(self, volume: int, first: int, denoised: Stack) -> Stack:
        """Undo the bias of magnitudes, as the slab that came first says what air is."""
        if self._magnitude is None:
            return denoised
        factors = self._noise.factors
        factor = (
            None if factors is None else np.stack([factors[volume][first + k] for k in range(len(denoised))])
        )
        if self._undo is None:
            self._undo = bias_correction(
                [denoised],
                *self._magnitude,
                self._noise.ready.intensities.zero,
                None if factor is None else [factor],
            )
        return self._undo(denoised, 1.0 if factor is None else factor)


class _Changed:
    """The scaled slices of a volume, some of them changed."""

    def __init__(self, whole: Volume, first: int, values: Stack) -> None:
        self.shape = whole.shape
        self._whole, self._first, self._values = whole, first, values

    def slab(self, first: int, last: int) -> Stack:
        """Slices from `first` up to, and without, `last`."""
        found = np.array(self._whole.slab(first, last))
        begin, end = max(first, self._first), min(last, self._first + len(self._values))
        if begin < end:
            found[begin - first : end - first] = self._values[begin - self._first : end - self._first]
        return found

    def known(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Where these hold data; None: everywhere."""
        return self._whole.known(first, last)

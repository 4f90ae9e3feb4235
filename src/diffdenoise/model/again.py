"""The same denoiser once more, on slices of its scan whose values were changed on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.domain import Domain, EnteredVolume
from diffdenoise.noise.place import PlaceMap
from diffdenoise.noise.rician import bias_correction
from diffdenoise.noise.statement import Noise
from diffdenoise.types import Quiet, Stack

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
            Scaled intensities.

        Returns
        -------
        float32 array, same shape
            Scaled intensities, the bias of magnitudes undone.
        """
        whole = self._noise.ready.volumes[volume]
        slab = _Slab(values, whole.known(first, first + len(values)))
        entered = _EnteredSlab(slab, self._domain, self._places[volume], first, whole.shape)
        found = self._denoiser.denoise([entered], self._domain.level, Quiet())[0]
        denoised = self._without_bias(volume, first, np.array(found[0 : len(values)], np.float32))
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


class _Slab:
    """Slices in memory."""

    def __init__(self, values: Stack, known: NDArray[np.bool_] | None) -> None:
        count, height, width = values.shape
        self.shape = (count, height, width)
        self._values, self._known = values, known

    def slab(self, first: int, last: int) -> Stack:
        """Slices from `first` up to, and without, `last`."""
        return self._values[first:last]

    def known(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Where these hold data; None: everywhere."""
        return None if self._known is None else self._known[first:last]


class _EnteredSlab(EnteredVolume):
    """A slab in a domain, with its part of the map of the whole volume."""

    def __init__(
        self, slab: _Slab, domain: Domain, place: PlaceMap | None, first: int, whole: tuple[int, int, int]
    ) -> None:
        super().__init__(slab, domain, place)
        self._first, self._whole, self._map = first, whole, place

    def factor(self, first: int, last: int) -> NDArray[np.float32] | float:
        """How many times its typical level the noise is at each place of these slices."""
        if self._map is None:
            return 1.0
        numbers = range(self._first + first, self._first + last)
        return np.stack([self._map.of_slice(self._whole, number) for number in numbers])

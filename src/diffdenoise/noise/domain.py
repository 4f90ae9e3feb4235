"""Where a scan is denoised: intensities changed so that the noise has one level there, and the way back.

Noise whose level follows from the brightness has one level after the map f with f' = 1 / std (variance
stabilisation: Bartlett 1947; for Poisson-Gaussian noise this is the generalised Anscombe transform). The mean
of f(y) is not f of the mean: the way back is the exact unbiased inverse, by a table of E[f(y)] (Makitalo and
Foi 2011, "Optimal inversion of the Anscombe transformation in low-count Poisson image denoising"). A level
that varies with the place is divided by its map. Magnitudes are left as they are but for the map: near their
floor the inverse is as steep as a root is, and brings what is left of the noise in air back several times as
strong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.scan.volume import Volume
from diffdenoise.types import Stack

Array = NDArray[np.float64]
#: What stays itself where there is no true zero: the middle of the intensity range.
MIDDLE = 0.5
#: Least level, as a share of the typical one, that is stabilised: where noise was cut off there is none.
_LEAST = 0.25
#: Points of the map between the ends of a curve; of the table of means, which goes so many stds beyond them.
_POINTS, _MEANS, _BEYOND = 4097, 1025, 4.0
#: Nodes of the Gauss-Hermite quadrature over the noise; factors of the map that the table is made for.
_NODES, _FACTORS = 48, 7
#: Evenly spaced means of a table by factors, and its place among the tables.
_LINE, _GRID = 4097, -1.0
#: Scaled intensities that a table of the whole map goes over.
_RANGE = (-3.0, 4.0)

_Table = tuple[Array, Array]


@dataclass(frozen=True, repr=False)
class Domain:
    """Intensities in which a scan's noise has one level.

    Attributes
    ----------
    noise : NoiseModel
        Of the scan, in scaled intensities.
    level : float
        Std of the noise in the domain: a scaled intensity is about one there.
    zero : float or None
        Of magnitudes: the scaled intensity that stands for their true zero; None: no magnitudes.
    """

    noise: NoiseModel
    level: float
    zero: float | None = None
    _tables: dict[float, _Table] = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        """One line."""
        how = "stabilised" if self.is_stabilised else "as scanned"
        return f"Domain({how}, std {self.level:.2%})"

    @property
    def is_stabilised(self) -> bool:
        """Whether intensities are mapped for their noise to have one level."""
        return self.zero is None and not self.noise.is_constant

    @property
    def centre(self) -> float:
        """Intensity that stays itself."""
        return MIDDLE if self.zero is None else self.zero

    def own_noise(self) -> NoiseModel:
        """Return the noise as it is in the domain."""
        return self.of_noise(self.noise)

    def of_noise(self, noise: NoiseModel) -> NoiseModel:
        """Return a noise of the scan as it is in the domain, without a map of places."""
        if not self.is_stabilised:
            return replace(noise, place=None)
        floor = self._floor
        stds = np.maximum(np.interp(noise.brightness, self.noise.brightness, self.noise.stds), floor)
        there = tuple(self.level * float(own / std) for own, std in zip(noise.stds, stds, strict=True))
        places = self._stretched(np.array(noise.brightness, dtype=np.float64)) - self._stretched_centre
        brightness = tuple(float(one) for one in self.centre + self.level * places)
        return replace(noise, brightness=brightness, stds=there, place=None, typical=None)

    def enter(self, values: NDArray[np.float32], factor: NDArray[np.float32] | float = 1.0) -> Stack:
        """Take scaled intensities into the domain.

        Parameters
        ----------
        values : float32 array
            Scaled intensities.
        factor : float32 array, same shape, or float
            Of the map at these places.

        Returns
        -------
        float32 array, same shape
        """
        if not self.is_stabilised:
            return self._about_centre(values, factor, -1)
        stretched = self._stretched(values.astype(np.float64)) - self._stretched_centre
        return np.asarray(self.centre + self.level * stretched / factor, dtype=np.float32)

    def leave(self, values: NDArray[np.float32], factor: NDArray[np.float32] | float = 1.0) -> Stack:
        """Take means in the domain back: the mean intensities that they stand for; see `enter`."""
        if not self.is_stabilised:
            return self._about_centre(values, factor, 1)
        mean = (values.astype(np.float64) - self.centre) * factor / self.level + self._stretched_centre
        return self._mean_of(mean, np.asarray(factor, dtype=np.float64)).astype(np.float32)

    def _about_centre(
        self, values: NDArray[np.float32], factor: NDArray[np.float32] | float, power: int
    ) -> Stack:
        if isinstance(factor, float) and factor == 1:
            # As it is, without a copy: slices of a volume in memory stay views of it.
            return values
        centre = np.float32(self.centre)
        return np.asarray((values - centre) * factor**power + centre, np.float32)

    def tables(self) -> tuple[Array, Array, Array]:
        """Return intensities, and where they and their means are there, at places of the typical level.

        Returns
        -------
        intensities, entered, means : array, all rising
            Far beyond the range of intensities, linear between its places.
        """
        line = np.linspace(*_RANGE, _POINTS)
        found = self._means(1.0)
        entered, means = self._stretched(line), _along(found, line)
        start = self.centre - self.level * self._stretched_centre
        return line, start + self.level * entered, start + self.level * means

    @property
    def _floor(self) -> float:
        return _LEAST * self.noise.typical_std

    @property
    def _stretched_centre(self) -> float:
        return float(self._stretched(np.array([self.centre]))[0])

    def _stretched(self, values: Array) -> Array:
        """f: the integral of 1 / std, linear beyond the ends of the curve."""
        line, f = self._map
        ends = np.minimum(values - line[0], 0) * _slope(line, f, 0) + np.maximum(
            values - line[-1], 0
        ) * _slope(line, f, -1)
        return np.asarray(np.interp(values, line, f) + ends)

    @property
    def _map(self) -> _Table:
        if 0.0 not in self._tables:
            brightness = self.noise.brightness
            line = np.linspace(brightness[0], brightness[-1], _POINTS)
            rate = 1 / np.maximum(np.interp(line, brightness, self.noise.stds), self._floor)
            f = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(line))])
            self._tables[0.0] = line, f
        return self._tables[0.0]

    def _mean_of(self, stretched: Array, factor: Array) -> Array:
        """Intensities whose stretched values have these means, at places with these factors of the map."""
        place = self.noise.place
        if place is None or place.most <= place.least:
            return _inverse(self._means(1.0 if place is None else place.least), stretched)
        factors = np.geomspace(place.least, place.most, _FACTORS)
        ends = self._means(float(factors[-1]))[1]
        line = np.linspace(ends[0], ends[-1], _LINE)
        grid = self._grid(factors, line)
        row = np.log(factor / factors[0]) * ((_FACTORS - 1) / np.log(factors[-1] / factors[0]))
        row = np.broadcast_to(np.clip(row, 0, _FACTORS - 1), stretched.shape)
        # Beyond its ends the inverse goes on as it ends.
        column = (stretched - line[0]) / (line[1] - line[0])
        above, left = (
            np.clip(at.astype(np.intp), 0, most) for at, most in ((row, _FACTORS - 2), (column, _LINE - 2))
        )
        down, right = row - above, column - left
        flat, place_of = grid.ravel(), above * _LINE + left
        near, far = (
            (1 - right) * flat[start] + right * flat[start + 1] for start in (place_of, place_of + _LINE)
        )
        return np.asarray(near + down * (far - near))

    def _grid(self, factors: Array, line: Array) -> Array:
        """Table (factors, line) of intensities by means of stretched values."""
        if _GRID not in self._tables:
            rows = [_inverse(self._means(float(one)), line) for one in factors]
            self._tables[_GRID] = line, np.stack(rows)
        return self._tables[_GRID][1]

    def _means(self, factor: float) -> _Table:
        """Table of E[f(y)] at intensities, for noise of that many times the curve's level."""
        if factor not in self._tables:
            brightness, stds = np.array(self.noise.brightness), factor * np.array(self.noise.stds)
            line = np.linspace(brightness[0] - _BEYOND * stds[0], brightness[-1] + _BEYOND * stds[-1], _MEANS)
            nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
            drawn = line[:, None] + np.interp(line, brightness, stds)[:, None] * nodes
            self._tables[factor] = line, self._stretched(drawn) @ weights / weights.sum()
        return self._tables[factor]


def _slope(line: Array, f: Array, end: int) -> float:
    first, second = (0, 1) if end == 0 else (-2, -1)
    return float((f[second] - f[first]) / (line[second] - line[first]))


def _along(table: _Table, line: Array) -> Array:
    """Values of a table at places, linear beyond its ends."""
    return _inverse((table[1], table[0]), line)


def _inverse(table: _Table, means: Array) -> Array:
    line, mean = table
    below = np.minimum(means - mean[0], 0) / _slope(line, mean, 0)
    above = np.maximum(means - mean[-1], 0) / _slope(line, mean, -1)
    return np.asarray(np.interp(means, mean, line) + below + above)


class EnteredVolume:
    """The slices of a volume in a domain, read when they are asked for."""

    def __init__(self, volume: Volume, domain: Domain, place: PlaceMap | None) -> None:
        self._volume, self._domain, self._place = volume, domain, place

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, height and width."""
        return self._volume.shape

    def slab(self, first: int, last: int) -> Stack:
        """Slices from `first` up to, and without, `last`."""
        values = self._volume.slab(first, last)
        return self._domain.enter(values, self.factor(first, last))

    def known(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Where these hold data; None: everywhere."""
        return self._volume.known(first, last)

    def leave(self, first: int, values: Stack) -> Stack:
        """Take what was found for slices from `first` on back."""
        return self._domain.leave(values, self.factor(first, first + len(values)))

    def factor(self, first: int, last: int) -> NDArray[np.float32] | float:
        """How many times its typical level the noise is at each place of these slices."""
        if self._place is None:
            return 1.0
        return np.stack([self._place.of_slice(self.shape, number) for number in range(first, last)])


def entered(
    volumes: Sequence[Volume], domain: Domain, places: Sequence[PlaceMap | None]
) -> list[EnteredVolume]:
    """Return volumes in a domain, each with its own map."""
    return [EnteredVolume(volume, domain, place) for volume, place in zip(volumes, places, strict=True)]

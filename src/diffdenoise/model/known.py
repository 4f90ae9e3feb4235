"""What the student is told of a scan's noise, and where it denoises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffdenoise.networks.known_noise import GRID, Known
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.scan.scan import Scan

#: Levels under this share of the range are treated as this: nothing can be learned below rounding.
LEAST_STD = 1e-3
#: The spectrum is told at every second frequency of a plane that the longest lags fit into.
_EVERY = 2
#: Distances of slices, as multiples of the pixels', that the weights know.
_NEAREST, _FARTHEST = 0.5, 6.0
#: Distance of slices, as a multiple of the pixels', up to which voxels are nearly isotropic.
NEARLY = 1.25
#: Voxels along an axis at least, where volumes are cut along all: across a slab slices are too narrow.
_LEAST_SIDE = 40
#: Voxels of a volume that may be in memory as a whole: 256 MB of float32.
_MOST_VOXELS = 2**26


def domain_of(noise: NoiseModel, diagnosis: Diagnosis, zero: float, *, told: bool = False) -> Domain:
    """Return where a scan is denoised.

    Parameters
    ----------
    noise : NoiseModel
        Of the scan, in scaled intensities.
    diagnosis : Diagnosis
        All that is known of it.
    zero : float
        Scaled intensity of the scan's true zero.
    told : bool
        Whether the level is what the user says, and not what the scan shows.
    """
    std = diagnosis.rician_std
    if std is None:
        return Domain(noise, noise.typical_std)
    # Of magnitudes the level is that of the complex noise's parts: near the floor they scatter less.
    return Domain(noise, noise.typical_std if told else max(std, noise.least_std), zero)


def domain_at(domain: Domain, zero: float, place: PlaceMap | None) -> Domain:
    """Return the domain of one volume of a data set: with its own map, and its own true zero if it counts."""
    if domain.noise.place == place and domain.zero in (None, zero):
        return domain
    noise = replace(domain.noise, place=place)
    return Domain(noise, domain.level, None if domain.zero is None else zero)


def known_noise(domain: Domain, neighbours: int, spacing: float | None, coils: int = 1) -> Known:
    """Return what is known of the noise in a domain.

    Parameters
    ----------
    domain : Domain
        Of the scan.
    neighbours : int
        Slices on either side of a slice.
    spacing : float or None
        Their distance as a multiple of the pixels'; None: not known.
    coils : int
        Of magnitudes: whose sum of squares they are the root of. Those of several scatter nearly as Gaussian
        noise does, and of magnitudes the weights know those of one coil.
    """
    zero = domain.zero if coils == 1 else None
    if spacing is not None:
        spacing = min(max(spacing, _NEAREST), _FARTHEST)
    return Known(spectrum_of(domain.noise.correlation), domain.level, neighbours, spacing, zero)


def spectrum_of(correlation: Correlation) -> NDArray[np.float64]:
    """Return the noise's power as the student is told it, (16, 9)."""
    side = GRID * _EVERY
    return correlation.spectrum(side, side)[::_EVERY, : side // 2 + 1 : _EVERY]


def spacing_of(scan: Scan, axis: int | None) -> float | None:
    """Return the distance of a scan's slices as a multiple of the pixels' in them; None: not known."""
    if axis is None or scan.spacing_mm is None:
        return None
    inside = [size for other, size in enumerate(scan.spacing_mm[:3]) if other != axis]
    return float(scan.spacing_mm[axis] / min(inside))


def most_axes(
    shapes: Sequence[tuple[int, int, int]], neighbours: int, spacing: float | None, correlation: Correlation
) -> int:
    """Return along how many axes volumes can be cut into slices: 3 where these are alike along all, else 1.

    Parameters
    ----------
    shapes : sequence of (slices, height, width)
        Of the volumes.
    neighbours : int
        Slices on either side of a slice; of noise of their own.
    spacing : float or None
        Their distance as a multiple of the pixels'; None: not known.
    correlation : Correlation
        Of the noise inside slices.
    """
    if not neighbours or spacing is None or not 1 / NEARLY <= spacing <= NEARLY or not correlation.is_white:
        return 1
    fit = all(min(shape) >= _LEAST_SIDE and math.prod(shape) <= _MOST_VOXELS for shape in shapes)
    return 3 if fit else 1

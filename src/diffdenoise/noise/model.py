"""What is known about a scan's noise: its level at each brightness and place, and its correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.patches import is_cut_off, weighted_median
from diffdenoise.noise.place import PlaceMap

#: The level counts as constant if this share of the patches is within this factor of the median one, and
#: of those outside the darkest class, often the background, at least the second share.
_AGREEING, _AGREEING_REST, _NEARLY = 0.7, 0.4, 1.2


@dataclass(frozen=True, repr=False)
class NoiseModel:
    """Noise level as a function of brightness and place, and in-plane correlation.

    Attributes
    ----------
    brightness : tuple of float
        Rising scaled intensities of the curve's points.
    stds : tuple of float
        Noise std at each of them, scaled intensities.
    correlation : Correlation
        Of the noise inside slices.
    background : Correlation or None
        Of the noise at the lowest brightness, where that is a background without signal whose noise is
        correlated otherwise; between the two lowest brightnesses, of a mixture.
    place : PlaceMap or None
        How many times `stds` the noise is at each place, 1 in the middle of the tissue; None: everywhere
        the same.
    typical : float or None
        Level that most of the object has; None: not known, see `typical_std`.
    """

    brightness: tuple[float, ...]
    stds: tuple[float, ...]
    correlation: Correlation = WHITE
    background: Correlation | None = None
    place: PlaceMap | None = None
    typical: float | None = None

    def __repr__(self) -> str:
        """One line, without the lags."""
        level = f"std {self.typical_std:.2%} of the range"
        if not self.is_constant:
            level += f", {min(self.stds):.2%} to {max(self.stds):.2%} by brightness"
        if self.place is not None:
            level += f", times {self.place.least:.2f} to {self.place.most:.2f} by place"
        widths = " x ".join(f"{width:g}" for width in self.correlation.width_px)
        return f"NoiseModel({level}, correlated over {widths} px)"

    @classmethod
    def constant(cls, std: float, correlation: Correlation = WHITE) -> NoiseModel:
        """Return the model of noise of one level."""
        return cls((0.0,), (std,), correlation)

    @property
    def is_constant(self) -> bool:
        """Whether the level doesn't depend on brightness."""
        return len(set(self.stds)) == 1

    @property
    def typical_std(self) -> float:
        """Level that most of the object has in the middle of the tissue, scaled intensities.

        Where that isn't known, the median over the brightness classes; of an even number the upper one in the
        middle: where there are two, the other is background.
        """
        if self.typical is not None:
            return self.typical
        return float(np.quantile(self.stds, 0.5, method="higher"))

    @property
    def least_std(self) -> float:
        """Lowest level at any brightness and place, scaled intensities."""
        return min(self.stds) * (1.0 if self.place is None else self.place.least)

    def levels(self, clean: NDArray[Any], factor: NDArray[Any] | float = 1.0) -> NDArray[np.float64]:
        """Return the noise's std at each pixel.

        Parameters
        ----------
        clean : array
            Intensities without noise, scaled.
        factor : array, same shape, or float
            Of the map at these places.
        """
        return np.asarray(factor * np.interp(clean, self.brightness, self.stds))

    def times(self, factor: float) -> NoiseModel:
        """Return the model of noise that is so many times as strong."""
        typical = None if self.typical is None else factor * self.typical
        return replace(self, stds=tuple(factor * std for std in self.stds), typical=typical)

    def raised_to(self, least_std: float) -> NoiseModel:
        """Return the model with levels below this, in scaled intensities, raised to it."""
        typical = None if self.typical is None else max(self.typical, least_std)
        return replace(self, stds=tuple(max(std, least_std) for std in self.stds), typical=typical)

    def as_dict(self) -> dict[str, Any]:
        """Return the model as plain lists and numbers."""
        tree: dict[str, Any] = {
            "brightness": list(self.brightness),
            "stds": list(self.stds),
            "correlation": self.correlation.as_dict(),
        }
        if self.typical is not None:
            tree["typical"] = self.typical
        if self.background is not None:
            tree["background"] = self.background.as_dict()
        if self.place is not None:
            tree["place"] = self.place.as_lists()
        return tree


def model_of_curve(
    curve: Sequence[LevelPoint],
    correlation: Correlation,
    background: Correlation | None = None,
    place: PlaceMap | None = None,
) -> NoiseModel | None:
    """Return the noise model that a curve of levels says, of one level if most of it agrees on that.

    Parameters
    ----------
    curve : sequence of LevelPoint
        From dark to bright.
    correlation : Correlation
        Of the noise.
    background : Correlation, optional
        Of the noise of a background without signal; for levels that vary.
    place : PlaceMap, optional
        How many times the curve's levels the noise is at each place.

    Returns
    -------
    NoiseModel or None
        None for an empty curve.
    """
    if not curve:
        return None
    stds = np.array([point.std for point in curve])
    weights = np.array([point.patches for point in curve], dtype=float)
    middle = weighted_median(list(stds), list(weights))
    agreeing = (stds < _NEARLY * middle) & (stds > middle / _NEARLY)
    enough = weights[agreeing].sum() >= _AGREEING * weights.sum()
    rest = weights[1:][agreeing[1:]].sum() >= _AGREEING_REST * weights[1:].sum()
    if enough and rest and not is_cut_off(list(stds), list(weights)):
        level = weighted_median(list(stds[agreeing]), list(weights[agreeing]))
        return NoiseModel((0.0,), (level,), correlation, place=place)
    return NoiseModel(
        tuple(point.brightness for point in curve),
        tuple(float(std) for std in stds),
        correlation,
        background,
        place,
    )

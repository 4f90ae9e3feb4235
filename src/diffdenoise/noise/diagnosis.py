"""Everything that is known about a scan's noise before training; it decides the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.autocorrelation import NARROW, estimate_background, estimate_correlation
from diffdenoise.noise.contrast import find_object, tissue_contrast, value_step
from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.curve import LevelPoint, noise_curve
from diffdenoise.noise.evenness import least_level, only_noise
from diffdenoise.noise.interpolation import interpolation_factor
from diffdenoise.noise.level import SLICES_DEPEND, estimate_noise, slice_correlation
from diffdenoise.noise.magnitude import LEAST_OF_THEORY, Magnitude, find_magnitude, is_borne_out, levels_of
from diffdenoise.noise.model import NoiseModel, model_of_curve
from diffdenoise.noise.patches import calm_levels, find_patches, is_cut_off, weighted_median
from diffdenoise.noise.place import Placed, placed
from diffdenoise.noise.place_fit import find_place
from diffdenoise.noise.repeats import levels_of_repeats
from diffdenoise.noise.skewness import noise_skewness
from diffdenoise.types import Slices

#: Levels below this share of the range are rounding, and there is nothing to take off.
_ROUNDING = 1e-3
#: An upper bound that anatomy sets may be more than the noise by this factor.
_BOUND = 1.25
#: Differences of consecutive volumes below this share of the level tell that the rest of it is anatomy.
_MUCH_LESS = 0.7


#: Skewness over the slope of level by brightness from which on noise is skewed as counts are.
_SKEWED = 0.75


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """A scan's noise, in scaled intensities (shares of the range).

    Attributes
    ----------
    noise : NoiseModel
        Level, of one number or by brightness, and correlation inside slices.
    slice_correlation : float
        Between the noise of adjacent slices; 0 without any.
    curve : tuple of LevelPoint
        Levels that were read from calm patches, from dark to bright; empty where there are none.
    rician_std : float or None
        Std of the complex noise's parts, where the background shows a magnitude image's noise.
    coils : int
        Coils whose sum of squares that magnitude is the root of; 1: Rician noise, else noncentral chi.
    is_upper_bound : bool
        Whether even calm places are full of anatomy, so that the noise is no more than this and may be
        less: nothing may be built on its level.
    contrast : float or None
        How much neighbouring tissues differ: see `tissue_contrast`; None: not known.
    step : float
        By which stored values differ at least.
    skewness : float
        Of noise whose level varies with brightness, in the object; 0 where it wasn't looked for.
    """

    noise: NoiseModel
    slice_correlation: float
    curve: tuple[LevelPoint, ...]
    rician_std: float | None
    coils: int = 1
    is_upper_bound: bool = False
    contrast: float | None = None
    step: float = 0.0
    skewness: float = 0.0

    def __repr__(self) -> str:
        """One line, without the curve."""
        name = "Rician" if self.coils == 1 else f"chi of {self.coils} coils"
        kind = f", {name} {self.rician_std:.2%}" if self.rician_std is not None else ""
        bound = "at most " if self.is_upper_bound else ""
        return f"Diagnosis({bound}{self.noise}{kind}, slice correlation {self.slice_correlation:.2f})"

    @property
    def std(self) -> float:
        """Typical level; 0 if no noise was found."""
        return self.noise.typical_std

    @property
    def correlation(self) -> Correlation:
        """Correlation inside slices."""
        return self.noise.correlation

    @property
    def interpolation(self) -> tuple[float | None, float | None]:
        """How many times finer than acquired the grid is, down and right; None: not by its noise."""
        return interpolation_factor(self.correlation.down), interpolation_factor(self.correlation.right)

    @property
    def floor(self) -> float | None:
        """Lowest level outside background and saturation: noise alone, where anything else may be anatomy."""
        stds, weights = [one.std for one in self.curve], [float(one.patches) for one in self.curve]
        if is_cut_off(stds, weights):
            stds, weights = stds[1:], weights[1:]
        if is_cut_off(stds[::-1], weights[::-1]):
            stds = stds[:-1]
        return min(stds, default=None)

    @property
    def is_skewed(self) -> bool:
        """Whether noise that grows with brightness is skewed as counts are, and not as Gaussian noise is.

        Counts of level s have a skewness of 2 ds/dx, and of -ds/dx where their level is stabilised; noise
        that isn't skewed has one of -3 ds/dx there. So the boundary is 3/2 ds/dx, in the object; over all
        brightnesses, from where it is dark on, the slope is about twice as steep.
        """
        brightness, stds = np.array(self.noise.brightness), np.array(self.noise.stds)
        if len(stds) < 2:
            return False
        slope = np.polyfit(brightness, stds, 1)[0]
        return bool(slope > 0 and self.skewness > _SKEWED * slope)

    @property
    def slices_independent(self) -> bool:
        """Whether adjacent slices have noise of their own."""
        return self.slice_correlation < SLICES_DEPEND

    @property
    def share_of_contrast(self) -> float | None:
        """Noise over the differences of neighbouring tissues; None: not known, or these do not differ."""
        return self.std / self.contrast if self.contrast else None

    def is_clean(self, threshold: float) -> bool:
        """Whether denoising would gain nothing: noise is small against the contrasts of tissue.

        Parameters
        ----------
        threshold : float
            Share of the contrast of neighbouring tissues up to which noise is small; 0: it never is. Noise
            that only has an upper bound may be a quarter more: to take off that much would take off
            anatomy. Levels below the step of stored values, or below a thousandth of the range, are rounding.
        """
        if not threshold or not self.curve:
            return False
        if self.std < max(self.step, _ROUNDING):
            return True
        share = self.share_of_contrast
        return share is not None and share < (_BOUND if self.is_upper_bound else 1) * threshold

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis for JSON."""
        return {
            **self.noise.as_dict(),
            "correlation_px": list(self.correlation.width_px),
            "interpolation": list(self.interpolation),
            "slice_correlation": self.slice_correlation,
            "floor": self.floor,
            "rician_std": self.rician_std,
            "coils": self.coils,
            "is_upper_bound": self.is_upper_bound,
            "tissue_contrast": self.contrast,
            "share_of_contrast": self.share_of_contrast,
            "step": self.step,
            "skewness": self.skewness,
        }


class _Shifted:
    """Slices less a number; those with a map of the noise's level divided by it too.

    Magnitudes of a signal and of noise that are both divided by that level are those of noise of one level.
    """

    def __init__(self, slices: Slices, less: float) -> None:
        self.shape = slices.shape
        self._slices, self._less = slices, less
        self._factors = slices.factors if isinstance(slices, Placed) else None

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        less = self._slices[number] - self._less
        return np.asarray(less if self._factors is None else less / self._factors[number])


def _in_tissue(curve: Sequence[LevelPoint]) -> float:
    """Median level of a curve without a background that is cut off at zero."""
    cut_off = is_cut_off([one.std for one in curve], [one.patches for one in curve])
    return float(np.median([one.std for one in curve[cut_off:]]))


def diagnose_stacks(stacks: Sequence[Slices], zeros: Sequence[float]) -> Diagnosis:
    """Look at a scan's noise, and at what it is to be compared with.

    Parameters
    ----------
    stacks : sequence of arrays (slices, height, width)
        Scaled intensities (about 0 to 1); NaN where there is nothing to measure.
    zeros : sequence of float
        Scaled intensity of each stack's true zero, which Rician noise is recognised by.
    """
    found, seen = _noise_of(stacks, zeros), find_object(stacks)
    if seen is None:
        return replace(found, step=value_step(stacks))
    if not found.noise.is_constant:
        found = replace(
            found,
            noise=replace(found.noise, typical=_typical(found.curve, seen.least)),
            skewness=noise_skewness(placed(stacks, found.noise.place), seen.least, found.slices_independent),
        )
    contrast = tissue_contrast(seen, found.std, found.correlation)
    return replace(found, contrast=contrast, step=value_step(stacks))


def _typical(curve: Sequence[LevelPoint], least: float) -> float | None:
    """Level that most patches of the object have; None: none of them is brighter than its least."""
    inside = [point for point in curve if point.brightness > least]
    if not inside:
        return None
    return weighted_median([point.std for point in inside], [float(point.patches) for point in inside])


def _bounded(least: LevelPoint, between: float, std: float | None, coils: int) -> Diagnosis:
    """Diagnosis where there is no more to tell than what the noise is at most."""
    if std is not None and least.std < LEAST_OF_THEORY * std:
        # No more than this in tissue: what air shows is not the noise there.
        std, coils = None, 1
    model = NoiseModel.constant(least.std)
    return Diagnosis(model, between, (least,), std, coils, is_upper_bound=True)


def _noise_of(stacks: Sequence[Slices], zeros: Sequence[float]) -> Diagnosis:
    """Look at a scan's noise."""
    rough = estimate_noise(stacks)
    # Anatomy, which is alike in the next slice, only adds to it.
    between = min(slice_correlation(stacks, steps) for steps in {(1, 1), rough.correlation.steps})
    adjacent = min(len(stack) for stack in stacks) >= 3 and between < SLICES_DEPEND
    place = find_place(stacks, rough.correlation, adjacent=adjacent)
    plain, correlation = stacks, rough.correlation
    if place is not None:
        # Residuals in units of the level at their place: without, the calmest places are those where noise is
        # weakest, and anatomy has the largest share.
        stacks = placed(plain, place)
        correlation = estimate_correlation(stacks, adjacent=adjacent)
    seen = _look(stacks, zeros, correlation, adjacent=adjacent)
    std, coils = (None, 1) if seen.magnitude is None else (seen.magnitude.std, seen.magnitude.coils)
    repeats = levels_of_repeats(stacks)
    if repeats and _in_tissue(repeats) < _MUCH_LESS * (_in_tissue(seen.curve) if seen.curve else rough.std):
        # What calm places hold is the same in the next volume: anatomy.
        model = model_of_curve(repeats, WHITE)
        if model is not None:
            return Diagnosis(model, between, tuple(repeats), std, coils)
    bound = None
    if not seen.calm and (seen.curve or calm_levels(find_patches(plain, NARROW[0], adjacent=adjacent))):
        bound = least_level(plain, adjacent=adjacent)
    if bound is not None:
        return _bounded(replace(bound, std=min(bound.std, rough.std)), between, std, coils)
    background = estimate_background(stacks, adjacent=adjacent)
    if background == seen.correlation:
        background = None
    return Diagnosis(
        model_of_curve(seen.calm, seen.correlation, background, place)
        or NoiseModel.constant(rough.std, seen.correlation),
        between,
        tuple(seen.calm),
        std,
        coils,
    )


@dataclass(frozen=True)
class _Seen:
    """What calm patches and air show: all levels, those that are noise's, and what of it air tells."""

    correlation: Correlation
    curve: list[LevelPoint]
    calm: list[LevelPoint]
    magnitude: Magnitude | None


def _look(
    stacks: Sequence[Slices], zeros: Sequence[float], correlation: Correlation, *, adjacent: bool
) -> _Seen:
    """Look at calm patches and at air."""
    shifted = [_Shifted(*pair) for pair in zip(stacks, zeros, strict=True)]
    magnitude = find_magnitude(shifted, adjacent=adjacent)
    # Air tells the correlation without anatomy, and without what surfaces take off.
    told = None if magnitude is None else magnitude.correlation
    curve = noise_curve(stacks, told or correlation, adjacent=adjacent)
    zero = float(np.median(zeros))
    if magnitude is not None and not is_borne_out(magnitude, curve, zero):
        if told is not None and told != correlation:
            curve = noise_curve(stacks, correlation, adjacent=adjacent)
        magnitude, told = None, None
    if magnitude is not None and told is not None:
        curve = levels_of(magnitude, curve, zero)
        return _Seen(told, curve, curve, magnitude)
    calm = only_noise(stacks, curve, correlation, adjacent=adjacent)
    return _Seen(correlation, curve, calm, magnitude)

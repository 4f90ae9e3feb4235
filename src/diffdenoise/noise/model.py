"""What is known about a scan's noise: its level at each brightness, and its correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.level import NoiseEstimate, diagonal_haar, std_from_haar

Slab: TypeAlias = NDArray[np.float32]

#: Brightness classes of the curve.
_CLASSES = 12
#: Share of a class's places, the best predicted ones, that its level is read from: few enough to leave
#: out edges, enough not to pick the places where the noise itself is weaker than elsewhere.
_CALMEST = 0.5
#: Places that a class must have, as a share of all and in number.
_LEAST_SHARE = 0.005
_LEAST_BLOCKS = 300
#: Levels that differ by less than this factor are one level.
_NEARLY_CONSTANT = 1.25


@dataclass(frozen=True)
class NoiseModel:
    """Noise level as a function of brightness, and in-plane correlation.

    Attributes
    ----------
    brightness : tuple of float
        Rising scaled intensities of the curve's points.
    stds : tuple of float
        Noise std at each of them, scaled intensities.
    correlation_px : (float, float)
        Std in pixels of the Gaussian kernel that correlates the noise down and along the slice.
    """

    brightness: tuple[float, ...]
    stds: tuple[float, ...]
    correlation_px: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def constant(cls, std: float, correlation_px: tuple[float, float] = (0.0, 0.0)) -> NoiseModel:
        """Return the model of noise of one level."""
        return cls((0.0,), (std,), correlation_px)

    @property
    def is_constant(self) -> bool:
        """Whether the level doesn't depend on brightness."""
        return len(set(self.stds)) == 1

    @property
    def typical_std(self) -> float:
        """Median level over the brightness classes, scaled intensities."""
        return float(np.median(self.stds))

    def as_dict(self) -> dict[str, Any]:
        """Return the model as plain lists and numbers."""
        return {
            "brightness": list(self.brightness),
            "stds": list(self.stds),
            "correlation_px": list(self.correlation_px),
        }

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> NoiseModel:
        """Return the model that `as_dict` described."""
        down, right = tree["correlation_px"]
        return cls(tuple(tree["brightness"]), tuple(tree["stds"]), (down, right))


def fit_noise_curve(
    noisy: Sequence[Slab],
    mean: Sequence[Slab],
    variance: Sequence[Slab],
    prior: NoiseEstimate,
    least_std: float = 0.0,
) -> NoiseModel:
    """Read the noise level at each brightness off the noisy slices, helped by stage 1.

    Stage 1 tells how bright a place is and how well its surroundings predict it. The finest diagonal
    wavelet coefficients of the best-predicted places of a brightness hold next to no anatomy.

    Parameters
    ----------
    noisy, mean, variance : sequences of float32 arrays (height, width)
        Slices, and the mean and variance that the blind-spot network predicts for their pixels.
    prior : NoiseEstimate
        The noise's correlation, which the coefficients are corrected for, and its level where the
        slices have nothing to tell it from.
    least_std : float
        Levels below this are raised to it.

    Returns
    -------
    NoiseModel
        Constant, if the levels differ by less than a quarter.
    """
    found: list[NDArray[np.float64]] = []
    for image, brightness, spread in zip(noisy, mean, variance, strict=True):
        coefficients, constant = diagonal_haar(image)
        block = (slice(None, -1), slice(None, -1))
        found.append(
            np.stack([coefficients, brightness[block], spread[block]], axis=-1)[~constant].astype(np.float64)
        )
    coefficient, brightness, spread = np.concatenate(found).T
    width = prior.correlation_px
    if not coefficient.size:
        return NoiseModel.constant(max(prior.std, least_std), width)

    def level(where: NDArray[np.bool_]) -> float:
        return max(std_from_haar(coefficient[where], width), least_std)

    low, high = np.quantile(brightness, [0.005, 0.995])
    edges = np.linspace(float(low), float(high), _CLASSES + 1)
    classes = np.clip(np.digitize(brightness, edges) - 1, 0, _CLASSES - 1)
    points: list[tuple[float, float]] = []
    calm = np.zeros(len(spread), dtype=bool)
    for number in range(_CLASSES):
        inside = classes == number
        if inside.sum() < max(_LEAST_SHARE * len(spread), _LEAST_BLOCKS):
            continue
        best = inside & (spread <= np.quantile(spread[inside], _CALMEST))
        calm |= best
        points.append((float(np.median(brightness[best])), level(best)))
    stds = [std for _, std in points]
    if not points or max(stds) < _NEARLY_CONSTANT * min(stds):
        return NoiseModel.constant(level(calm if points else np.ones_like(calm)), width)
    return NoiseModel(tuple(bright for bright, _ in points), tuple(stds), width)

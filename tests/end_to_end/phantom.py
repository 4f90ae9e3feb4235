"""A made-up head of 64 x 64 x 6 voxels that is like none of its mirror images, and noise for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.simulate import gaussian, rician

Volume = NDArray[np.float64]
SHAPE = (64, 64, 6)


def clean_phantom(shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Magnitudes from 0 (air, a fifth of it) to 1000, slices along the last axis.

    Fine structure on one side only: slanted stripes of 5 pixels, dots, a thin bent line, a wedge and a hook.
    """
    x, y, z = np.meshgrid(
        np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), np.arange(shape[2]), indexing="ij"
    )
    drift = 0.02 * z
    head = ((x - 0.05) / 0.92) ** 2 + ((y + 0.04) / 0.86 + 0.15 * x) ** 2 < 1
    image = 430 + 170 * x - 110 * y + 60 * np.sin(4 * x + 2 * y + 0.4 * z)
    stripes = (x > 0.1) & (x < 0.72) & (y < -0.08) & (y > -0.6)
    image += np.where(stripes, 160 * np.sign(np.sin(2 * np.pi * (32 * x + 14 * y) / 5.0 / 1.4 + 0.3 * z)), 0)
    for row, column, radius, height in (
        (-0.5, -0.45, 0.16, 330),
        (-0.22, -0.62, 0.07, -260),
        (-0.62, 0.02, 0.06, 380),
        (0.18, 0.5, 0.05, 350),
        (0.34, 0.42, 0.05, -300),
        (0.5, 0.31, 0.05, 400),
    ):
        image += height * ((x - row - drift) ** 2 + (y - column) ** 2 < radius**2)
    bent = np.abs(y - 0.28 - 0.3 * (x + 0.3) ** 2 - drift) < 0.022
    image += np.where(bent & (x < 0.0), 260, 0)
    wedge = (y > 0.45) & (x < -0.1) & (y < 0.45 + 0.35 * (-0.1 - x))
    image += np.where(wedge, -180, 0)
    hook = ((np.abs(x + 0.35) < 0.03) & (np.abs(y + 0.05) < 0.14)) | (
        (np.abs(y - 0.07) < 0.03) & (x > -0.35) & (x < -0.12)
    )
    image += np.where(hook, -240, 0)
    return np.where(head, np.clip(image, 60, 1000), 0.0)


def _white(clean: Volume, rng: np.random.Generator) -> Volume:
    return gaussian(clean, 90.0, rng=rng)


def _correlated(clean: Volume, rng: np.random.Generator) -> Volume:
    return gaussian(clean, 90.0, correlation_px=0.7, axis=2, rng=rng)


def _level_varying(clean: Volume, rng: np.random.Generator) -> Volume:
    """Poisson counts of 20 units each, and Gaussian noise of 25: std 25 in air, 140 where it is brightest."""
    return 20 * rng.poisson(clean / 20) + 25 * rng.standard_normal(clean.shape)


def _rician(clean: Volume, rng: np.random.Generator) -> Volume:
    return rician(clean, 90.0, rng=rng)


#: Kinds of noise by name.
NOISES: dict[str, Callable[[Volume, np.random.Generator], Volume]] = {
    "white": _white,
    "correlated": _correlated,
    "level-varying": _level_varying,
    "rician": _rician,
}


def noisy_phantom(kind: str, seed: int = 0) -> NDArray[np.float32]:
    """The phantom with noise of a kind."""
    return NOISES[kind](clean_phantom(), np.random.default_rng(seed)).astype(np.float32)

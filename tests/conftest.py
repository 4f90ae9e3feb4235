"""Small scans and settings that several test folders share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffdenoise.config import Settings

#: Settings under which a training takes a moment on any machine.
TINY: dict[str, Any] = {
    "minutes": None,
    "data": {"patch": 16, "batch": 2},
    "stage1": {"width": 4},
    "stage2": {"width": 4},
    "stage3": {"width": 4, "draws": 1},
    "sampling": {"nodes": 2},
    "schedule": {
        "blind-spot": {"steps": 6},
        "diffusion": {"steps": 6},
        "targets": {"steps": 3},
        "student": {"steps": 6},
        "refine": {"steps": 6},
    },
}


def tiny_settings(**changes: Any) -> Settings:
    """Return `TINY` with top-level changes."""
    return Settings.build(**{**TINY, **changes})


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_volume(shape: tuple[int, ...] = (40, 36, 5), seed: int = 0, std: float = 60) -> NDArray[np.int16]:
    """Smooth shapes from 0 to about 1000 with Gaussian noise, int16; the last axis is across slices."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    x, y = axes[:2]
    inside = x**2 + y**2 + (0.3 * axes[2] ** 2 if len(shape) > 2 else 0) < 0.8
    clean = inside * (600 + 250 * np.cos(5 * x) * np.sin(4 * y)) + 150 * ((x - 0.2) ** 2 + y**2 < 0.1)
    noise = np.random.default_rng(seed).normal(0, std, shape)
    return np.asarray(np.rint(clean + noise), dtype=np.int16)

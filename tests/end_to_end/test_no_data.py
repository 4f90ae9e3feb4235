"""The phantom as files really hold it: padding, clipped air, exact zeros, saturated spots, NaN.

What is no data comes back bit for bit, and the rest is denoised as well as without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.plan import make_plan
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.read import from_array
from tests.end_to_end.phantom import SHAPE, clean_phantom

Mask = NDArray[np.bool_]
#: Std of the noise in the phantoms' own units: HU for CT, a share of 1000 for MR.
CT_STD, MR_STD = 40.0, 90.0
PADDING, AIR, METAL = -3024, -1024, 3071


def settings() -> Settings:
    steps = {"blind-spot": 20, "diffusion": 20, "targets": 0, "student": 0, "refine": 40}
    return Settings.build(
        minutes=None,
        data={"patch": 32, "batch": 4},
        schedule={name: {"steps": count} for name, count in steps.items()},
        stage3={"orientations": 4},
    )


def ct_phantom() -> tuple[NDArray[np.int16], NDArray[np.float64], Mask]:
    """A noisy head in HU as scanners write it, the clean one, and what is no data.

    Air ends at -1024, outside of the round field of view is padding, and two implants are saturated.
    """
    body = clean_phantom()
    clean = np.where(body > 0, 0.4 * body - 200, -1000.0)
    noisy = clean + CT_STD * np.random.default_rng(0).standard_normal(SHAPE)
    stored = np.clip(np.rint(noisy), AIR, METAL).astype(np.int16)
    x, y = np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5, indexing="ij")
    no_data = np.zeros(SHAPE, bool)
    no_data[np.hypot(x, y) > 32] = True
    stored[no_data] = PADDING
    for rows, columns in ((slice(40, 47), slice(38, 46)), (slice(16, 22), slice(44, 50))):
        stored[rows, columns] = METAL
        no_data[rows, columns] = True
    return stored, clean, no_data


def mr_phantom(nothing: float) -> tuple[NDArray[np.float32], NDArray[np.float64], Mask]:
    """A noisy head whose surroundings were masked."""
    clean = clean_phantom()
    noisy = clean + MR_STD * np.random.default_rng(0).standard_normal(SHAPE)
    outside = clean == 0
    return np.where(outside, nothing, noisy).astype(np.float32), clean, outside


def scene(name: str) -> tuple[NDArray[Any], NDArray[np.float64], Mask]:
    return ct_phantom() if name == "ct" else mr_phantom(0.0 if name == "zeros" else np.nan)


def psnr(image: NDArray[Any], clean: NDArray[np.float64], inside: Mask, span: float) -> float:
    error = image[inside].astype(np.float64) - clean[inside]
    return float(10 * np.log10(span**2 / np.mean(error**2)))


@pytest.mark.parametrize(
    ("name", "span", "least"),
    [
        ("ct", 400, 4.7),
        ("zeros", 1000, 7.0),
        ("nan", 1000, 7.0),
    ],
)
def test_no_data_comes_back_and_the_rest_is_denoised(name: str, span: float, least: float) -> None:
    noisy, clean, no_data = scene(name)
    denoised = dd.denoise(noisy, settings=settings(), threads=1)
    assert denoised.dtype == noisy.dtype
    assert denoised[no_data].tobytes() == noisy[no_data].tobytes()
    tissue = (clean_phantom() > 0) & ~no_data
    gain = psnr(denoised, clean, tissue, span) - psnr(noisy, clean, tissue, span)
    assert gain > least
    if name == "ct":
        # Nothing of the padding or of the implants bleeds into the image beside them.
        assert denoised[~no_data].min() >= AIR - 3 * CT_STD
        assert denoised[~no_data].max() < 600


@pytest.mark.parametrize(
    ("name", "std", "within"),
    [
        ("ct", 40, 0.16),
        ("zeros", 90, 0.05),
        ("nan", 90, 0.05),
    ],
)
def test_the_noise_is_that_of_the_image_itself(name: str, std: float, within: float) -> None:
    noisy, _, _ = scene(name)
    plan = make_plan([from_array(noisy)], settings())
    assert not plan.is_clean
    assert plan.diagnosis.std * prepare(from_array(noisy)).intensities.range == pytest.approx(std, rel=within)

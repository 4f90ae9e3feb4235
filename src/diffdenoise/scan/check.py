"""Whether a scan can be denoised at all."""

from __future__ import annotations

import numpy as np

from diffdenoise.errors import IntensityError, ShapeError
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.scan.survey import Survey, survey_of


def check_scan(scan: Scan) -> None:
    """Raise an error if the scan can't be denoised.

    Parameters
    ----------
    scan : Scan
        As read from a file or made from an array.

    Raises
    ------
    ShapeError
        If it hasn't two to four axes, or its slices are under 8x8 pixels.
    IntensityError
        If it is not made of real numbers, has colour channels or infinity, holds nothing but NaN, or has
        fewer than three different values (no contrast, or a mask). Single NaN stand for "no data".
    """
    dtype, shape, name = scan.dtype, scan.shape, scan.name
    if dtype.kind == "c":
        raise IntensityError(f"{name}: holds complex numbers; expected real ones; take the magnitude")
    if dtype.kind == "b":
        raise IntensityError(f"{name}: holds true/false values; expected an image; this looks like a mask")
    if dtype.kind not in "iuf":
        raise IntensityError(f"{name}: holds {dtype} values; expected numbers; convert it")
    if not 2 <= scan.ndim <= 4:
        raise ShapeError(f"{name}: has {scan.ndim} axes {shape}; expected 2 to 4; split or reshape it")
    # Formats that know channels refuse colour themselves; a plain array of bytes can only be guessed.
    if scan.format in ("numpy", "array") and dtype == np.uint8 and shape[2:] in ((3,), (4,)):
        raise IntensityError(
            f"{name}: has shape {shape}, which looks like a colour (RGB) image; expected one grey "
            "channel; give one channel, or move the slices to the first axis"
        )
    _check_values(survey_of(scan, choose_axis(scan)), name, scan.voxels.size)


def _check_values(found: Survey, name: str, size: int) -> None:
    if found.infinite:
        raise IntensityError(
            f"{name}: holds {found.infinite:,} infinite values of {size:,}; expected finite ones, or NaN "
            "where there is no data; replace them first"
        )
    if found.missing == size:
        raise IntensityError(f"{name}: holds nothing but NaN; expected an image")
    if found.all_hidden:
        raise IntensityError(f"{name}: nothing is inside of its mask; expected voxels to denoise")
    low, high = found.least, found.largest
    if found.values == 1:
        raise IntensityError(f"{name}: is constant (all values are {low}); expected an image with contrast")
    if found.values == 2:
        raise IntensityError(f"{name}: has two values only ({low}, {high}); expected an image, not a mask")

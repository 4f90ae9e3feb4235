"""Whether a scan can be denoised at all."""

from __future__ import annotations

import numpy as np

from diffdenoise.errors import IntensityError, ShapeError
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis


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
    data, name = scan.data, scan.name
    if data.dtype.kind == "c":
        raise IntensityError(f"{name}: holds complex numbers; expected real ones; take the magnitude")
    if data.dtype.kind == "b":
        raise IntensityError(f"{name}: holds true/false values; expected an image; this looks like a mask")
    if data.dtype.kind not in "iuf":
        raise IntensityError(f"{name}: holds {data.dtype} values; expected numbers; convert it")
    if not 2 <= data.ndim <= 4:
        raise ShapeError(f"{name}: has {data.ndim} axes {data.shape}; expected 2 to 4; split or reshape it")
    # Formats that know channels refuse colour themselves; a plain array of bytes can only be guessed.
    if scan.format in ("numpy", "array") and data.dtype == np.uint8 and data.shape[2:] in ((3,), (4,)):
        raise IntensityError(
            f"{name}: has shape {data.shape}, which looks like a colour (RGB) image; expected one grey "
            "channel; give one channel, or move the slices to the first axis"
        )
    choose_axis(scan)
    if data.dtype.kind == "f":
        bad = int(np.count_nonzero(np.isinf(data)))
        if bad:
            raise IntensityError(
                f"{name}: holds {bad:,} infinite values of {data.size:,}; expected finite ones, or NaN where "
                "there is no data; replace them first"
            )
        if np.isnan(data).all():
            raise IntensityError(f"{name}: holds nothing but NaN; expected an image")
        data = data[~np.isnan(data)]
    if scan.outside is not None and scan.outside.all():
        raise IntensityError(f"{name}: nothing is inside of its mask; expected voxels to denoise")
    low, high = data.min(), data.max()
    if low == high:
        raise IntensityError(f"{name}: is constant (all values are {low}); expected an image with contrast")
    if bool(((data == low) | (data == high)).all()):
        raise IntensityError(f"{name}: has two values only ({low}, {high}); expected an image, not a mask")

"""Add noise of known kind and strength to a clean scan, for tests and studies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import IntensityError, SettingsError
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.otsu import threshold_otsu
from diffdenoise.scan.pixels import to_stored
from diffdenoise.scan.registry import format_named
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.types import Array

Kind: TypeAlias = Literal["gaussian", "rician", "poisson"]

#: Counts up to which NumPy's Poisson generator is used; more means a gain too small to matter.
_MOST_COUNTS = 1e15


def simulate(
    scan: Scan,
    kind: Kind,
    std: float | str,
    correlation_px: float = 0.0,
    seed: int = 0,
    *,
    axis: int | None = None,
    keep_dtype: bool = False,
) -> Scan:
    """Return a scan with noise added.

    Parameters
    ----------
    scan : Scan
        The clean scan; not changed.
    kind : "gaussian", "rician" or "poisson"
        See the functions of these names.
    std : float or str
        Standard deviation of the noise in the scan's units, or a share of its intensity range:
        "10%" (see `parse_std`).
    correlation_px : float
        Std in pixels of the Gaussian kernel that correlates the noise within slices; 0: white.
    seed : int
        The same seed gives the same noise.
    axis : int, optional
        Slice axis; chosen by `choose_axis` if left out. Matters for correlated noise only.
    keep_dtype : bool
        Round and clip to the scan's stored dtype. Without it the result is stored as float32, since
        clipping at 0 or 255 would bias the noise; PNG holds no float, so there it is done anyway.

    Returns
    -------
    Scan
        Of the same geometry and format.

    Raises
    ------
    SettingsError
        If an argument is out of range.
    IntensityError
        If the values don't suit the kind of noise.
    """
    check_scan(scan)
    if kind not in get_args(Kind):
        raise SettingsError(f"noise '{kind}': is not known; expected {', '.join(get_args(Kind))}")
    if seed < 0:
        raise SettingsError(f"seed {seed}: expected 0 or more")
    if isinstance(std, str):
        std = parse_std(std, scan.data)
    rng = np.random.default_rng(seed)
    axis = choose_axis(scan, axis)
    if kind == "poisson":
        if correlation_px != 0:
            raise SettingsError("poisson noise has no correlation; leave it out, or choose gaussian")
        noisy = poisson(scan.data, std, rng=rng)
    else:
        add = gaussian if kind == "gaussian" else rician
        noisy = add(scan.data, std, correlation_px=correlation_px, axis=axis, rng=rng)

    fmt = format_named(scan.format)
    if keep_dtype or (fmt is not None and not fmt.holds_float):
        return scan.with_data(to_stored(noisy, scan.stored_dtype.newbyteorder("=")))
    return replace(scan.with_data(noisy.astype(np.float32)), stored_dtype=np.dtype(np.float32))


def gaussian(
    data: Array,
    std: float,
    *,
    correlation_px: float = 0.0,
    axis: int | None = None,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return `data` plus zero-mean Gaussian noise.

    Parameters
    ----------
    data : array, (h, w), (x, y, z) or (x, y, z, t)
        Real values.
    std : float
        Standard deviation of the noise in the units of `data`, correlated or not.
    correlation_px : float
        Std in pixels of the Gaussian kernel that white noise is smoothed with inside each slice
        (wrapping around at its borders); 0: white noise. The noise's autocorrelation is then a
        Gaussian of std sqrt(2) x `correlation_px`.
    axis : int, optional
        Slice axis; needed for correlated noise in more than two dimensions.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    float64 array of the same shape

    Raises
    ------
    SettingsError
        If `std` or `correlation_px` is out of range, or `axis` is missing.
    """
    _check_std(std)
    return data.astype(np.float64) + std * _unit_noise(data.shape, correlation_px, axis, rng)


def rician(
    data: Array,
    std: float,
    *,
    correlation_px: float = 0.0,
    axis: int | None = None,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the magnitude of `data` with Gaussian noise on its real and imaginary part.

    Parameters
    ----------
    data : array, (h, w), (x, y, z) or (x, y, z, t)
        Magnitudes, none negative.
    std : float
        Standard deviation of the noise on each part, in the units of `data`.
    correlation_px, axis, rng
        As in `gaussian`.

    Returns
    -------
    float64 array of the same shape

    Raises
    ------
    SettingsError
        As in `gaussian`.
    IntensityError
        If a value is negative.

    References
    ----------
    H. Gudbjartsson, S. Patz, The Rician distribution of noisy MRI data, MRM 34 (1995), eq. 1.
    """
    _check_not_negative(data, "rician")
    real = gaussian(data, std, correlation_px=correlation_px, axis=axis, rng=rng)
    imaginary = std * _unit_noise(data.shape, correlation_px, axis, rng)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float64)


def poisson(data: Array, std: float, *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return `data` as if counted: noise whose variance grows in proportion to the signal.

    With q the units of `data` in one count, noisy = q Poisson(data / q) has the variance q x data.
    q is chosen so that the noise has the stated std at the mean of the foreground, the values above
    Otsu's threshold.

    Parameters
    ----------
    data : array, any shape
        Values, none negative.
    std : float
        Standard deviation of the noise at the foreground's mean, in the units of `data`.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    float64 array of the same shape

    Raises
    ------
    SettingsError
        If `std` is out of range.
    IntensityError
        If a value is negative, or all are zero.
    """
    _check_std(std)
    _check_not_negative(data, "poisson")
    values = data.astype(np.float64)
    mean = _foreground_mean(values)
    units_per_count = std**2 / mean
    if not units_per_count > 0 or float(values.max()) / units_per_count > _MOST_COUNTS:
        raise SettingsError(f"std {std:g}: is too small for poisson noise at a mean of {mean:g}; raise it")
    counts = rng.poisson(values / units_per_count).astype(np.float64)
    return counts * units_per_count


def parse_std(text: str, data: Array) -> float:
    """Return a standard deviation in the image's units.

    Parameters
    ----------
    text : str
        "10%": a share of the intensity range, the 99.5th minus the 0.5th percentile of `data`; a
        bare number: in the image's own units.
    data : array, any shape
        The clean image.

    Raises
    ------
    SettingsError
        If `text` is not a positive number, with or without a percent sign.
    """
    bare = text.strip()
    share = bare.endswith("%")
    try:
        number = float(bare.removesuffix("%"))
    except ValueError as error:
        raise SettingsError(f"std '{text}': is not a number; expected such as 25 or 10%") from error
    std = number / 100 * IntensityMap.fit(data).range if share else number
    _check_std(std)
    return std


def _check_std(std: float) -> None:
    """Raise `SettingsError` unless `std` is positive and finite."""
    if not (math.isfinite(std) and std > 0):
        raise SettingsError(f"std {std:g}: expected a positive, finite number")


def _check_not_negative(data: Array, kind: str) -> None:
    """Raise `IntensityError` if a value is negative."""
    low = float(data.min())
    if low < 0:
        raise IntensityError(
            f"the image holds negative values, down to {low:g}; {kind} noise needs "
            "values of 0 and more; use gaussian"
        )


def _foreground_mean(values: NDArray[np.float64]) -> float:
    """Return the mean of the values above Otsu's threshold."""
    if values.max() <= 0:
        raise IntensityError("the image is all zero; expected an image with contrast")
    if values.min() == values.max():
        return float(values.mean())  # Otsu's threshold separates nothing here
    threshold = threshold_otsu(values)
    return float(values[values > threshold].mean())


def _unit_noise(
    shape: tuple[int, ...], correlation_px: float, axis: int | None, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return Gaussian noise of std 1, correlated inside slices."""
    if not (math.isfinite(correlation_px) and correlation_px >= 0):
        raise SettingsError(f"correlation {correlation_px:g} px: expected 0 or more")
    white = rng.standard_normal(shape)
    if correlation_px == 0:
        return white
    if len(shape) > 2 and axis is None:
        raise SettingsError("correlated noise in a volume needs its slice axis; expected axis 0, 1 or 2")
    from scipy.ndimage import gaussian_filter

    in_plane = [index for index in range(min(len(shape), 3)) if len(shape) == 2 or index != axis]
    sigmas = [correlation_px if index in in_plane else 0.0 for index in range(len(shape))]
    smooth = gaussian_filter(white, sigmas, mode="wrap")
    # Noise smoothed by a kernel k has the variance sum(k^2); k is the filter's answer to one pixel.
    pixel = np.zeros([shape[index] for index in in_plane])
    pixel[0, 0] = 1.0
    kernel = gaussian_filter(pixel, correlation_px, mode="wrap")
    return np.asarray(smooth / np.sqrt(np.sum(kernel**2)), dtype=np.float64)

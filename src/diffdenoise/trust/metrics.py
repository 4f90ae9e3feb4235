"""PSNR, SSIM and RMSE against a reference, per slice and in all.

The three share one definition of "range": the 99.5th minus the 0.5th percentile of the reference, the
same share of the intensities that noise levels in percent refer to. Nothing is clipped or fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffdenoise.errors import IntensityError, ShapeError, option
from diffdenoise.scan.cut import to_stacks
from diffdenoise.scan.read import from_array
from diffdenoise.scan.slices import choose_axis

#: Side in pixels of SSIM's Gaussian window (std 1.5 pixels, cut at 3.5 std), as Wang et al. 2004.
SSIM_WINDOW = 11
SSIM_STD = 1.5
#: Percentiles of the reference between which its intensity range lies.
RANGE_PERCENTILES = (0.5, 99.5)
#: (K L)^2 of Wang et al. for K = 0.01 and 0.03, and intensities of range L = 1.
_C1, _C2 = 0.01**2, 0.03**2
#: Pixels whose SSIM is computed at a time, at a hundred bytes each.
_PIXELS_AT_ONCE = 1 << 17

_Stack = NDArray[np.float64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """How near one image comes to its reference.

    Attributes
    ----------
    psnr_db : float
        Peak signal-to-noise ratio in dB, the peak being the reference's range; inf if identical,
        nan if the mask leaves nothing.
    ssim : float
        Structural similarity; nan if the mask leaves nothing further than 5 pixels from the border.
    rmse : float
        Root of the mean squared error, in the reference's units; nan if the mask leaves nothing.
    """

    psnr_db: float
    ssim: float
    rmse: float

    def as_dict(self) -> dict[str, float | None]:
        """Return the scores for JSON: None for what is not finite."""
        return {
            "psnr_db": _finite(self.psnr_db),
            "ssim": _finite(self.ssim),
            "rmse": _finite(self.rmse),
        }


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a denoised scan, and of the noisy one it came from.

    Attributes
    ----------
    data_range : float
        The peak in PSNR and SSIM, in the reference's units.
    axis : int or None
        Array axis along which slices were taken; None for a single image.
    voxels : int
        Voxels compared.
    denoised, noisy : Scores
        Over all voxels; `noisy` is None if no noisy scan was given.
    denoised_slices, noisy_slices : tuple of Scores
        Slice by slice, volume after volume for a series; `noisy_slices` is empty without a noisy scan.
    """

    data_range: float
    axis: int | None
    voxels: int
    denoised: Scores
    noisy: Scores | None
    denoised_slices: tuple[Scores, ...]
    noisy_slices: tuple[Scores, ...]

    def __repr__(self) -> str:
        """One line, without the slices."""
        found = f"PSNR {self.denoised.psnr_db:.2f} dB, SSIM {self.denoised.ssim:.3f}"
        if self.noisy is not None:
            found += f" (noisy {self.noisy.psnr_db:.2f} dB, {self.noisy.ssim:.3f})"
        return f"Evaluation({found}, {self.voxels} voxels)"

    @property
    def psnr_gain_db(self) -> float | None:
        """PSNR of the denoised minus that of the noisy scan, in dB; None without a noisy scan."""
        return None if self.noisy is None else self.denoised.psnr_db - self.noisy.psnr_db

    @property
    def ssim_gain(self) -> float | None:
        """SSIM of the denoised minus that of the noisy scan; None without a noisy scan."""
        return None if self.noisy is None else self.denoised.ssim - self.noisy.ssim

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON: None for what is not finite or was not asked for."""
        return {
            "data_range": self.data_range,
            "data_range_is": "99.5th minus 0.5th percentile of the reference",
            "axis": self.axis,
            "voxels": self.voxels,
            "denoised": self.denoised.as_dict(),
            "noisy": None if self.noisy is None else self.noisy.as_dict(),
            "psnr_gain_db": _finite(self.psnr_gain_db),
            "ssim_gain": _finite(self.ssim_gain),
            "slices": [
                {
                    "slice": index,
                    "denoised": scores.as_dict(),
                    "noisy": self.noisy_slices[index].as_dict() if self.noisy_slices else None,
                }
                for index, scores in enumerate(self.denoised_slices)
            ],
        }


def evaluate(
    denoised: ArrayLike,
    reference: ArrayLike,
    noisy: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    axis: int | None = None,
    data_range: float | None = None,
) -> Evaluation:
    """Compare a denoised scan, and the noisy one if given, with a reference.

    Parameters
    ----------
    denoised, reference : array, (h, w), (x, y, z) or (x, y, z, t)
        Real values in the same units.
    noisy : array of the same shape, optional
        What `denoised` was made from; gives the gains.
    mask : array of the same shape, or (x, y, z) for a series, optional
        Nonzero inside the region to compare.
    axis : int, optional
        Axis along which the slices lie; None: chosen as for denoising an array.
    data_range : float, optional
        Peak for PSNR and SSIM in the reference's units; None: the 99.5th minus the 0.5th percentile
        of the whole reference (mask or not).

    Returns
    -------
    Evaluation
        PSNR is taken over all voxels (inside the mask), not averaged over slices. SSIM is computed
        in each slice with a Gaussian window (11 x 11 pixels, std 1.5) and averaged over all places
        (inside the mask) where the window fits into the slice, and into what holds data. Voxels that are NaN
        in one of the images hold none and are left out. Nothing is clipped.

    Raises
    ------
    ShapeError
        If shapes differ, or slices are smaller than the window.
    SettingsError
        If `axis` isn't an axis in space.
    IntensityError
        If a value is infinite, the denoised scan is NaN where the noisy one is not, the reference has no
        range, the mask is empty, or nothing is left inside of it.

    References
    ----------
    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
    Trans. Image Process. 13 (2004), eq. 13.
    """
    truth = np.asarray(reference)
    images = {"denoised": np.asarray(denoised)}
    if noisy is not None:
        images["noisy"] = np.asarray(noisy)
    _check(images, truth)
    axis = choose_axis(from_array(truth, "reference"), axis)
    nothing = _without_data(images, truth)
    inside = _mask(mask, truth.shape) & ~nothing
    if not inside.any():
        raise IntensityError("nothing is left to compare: every voxel inside is NaN in one of the images")
    if data_range is None:
        low, high = np.nanpercentile(truth, RANGE_PERCENTILES)
        data_range = float(high - low)
    if not data_range > 0:
        raise IntensityError("reference: has no intensity range, so PSNR has no meaning; give a true image")

    truth_slices: _Stack = _slices(truth, axis).astype(np.float64)
    inside_slices: _Mask = _slices(inside, axis)
    if min(truth_slices.shape[1:]) < SSIM_WINDOW:
        raise ShapeError(
            f"found slices of {_by(truth_slices.shape[1:])} pixels, expected at least"
            f" {SSIM_WINDOW}x{SSIM_WINDOW} for SSIM; choose another {option('axis', python='axis')}"
        )
    empty = _slices(nothing, axis)
    truth_slices[empty] = 0
    near = _near(empty)
    scored = {}
    for name, image in images.items():
        values = _slices(image, axis).astype(np.float64)
        values[empty] = 0
        scored[name] = _score(values, truth_slices, inside_slices, near, data_range)
    noisy_scores, noisy_slices = scored.get("noisy", (None, ()))
    return Evaluation(
        data_range=data_range,
        axis=axis,
        voxels=int(inside_slices.sum()),
        denoised=scored["denoised"][0],
        noisy=noisy_scores,
        denoised_slices=scored["denoised"][1],
        noisy_slices=noisy_slices,
    )


def _check(images: dict[str, NDArray[Any]], truth: NDArray[Any]) -> None:
    """Raise an error for images that can't be compared."""
    if truth.ndim not in (2, 3, 4):
        raise ShapeError(f"reference: found {truth.ndim} dimensions, expected 2, 3 or 4")
    for name, image in [*images.items(), ("reference", truth)]:
        if image.shape != truth.shape:
            raise ShapeError(
                f"{name}: found shape {_by(image.shape)}, expected the reference's {_by(truth.shape)};"
                " give scans of the same geometry"
            )
        if np.isinf(image).any():
            raise IntensityError(f"{name}: holds infinity; expected finite values, or NaN for no data")


def _without_data(images: dict[str, NDArray[Any]], truth: NDArray[Any]) -> _Mask:
    """Where one of the images is NaN."""
    empty = {name: np.isnan(image) for name, image in images.items()}
    if "noisy" in empty and (empty["denoised"] & ~empty["noisy"]).any():
        raise IntensityError("denoised: holds NaN where the noisy scan does not; expected finite values")
    return np.asarray(np.isnan(truth) | np.logical_or.reduce(list(empty.values())))


def _near(empty: _Mask) -> _Mask:
    """Places in slices (n, h, w) whose SSIM window reaches to voxels without data."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(empty, (1, SSIM_WINDOW, SSIM_WINDOW))) if empty.any() else empty


def _mask(mask: ArrayLike | None, shape: tuple[int, ...]) -> _Mask:
    """Return the mask as booleans of `shape`; everything without a mask."""
    if mask is None:
        return np.ones(shape, dtype=bool)
    inside: _Mask = np.asarray(mask) != 0
    if len(shape) == 4 and inside.shape == shape[:3]:
        inside = np.repeat(inside[..., None], shape[3], axis=3)
    if inside.shape != shape:
        raise ShapeError(
            f"mask: found shape {_by(inside.shape)}, expected the reference's {_by(shape)};"
            " give a mask of the same geometry"
        )
    if not inside.any():
        raise IntensityError("mask: is zero everywhere; expected nonzero values inside the region")
    return inside


def _slices(data: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return all slices (n, h, w), volume after volume."""
    return np.concatenate(to_stacks(data, axis))


def _score(
    image: _Stack, truth: _Stack, inside: _Mask, near: _Mask, data_range: float
) -> tuple[Scores, tuple[Scores, ...]]:
    """Return the scores in all and slice by slice."""
    squared = np.where(inside, (image - truth) ** 2, 0.0).sum(axis=(1, 2))
    counts = inside.sum(axis=(1, 2))
    border = SSIM_WINDOW // 2
    inner = (inside & ~near)[:, border:-border, border:-border]
    similarity = np.where(inner, _ssim_maps(image / data_range, truth / data_range), 0.0).sum(axis=(1, 2))
    places = inner.sum(axis=(1, 2))

    def scores(error: float, count: int, alike: float, seen: int) -> Scores:
        mean_square = error / count if count else math.nan
        return Scores(
            psnr_db=_psnr_db(mean_square, data_range),
            ssim=alike / seen if seen else math.nan,
            rmse=math.sqrt(mean_square) if count else math.nan,
        )

    rows = zip(squared, counts, similarity, places, strict=True)
    each = tuple(scores(float(e), int(c), float(a), int(p)) for e, c, a, p in rows)
    whole = scores(float(squared.sum()), int(counts.sum()), float(similarity.sum()), int(places.sum()))
    return whole, each


def _psnr_db(mean_square: float, data_range: float) -> float:
    """Return PSNR in dB; inf for no error, nan for no voxel."""
    if mean_square == 0:
        return math.inf
    return 10 * math.log10(data_range**2 / mean_square) if mean_square > 0 else math.nan


def _ssim_maps(image: _Stack, truth: _Stack) -> _Stack:
    """Return SSIM at every place where the window fits; the inputs have range 1."""
    border = SSIM_WINDOW // 2
    slices, height, width = truth.shape
    found = np.empty((slices, height - 2 * border, width - 2 * border))
    rows = max(1, _PIXELS_AT_ONCE // width)
    for number in range(slices):
        for top in range(0, height - 2 * border, rows):
            band = (number, slice(top, top + rows + 2 * border))
            # Wang et al. leave out the border, where the window would need invented pixels.
            found[number, top : top + rows] = _ssim(image[band], truth[band])[border:-border, border:-border]
    return found


def _ssim(image: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wang et al. 2004, eq. 13, of images (h, w) of range 1; true further than 5 pixels from the border."""
    from scipy.ndimage import gaussian_filter

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(values, SSIM_STD, radius=SSIM_WINDOW // 2))

    own, other = mean(image), mean(truth)
    # Rounding may leave less than none of a variance.
    spread = np.maximum(mean(image**2) - own**2, 0) + np.maximum(mean(truth**2) - other**2, 0)
    both = mean(image * truth) - own * other
    return (2 * own * other + _C1) * (2 * both + _C2) / ((own**2 + other**2 + _C1) * (spread + _C2))


def _by(shape: tuple[int, ...]) -> str:
    """Return a shape as 256x256x18."""
    return "x".join(map(str, shape))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

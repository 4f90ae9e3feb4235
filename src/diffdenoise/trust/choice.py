"""What of a result is worth a look: the slice that most was taken off, the part where that had structure."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from diffdenoise.scan.otsu import threshold_otsu
from diffdenoise.scan.voxels import Voxels, as_voxels
from diffdenoise.trust.window import thinned
from diffdenoise.types import Array

_Image = NDArray[np.float64]
_Mask = NDArray[np.bool_]

#: A slice, and a part of one, counts as full of the object from this share of the most that any holds.
_HOLDS, _FILLED = 0.5, 0.9
#: Sides of the framed part as shares of the slice's, and their least number of pixels.
_SHARE, _LEAST_SIDE = 0.3, 12
#: Structure is looked for at the first of these scales: finer is noise, coarser than the second are shading
#: and bias; the noise's level is that of the surroundings at the third. Pixels (std).
_FINE, _COARSE, _LOCAL = 1.5, 8.0, 4.0
#: Median of the square of a normal variable of variance 1; squares up to this many times their usual mean may
#: be chance (3 std); and how far beyond it a pixel counts.
_CHI_SQUARE_MEDIAN, _CHANCE, _MOST = 0.455, 9.0, 50.0
#: Longer side of a slice in pixels above which it is looked at in blocks.
_MOST_SIDE = 1024
#: Degree of the polynomial of brightness that is taken off the residual: what a bias undone leaves (Rician
#: noise's falls with brightness) is no structure.
_DEGREE = 3
#: A residual of under this share of the usual variance is nothing that was taken off.
_LEAST_SHARE = 0.05


def object_of(data: Array | Voxels, known: _Mask | Voxels | None = None) -> float:
    """Return the value that parts an object from its darker surroundings (Otsu's), or minus infinity.

    Parameters
    ----------
    data : array or Voxels
        Values of a scan.
    known : bool array or Voxels, same shape, optional
        Where they are data.
    """
    values = thinned(data).astype(np.float64)
    kept = np.isfinite(values) if known is None else np.isfinite(values) & thinned(known)
    values = values[kept]
    if values.size < 2:
        return -math.inf
    # Hot spots would draw the threshold up to them.
    low, high = np.percentile(values, (0.5, 99))
    values = values[(values >= low) & (values <= high)]
    if not values.size or not values.min() < values.max():
        return -math.inf
    return threshold_otsu(values)


def choose_slice(
    noisy: Array | Voxels, denoised: Array | Voxels, axis: int, known: _Mask | Voxels | None = None
) -> tuple[int, int]:
    """Return the slice, and the volume, that most was taken off.

    Parameters
    ----------
    noisy, denoised : array or Voxels (x, y, z) or (x, y, z, t)
        Before and after.
    axis : int
        Array axis across the slices.
    known : bool array or Voxels, same shape, optional
        Where there is data.

    Returns
    -------
    index, volume : int
        Of the slices that hold at least half as much of the object as the fullest, that with the largest sum
        of squares of the residual; the middle one where nothing was taken off.
    """
    threshold = object_of(denoised, known)
    before, after = as_voxels(noisy), as_voxels(denoised)
    holds = None if known is None else as_voxels(known)
    count, volumes = before.shape[axis], before.shape[3] if before.ndim == 4 else 1
    energy, content = np.zeros((volumes, count)), np.zeros((volumes, count))
    for volume in range(volumes):
        for index in range(count):
            at = (axis, volume, index, index + 1)
            values = after.slab(*at).astype(np.float64)
            residual = before.slab(*at).astype(np.float64) - values
            inside = np.isfinite(residual) if holds is None else np.isfinite(residual) & holds.slab(*at)
            content[volume, index] = np.count_nonzero(inside & (values > threshold))
            energy[volume, index] = float(np.square(residual[inside]).sum())
    energy[content < _HOLDS * content.max()] = -1
    if energy.max() <= 0:
        return count // 2, 0
    chosen, at_slice = np.unravel_index(int(np.argmax(energy)), energy.shape)
    return int(at_slice), int(chosen)


def choose_part(
    noisy: _Image, denoised: _Image, threshold: float, known: _Mask | None = None
) -> tuple[slice, slice]:
    """Return rows and columns of the part of a slice where the residual has most structure.

    Structure is a residual that is like its neighbours, for its local variance, so that strong noise is not
    taken for it. Where nothing was taken off, it is the part with the finest detail.

    Parameters
    ----------
    noisy, denoised : float64 array (height, width)
        Before and after.
    threshold : float
        Values above it are of the object.
    known : bool array, same shape, optional
        Where there is data.
    """
    from scipy.ndimage import binary_fill_holes

    block = max(1, math.ceil(max(denoised.shape) / _MOST_SIDE))
    inside = np.isfinite(noisy) & np.isfinite(denoised)
    inside = inside if known is None else inside & known
    before, after = (np.where(inside, each, 0.0) for each in (noisy, denoised))
    before, after, weight = (blocks(each, block) for each in (before, after, inside.astype(float)))
    size = tuple(min(side, max(_LEAST_SIDE, round(_SHARE * side))) for side in denoised.shape)
    height, width = (max(1, round(side / block)) for side in size)
    score = _structure(before, after, weight > 0.5, (height, width))
    # Lungs and ventricles are of the object too.
    share = _mean_of(binary_fill_holes((after > threshold) & (weight > 0.5)), (height, width))
    score = np.where(share >= _FILLED * share.max(), score, -1.0)
    # The mean over a window at i is that of the one that begins at i - side // 2.
    rows, columns = score.shape[0] - height + 1, score.shape[1] - width + 1
    valid = score[height // 2 : height // 2 + rows, width // 2 : width // 2 + columns]
    top, left = np.unravel_index(int(np.argmax(valid)), valid.shape)
    top, left = (
        min(int(start) * block, side - wanted)
        for start, side, wanted in zip((top, left), denoised.shape, size, strict=True)
    )
    return slice(top, top + size[0]), slice(left, left + size[1])


def _structure(before: _Image, after: _Image, inside: _Mask, size: tuple[int, int]) -> _Image:
    """How much of the residual is structure; for each pixel, in the window about it."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    residual = np.where(inside, before - after, 0.0)
    if not residual.any():
        return _fineness(after, size)
    residual = np.where(inside, residual - _by_brightness(residual, after, inside), 0.0)
    coarse = gaussian_filter(residual, _COARSE)
    residual = np.where(inside, residual - coarse, 0.0)
    # Where strong noise begins, the mean of both sides would make it look like structure.
    variance = maximum_filter(gaussian_filter(np.square(residual), _LOCAL), size=round(2 * _LOCAL) + 1)
    typical = float(np.median(variance[inside])) if inside.any() else 0.0
    told = inside & (variance > max(_LEAST_SHARE * typical, float(np.finfo(float).tiny)))
    safe = np.where(told, variance, 1.0)
    smooth = np.square(gaussian_filter(residual, _FINE)) / safe
    return _mean_of(_beyond_chance(smooth, told), size)


def _beyond_chance(squares: _Image, told: _Mask) -> _Image:
    """By how much squares exceed those of noise, which most of them are taken for."""
    usual = float(np.median(squares[told])) / _CHI_SQUARE_MEDIAN if told.any() else 0.0
    excess = squares / max(usual, float(np.finfo(float).tiny)) - _CHANCE
    return np.where(told, np.clip(excess, 0, _MOST), 0.0)


def _by_brightness(residual: _Image, after: _Image, inside: _Mask) -> _Image:
    """The residual's trend with brightness, which is that of a bias."""
    values, removed = after[inside], residual[inside]
    degree = min(_DEGREE, np.unique(values).size - 1)
    if degree < 1:
        return np.full(residual.shape, removed.mean() if removed.size else 0.0)
    return np.asarray(Polynomial.fit(values, removed, degree)(after))


def _fineness(image: _Image, size: tuple[int, int]) -> _Image:
    """How much fine detail lies in the window about each pixel."""
    from scipy.ndimage import gaussian_gradient_magnitude

    gradient = gaussian_gradient_magnitude(image, 1.0)
    # Clipped, so that much fine structure counts for more than one strong edge such as the skin.
    edges = gradient[gradient > gradient.mean()]
    return _mean_of(np.minimum(gradient, np.median(edges) if edges.size else 0.0), size)


def _mean_of(values: NDArray[np.generic], size: tuple[int, int]) -> _Image:
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(values.astype(np.float64), size, mode="constant"))


def blocks(image: _Image, side: int) -> _Image:
    """Means of square blocks; what doesn't fill one at the end is left out."""
    if side == 1:
        return image
    rows, columns = (length // side * side for length in image.shape)
    cut = image[:rows, :columns].reshape(rows // side, side, columns // side, side)
    return np.asarray(cut.mean(axis=(1, 3)))

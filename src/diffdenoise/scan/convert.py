"""Between DICOM and NIfTI, where the geometry allows: the same voxels at the same places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError, option
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

#: Voxels: how far a place may lie beside the grid it is looked up in; headers are rounded.
_BESIDE = 0.02
#: Integers that are tried for whole values, the smallest first.
_INTEGERS = (np.int16, np.uint16, np.int32)


def to_nifti(scan: Scan) -> Scan:
    """Return a DICOM scan as one that can be written as NIfTI, in the same voxel order.

    Parameters
    ----------
    scan : Scan
        As read from DICOM, or denoised: then values are rounded where the source's are whole.

    Raises
    ------
    ShapeError
        If its slices aren't evenly spaced, so that no affine holds their places.
    """
    if isinstance(scan.header, Series):
        refuse_uneven(scan.header, scan.name)
    data = scan.data
    if isinstance(scan.header, Series) and data.dtype.kind == "f":
        data = np.rint(data).astype(np.int64) if scan.header.holds_whole else data.astype(np.float32)
    dtype = _smallest(data)
    spacing, affine = scan.spacing_mm, scan.affine
    if data.ndim == 2:
        # (rows, columns) to (x, y): NIfTI's first axis runs along the rows.
        data, spacing = data.T, None if spacing is None else spacing[::-1]
    return replace(
        scan.with_data(data.astype(dtype)),
        stored_dtype=dtype,
        format="array",
        header=None,
        spacing_mm=spacing,
        affine=affine,
    )


def refuse_uneven(series: Series, name: str) -> None:
    """Raise `ShapeError` if no affine can hold the places of a series' slices."""
    if not series.is_flat and series.layout.affine is None and series.layout.notices:
        raise ShapeError(
            f"{name}: {series.layout.notices[0]}; NIfTI holds evenly spaced slices only; leave it in DICOM, "
            f"or name another with {option('series', python='series_uid')}"
        )


def _smallest(data: Array) -> np.dtype[Any]:
    """The smallest type that holds whole values; float32 for others."""
    if data.dtype.kind not in "iu":
        # float64 is what 32-bit pixels are read as.
        return data.dtype
    low, high = int(data.min()), int(data.max())
    fitting = [each for each in _INTEGERS if np.iinfo(each).min <= low and high <= np.iinfo(each).max]
    return np.dtype(fitting[0]) if fitting else data.dtype


def on_grid_of(scan: Scan, like: Scan) -> Array:
    """Return a scan's values in the voxel order of another one that has the same grid, perhaps turned.

    Parameters
    ----------
    scan : Scan
        With an affine.
    like : Scan
        With an affine.

    Returns
    -------
    array, shape of `like.data`

    Raises
    ------
    ShapeError
        If a voxel of `like` has none of `scan` at its place, or one of them has no affine.
    """
    if like.ndim == 2:
        return _as_image(scan, like)
    if scan.affine is None or like.affine is None:
        raise ShapeError(
            f"{scan.name}: one of the two has no place in space; expected volumes with an affine"
        )
    found = np.linalg.inv(scan.affine) @ like.affine
    turn = np.rint(found[:3, :3]).astype(int)
    # A turn of the grid has one entry of 1 or -1 in each row and column.
    if not (np.abs(turn).sum(0) == 1).all() or not (np.abs(turn).sum(1) == 1).all():
        raise _other_grid(scan, like)
    corners = np.array(np.meshgrid(*([0, size - 1] for size in like.shape[:3]))).reshape(3, -1)
    exact = found[:3, :3] @ corners + found[:3, 3:]
    whole = turn @ corners + np.rint(found[:3, 3:]).astype(int)
    size = np.array(scan.shape[:3])[:, None]
    inside = (whole >= 0).all() and (whole < size).all()
    same_count = scan.shape[3:] == like.shape[3:]
    if not inside or not same_count or np.abs(exact - whole).max() > _BESIDE:
        raise _other_grid(scan, like)
    return _turned(scan.data, turn, np.rint(found[:3, 3]).astype(int), like.shape)


def _turned(data: Array, turn: NDArray[np.int_], start: NDArray[np.int_], shape: tuple[int, ...]) -> Array:
    """`data` at turn @ voxel + start for each voxel of `shape`."""
    axes = [int(np.flatnonzero(turn[:, axis])[0]) for axis in range(3)]
    cut: list[Any] = [slice(None)] * data.ndim
    for axis, source in enumerate(axes):
        step = int(turn[source, axis])
        last = start[source] + step * (shape[axis] - 1)
        stop = last + step
        cut[source] = slice(start[source], None if stop < 0 else stop, step)
    return np.asarray(data[tuple(cut)].transpose(*axes, *range(3, data.ndim)))


def _as_image(scan: Scan, like: Scan) -> Array:
    """A single image's values; it has no place in space to compare."""
    data = np.squeeze(scan.data)
    if data.T.shape != like.shape:
        raise _other_grid(scan, like)
    return data.T


def _other_grid(scan: Scan, like: Scan) -> ShapeError:
    return ShapeError(
        f"{scan.name}: its voxels {scan.shape} don't lie where those of {like.name} "
        f"{like.shape} do; expected the same grid, perhaps turned"
    )

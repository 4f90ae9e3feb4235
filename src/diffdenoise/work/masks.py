"""Part of a scan: voxels outside a mask are left alone."""

from __future__ import annotations

import numpy as np

from diffdenoise.errors import ShapeError
from diffdenoise.scan.convert import on_grid_of
from diffdenoise.scan.scan import Scan


def masked(scan: Scan, mask: Scan) -> Scan:
    """Return a scan whose voxels outside a mask are to be left alone.

    Parameters
    ----------
    scan : Scan
        Of any shape.
    mask : Scan
        Nonzero inside; of the scan's shape, or that of one of its volumes; where both have an affine, a grid
        turned against the scan's will do.

    Raises
    ------
    ShapeError
        If it isn't on the scan's grid.
    """
    data, volume = mask.data, scan.shape[:3]
    if data.ndim == 3 and _is_placed(mask) and _is_placed(scan):
        like = scan if scan.ndim == 3 else scan.with_data(scan.data[..., 0])
        data = on_grid_of(mask, like)
    if data.shape not in (scan.shape, volume):
        raise ShapeError(f"mask: has shape {data.shape}; expected that of the image, {scan.shape}")
    outside = np.asarray(data == 0)
    if outside.all():
        raise ShapeError("mask: is zero everywhere; expected values other than 0 inside; check it")
    if outside.ndim < scan.ndim:
        outside = np.repeat(outside[..., np.newaxis], scan.shape[3], axis=3)
    return scan.with_outside(outside)


def _is_placed(scan: Scan) -> bool:
    """Whether its affine says where its voxels lie."""
    affine = scan.affine
    return affine is not None and bool(np.isfinite(affine).all()) and np.linalg.det(affine) != 0

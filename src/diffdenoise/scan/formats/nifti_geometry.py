"""Where a NIfTI header's voxels lie, also where some of its fields hold nothing of use.

References
----------
NIfTI-1 data format, https://nifti.nimh.nih.gov/nifti-1, "orientation and location in space".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError
from diffdenoise.scan.formats.header import is_flat
from diffdenoise.types import Affine

_MM_PER_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}
_QUATERNION = ("quatern_b", "quatern_c", "quatern_d")
_OFFSET = ("qoffset_x", "qoffset_y", "qoffset_z")
_ROWS = ("srow_x", "srow_y", "srow_z")
#: How far the squares of a quaternion's three parts may sum up beyond 1, by rounding: to four digits, say.
#: Such a one is a half turn, and scaled to 1 as NIfTI's own library does (`nifti_quatern_to_mat44`).
_ROUNDING = 1e-3


def usable(header: Any, name: str) -> Any:
    """Return a copy of a header in which only what places the voxels is left, put right where it is rounded.

    Parameters
    ----------
    header : nibabel Nifti1Header or Nifti2Header
        As read; not changed.
    name : str
        For messages.

    Returns
    -------
    header
        Its best affine is that of the sform where that holds numbers; else of the qform; else, if neither
        has a code, of the voxel sizes.

    Raises
    ------
    FormatError
        If none of what its codes say places the voxels, or its voxel sizes, holds numbers.
    """
    used = header.copy()
    sform, qform = int(used["sform_code"]) != 0, int(used["qform_code"]) != 0
    rows = np.array([used[row] for row in _ROWS], np.float64)
    if sform and np.isfinite(rows).all() and not is_flat(rows[:, :3]):
        return used
    used["sform_code"] = 0
    quaternion = np.array([used[part] for part in _QUATERNION], np.float64)
    sum_of_squares = float(quaternion @ quaternion)
    placed = [*quaternion, *(float(used[part]) for part in _OFFSET), *_sizes(used, 3)]
    sound = all(math.isfinite(each) for each in placed) and sum_of_squares <= 1 + _ROUNDING
    if qform and sound:
        if sum_of_squares > 1:
            for part, value in zip(_QUATERNION, quaternion / math.sqrt(sum_of_squares), strict=True):
                used[part] = value
        return used
    used["qform_code"] = 0
    if sform and not np.isfinite(rows).all():
        raise _no_numbers(name, "/".join(_ROWS))
    if qform and not sform and not math.isfinite(sum(placed)):
        raise _no_numbers(name, f"{'/'.join((*_QUATERNION, *_OFFSET))}/pixdim")
    if qform and not sform:
        raise FormatError(
            f"{name}: its quatern_b/quatern_c/quatern_d are no rotation: their squares sum up to "
            f"{sum_of_squares:.4g}; expected at most 1; set its sform or qform anew"
        )
    if not all(math.isfinite(size) for size in _sizes(used, min(len(used.get_data_shape()), 3))):
        raise _no_numbers(name, "pixdim")
    return used


def affine_of(used: Any) -> Affine | None:
    """Return the affine of a header that `usable` gave; None where it has no volume: sizes never set."""
    sizes = np.array(_sizes(used, 3))
    if int(used["sform_code"]) == 0 and not (sizes[: len(used.get_data_shape())] > 0).all():
        return None
    affine = np.array(used.get_best_affine(), np.float64)
    return None if not np.isfinite(affine).all() or is_flat(affine[:3, :3]) else affine


def spacing_of(used: Any, axes: int, affine: Affine | None) -> tuple[float, ...] | None:
    """Return voxel sizes in mm along the axes in space: those of the header, else the affine's."""
    to_mm = _MM_PER_UNIT[used.get_xyzt_units()[0]]
    sizes = [size * to_mm for size in _sizes(used, axes)]
    if affine is not None and not _are_sizes(sizes):
        sizes = [float(length) * to_mm for length in np.linalg.norm(affine[:3, :3], axis=0)[:axes]]
    return tuple(sizes) if _are_sizes(sizes) else None


def _are_sizes(sizes: list[float]) -> bool:
    return len(sizes) > 0 and all(math.isfinite(size) and size > 0 for size in sizes)


def _sizes(header: Any, axes: int) -> list[float]:
    """Voxel sizes along the first axes, in the header's own unit."""
    return [float(size) for size in header["pixdim"][1 : 1 + axes]]


def _no_numbers(name: str, fields: str) -> FormatError:
    return FormatError(
        f"{name}: its {fields} hold NaN or infinity, and nothing else in its header says where its voxels "
        "lie; expected numbers; set them, or the codes of sform and qform to 0"
    )

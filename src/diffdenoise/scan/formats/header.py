"""What headers of any format must state: sizes, numbers, a place in space, and a second file beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError, IntensityError, ShapeError
from diffdenoise.types import Affine, Array

#: A matrix whose columns span less than this share of their lengths' product has no volume.
_FLAT = 1e-9


def check_sizes(sizes: Sequence[int], path: Path | str) -> None:
    """Raise `FormatError` if an axis has no length."""
    if min(sizes, default=0) < 1:
        raise FormatError(
            f"{path}: is damaged: its header states a size of {min(sizes, default=0)}; get a complete copy"
        )


def check_axes(shape: Sequence[int], path: Path | str) -> None:
    """Raise `ShapeError` if there are fewer than two axes, or more than four."""
    if not 2 <= len(shape) <= 4:
        raise ShapeError(f"{path}: has {len(shape)} axes {tuple(shape)}; expected 2 to 4; split it first")


def without_last_ones(shape: Sequence[int], most: int) -> tuple[int, ...]:
    """Return a shape without the last axes of length 1, as long as it has more than `most`."""
    used = len(shape)
    while used > most and shape[used - 1] == 1:
        used -= 1
    return tuple(int(size) for size in shape[:used])


def check_real(dtype: np.dtype[Any], path: Path | str) -> None:
    """Raise `IntensityError` if a voxel holds a colour or a complex number."""
    if dtype.kind == "V":
        raise IntensityError(f"{path}: is a colour (RGB) image; expected one value a voxel")
    if dtype.kind == "c":
        raise IntensityError(f"{path}: holds complex numbers; expected real ones; take the magnitude")


def check_whole(there: int, stated: int, path: Path | str) -> None:
    """Raise `FormatError` if fewer bytes are there than the header states."""
    if there < stated:
        raise FormatError(
            f"{path}: is cut short: {there:,} of {stated:,} bytes are there; get a complete copy"
        )


def in_order(content: NDArray[np.uint8], dtype: np.dtype[Any], shape: Sequence[int], path: Path) -> Array:
    """Return the voxels in a file's bytes, the first axis the fastest; `FormatError` if some are missing."""
    check_whole(len(content), int(np.prod(shape, dtype=object)) * dtype.itemsize, path)
    return content.view(dtype).reshape(shape, order="F")


def check_finite(numbers: Any, fields: str, path: Path) -> None:
    """Raise `FormatError` if fields that place the voxels hold NaN or infinity."""
    if not np.isfinite(numbers).all():
        raise no_numbers(fields, path)


def no_numbers(fields: str, path: Path) -> FormatError:
    """Return the error for fields of a header that hold NaN or infinity."""
    return FormatError(f"{path}: its {fields} holds NaN or infinity; expected numbers; correct its header")


def is_flat(matrix: NDArray[Any]) -> bool:
    """Whether a 3 x 3 matrix has no volume: it can't place voxels."""
    lengths = np.prod(np.linalg.norm(matrix, axis=0))
    return bool(lengths == 0 or abs(np.linalg.det(matrix)) < _FLAT * lengths)


def placing(affine: NDArray[Any]) -> Affine | None:
    """Return a finite affine; None if it has no volume, as of voxel sizes that were never set."""
    return None if is_flat(affine[:3, :3]) else np.asarray(affine, np.float64)


def second_file(path: Path, name: str) -> Path:
    """Return the one file of voxels that a header names.

    Parameters
    ----------
    path : path
        The header.
    name : str
        As it stands there.

    Raises
    ------
    FormatError
        If it names several, or one that isn't there, or not in the header's folder or below.
    """
    if name.upper().startswith("LIST") or "%" in name:
        raise FormatError(f"{path}: has its voxels in several files; expected one; join them first")
    file = path.parent / name
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise FormatError(f"{path}: names voxels outside of its folder; move them beside it")
    if not file.is_file():
        raise FormatError(f"{path}: its second file, {name}, is missing; get both")
    return file

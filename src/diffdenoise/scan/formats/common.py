"""What formats that need a package of their own, or hold named arrays, have in common."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError
from diffdenoise.types import Affine

#: Shorter sides are no image's: tables, times, vectors.
LEAST_SIDE = 8
_MOST_NAMED, _LONGEST_NAME = 5, 40
#: A matrix whose columns span less than this share of their lengths' product has no volume.
_FLAT = 1e-9


def is_flat(matrix: NDArray[Any]) -> bool:
    """Whether a 3 x 3 matrix has no volume: it can't place voxels."""
    lengths = np.prod(np.linalg.norm(matrix, axis=0))
    return bool(lengths == 0 or abs(np.linalg.det(matrix)) < _FLAT * lengths)


def placing(affine: NDArray[Any]) -> Affine | None:
    """Return a finite affine; None if it has no volume, as of voxel sizes that were never set."""
    return None if is_flat(affine[:3, :3]) else np.asarray(affine, np.float64)


def import_extra(package: str, path: Path, title: str, extra: str) -> Any:
    """Return the package that a file needs, or raise `FormatError` saying which extra installs it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise FormatError(
            f"{path}: {title} needs a package that is not installed: pip install 'diffdenoise[{extra}]'"
        ) from error


def printable_name(name: str) -> str:
    """Return an array's name for a message: on one line, and not too long."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)[:_LONGEST_NAME]


def not_one_image(path: Path, names: Collection[str], what: str = "arrays that may be images") -> FormatError:
    """Return the error for a file that holds none or several, with the first names, cleaned and cut."""
    shown = [printable_name(name) for name in sorted(names)[:_MOST_NAMED]]
    more = ["..."] if len(names) > _MOST_NAMED else []
    listed = f" ({', '.join(shown + more)})" if shown else ""
    return FormatError(
        f"{path}: holds {len(names)} {what}{listed}; expected one; save the one to denoise by itself"
    )

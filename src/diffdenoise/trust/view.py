"""One slice as radiologists look at it: the patient's right on the left, front or head up."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.scan.dicom.display import Display, display_of
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.scan.voxels import Voxels, as_voxels
from diffdenoise.types import Array

#: Directions that the right and the top of a picture show, in RAS, by the axis that the slice lies across:
#: sagittal (front on the left), coronal and axial (right on the left).
_UPRIGHT = {0: ((0, -1, 0), (0, 0, 1)), 1: ((-1, 0, 0), (0, 0, 1)), 2: ((-1, 0, 0), (0, 1, 0))}
_LETTERS = ("LR", "PA", "IS")
#: Cosine from which on a direction's lesser part is told too: 17 degrees.
_OBLIQUE = 0.3
#: Formats whose files don't say where the patient's right is, though readers make up an affine.
_NOT_PLACED = ("analyze",)


@dataclass(frozen=True)
class View:
    """How a slice is cut and turned, and what is known of it.

    Attributes
    ----------
    axis : int or None
        Array axis across the slice; None for a single image.
    index, volume : int
        Which slice, and of which volume.
    transposed, flipped_down, flipped_right : bool
        How the slice as stored becomes the picture: rows and columns exchanged first, then mirrored.
    directions : four str
        At the left, right, top and bottom; "" where not known.
    pixel_mm : (down, right) or None
        Size of a pixel of the picture; None where not known.
    display : Display
        How the file wants it shown.
    """

    axis: int | None
    index: int = 0
    volume: int = 0
    transposed: bool = False
    flipped_down: bool = False
    flipped_right: bool = False
    directions: tuple[str, str, str, str] = ("", "", "", "")
    pixel_mm: tuple[float, float] | None = None
    display: Display = field(default_factory=lambda: Display(""))

    @property
    def aspect(self) -> float:
        """Height of a pixel over its width; 1 where not known."""
        return 1.0 if self.pixel_mm is None else self.pixel_mm[0] / self.pixel_mm[1]

    def of(self, data: Array | Voxels) -> NDArray[np.float64]:
        """Return the slice of values of the scan's shape, as shown."""
        voxels = as_voxels(data)
        index, volume = 0 if self.axis is None else self.index, self.volume if voxels.ndim == 4 else 0
        plane = voxels.slab(self.axis, volume, index, index + 1)[0]
        plane = plane.T if self.transposed else plane
        plane = plane[::-1] if self.flipped_down else plane
        return np.asarray(plane[:, ::-1] if self.flipped_right else plane, dtype=np.float64)


def view_of(scan: Scan, axis: int | None = None, index: int | None = None, volume: int = 0) -> View:
    """Say how a slice of a scan is shown.

    Parameters
    ----------
    scan : Scan
        Of two to four axes.
    axis : int, optional
        Array axis across the slice; None: the scan's slice axis.
    index : int, optional
        Which slice; None: the middle one.
    volume : int
        Which volume of a series.

    Raises
    ------
    ShapeError
        If there is no such slice.
    """
    if scan.ndim == 2:
        return _turned(scan, None, 0, 0)
    if axis is None:
        axis = choose_axis(scan) or 0
    count = scan.shape[axis]
    if index is None:
        index = count // 2
    if not 0 <= index < count:
        raise ShapeError(f"slice {index}: the scan has {count} slices, expected 0 to {count - 1}")
    return _turned(scan, axis, index, volume)


def _turned(scan: Scan, axis: int | None, index: int, volume: int) -> View:
    """Turn a slice upright by the directions of its two axes; as stored where these aren't known."""
    down, right = (0, 1) if axis is None else tuple(side for side in range(3) if side != axis)
    series = scan.header if isinstance(scan.header, Series) else None
    display = Display("")
    if series is not None:
        stacked = axis is None or (axis == 2 and scan.slice_axis == 2)
        display = display_of(series, volume, index if stacked else 0)
    sides = _sides(scan, axis)
    # A DICOM volume's first axis runs along the rows.
    transposed, flips = series is not None and axis == 2, (False, False)
    directions = display.directions or ("",) * 4
    if sides is not None:
        transposed, flips, found = _upright(*sides)
        directions = found if _is_placed(scan) else ("",) * 4
    spacing = scan.spacing_mm
    pixel_mm = None
    if spacing is not None and max(down, right) < len(spacing):
        pixel_mm = (spacing[right], spacing[down]) if transposed else (spacing[down], spacing[right])
    return View(axis, index, volume, transposed, *flips, directions, pixel_mm, display)


def _sides(scan: Scan, axis: int | None) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Directions in RAS, of length 1, of the slice's first and second axis as stored."""
    across = 2 if axis is None else axis
    first, second = (side for side in range(3) if side != across)
    lengths = None if scan.affine is None else np.linalg.norm(scan.affine[:3, :3], axis=0)
    if scan.affine is not None and lengths is not None and np.isfinite(lengths).all() and lengths.all():
        unit = scan.affine[:3, :3] / lengths
        return unit[:, first], unit[:, second]
    if scan.in_plane is not None and scan.slice_axis in (None, axis):
        return scan.in_plane[:, 0], scan.in_plane[:, 1]
    return None


def _upright(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[bool, tuple[bool, bool], tuple[str, str, str, str]]:
    """Which of the eight ways to lay a slice is nearest to how it is read, and the letters at its sides."""
    across = int(np.argmax(np.abs(np.cross(first, second))))
    wanted_right, wanted_up = (np.array(each, dtype=float) for each in _UPRIGHT[across])

    def fit(way: tuple[bool, ...]) -> float:
        right, up = _laid(first, second, *way)
        return float(right @ wanted_right + up @ wanted_up)

    # The first of equals: nothing is turned without need.
    transposed, down, right = max(itertools.product((False, True), repeat=3), key=fit)
    to_right, to_top = _laid(first, second, transposed, down, right)
    letters = (_letters(-to_right), _letters(to_right), _letters(to_top), _letters(-to_top))
    return transposed, (down, right), letters


def _laid(
    first: NDArray[np.float64], second: NDArray[np.float64], transposed: bool, down: bool, right: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions that the right and the top of the picture then show."""
    to_bottom, to_right = (second, first) if transposed else (first, second)
    return (-to_right if right else to_right), (to_bottom if down else -to_bottom)


def _letters(direction: NDArray[np.float64]) -> str:
    """A direction's name, its greatest part first: "A", or "AS" where it is oblique."""
    parts = sorted(range(3), key=lambda side: -abs(direction[side]))
    kept = [side for side in parts if abs(direction[side]) >= _OBLIQUE]
    return "".join(_LETTERS[side][int(direction[side] > 0)] for side in kept)


def _is_placed(scan: Scan) -> bool:
    """Whether the scan's affine is what its file says, and not made up by the reader."""
    if scan.format in _NOT_PLACED:
        return False
    header = None if scan.format != "nifti" else getattr(scan.header, "header", None)
    if header is None:
        return True
    # NIfTI-1, method 1: with both codes 0, the orientation isn't known.
    return int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0

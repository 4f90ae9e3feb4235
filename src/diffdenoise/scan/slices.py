"""Along which axis a volume is cut into slices."""

from __future__ import annotations

from diffdenoise.errors import SettingsError, ShapeError
from diffdenoise.scan.scan import Scan

#: Pixels: the least side of a slice; under this the networks see little but padding.
LEAST_SIDE = 8
#: A slice is taken to be thicker than its pixels are wide from this ratio on.
_CLEARLY_THICKER = 1.2


def choose_axis(scan: Scan, axis: int | None = None) -> int | None:
    """Return the axis along which a volume is cut into slices.

    In this order: the axis asked for; the one that the file states; the one with clearly the
    largest voxel size (over 1.2 times the next); the one with clearly fewest samples (less than
    half of the next); the last. An axis that would leave slices under 8x8 pixels is never chosen.

    Parameters
    ----------
    scan : Scan
        Two to four axes.
    axis : int, optional
        Axis asked for, 0 to 2.

    Returns
    -------
    int or None
        None for a single image.

    Raises
    ------
    SettingsError
        If `axis` is not an axis in space.
    ShapeError
        If slices would be under 8x8 pixels, or an axis is asked for in a single image.
    """
    if not 2 <= scan.ndim <= 4:
        raise ShapeError(f"{scan.name}: has {scan.ndim} axes; expected 2 to 4; split or reshape it")
    shape = scan.shape[:3]
    if len(shape) == 2:
        if axis is not None:
            raise ShapeError(f"{scan.name}: is a single image without slices; leave out axis {axis}")
        _check_plane(scan.name, shape)
        return None
    if 0 in scan.shape:
        raise ShapeError(f"{scan.name}: is empty, of shape {scan.shape}; expected at least one slice")
    if axis is not None:
        if not 0 <= axis <= 2:
            raise SettingsError(f"axis {axis}: is not an axis in space; expected 0, 1 or 2")
        _check_plane(scan.name, _plane(shape, axis))
        return axis
    possible = [index for index in range(3) if min(_plane(shape, index)) >= LEAST_SIDE]
    if not possible:
        _check_plane(scan.name, tuple(sorted(shape)[1:]))
    return possible[0] if len(possible) == 1 else _likely(scan, possible)


def _likely(scan: Scan, possible: list[int]) -> int:
    """The axis, of those possible, that a volume was acquired along, as far as that shows."""
    shape = scan.shape[:3]
    if scan.slice_axis in possible:
        return scan.slice_axis
    if scan.spacing_mm is not None:
        *_, next_size, largest = sorted(scan.spacing_mm)
        thickest = scan.spacing_mm.index(largest)
        if largest > _CLEARLY_THICKER * next_size and thickest in possible:
            return thickest
    fewest, next_count, _ = sorted(shape)
    if 2 * fewest < next_count:
        return shape.index(fewest)
    return possible[-1]


def _plane(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Return the size of the slices across `axis`."""
    return shape[:axis] + shape[axis + 1 :]


def _check_plane(name: str, plane: tuple[int, ...]) -> None:
    """Raise `ShapeError` for slices that are too small."""
    if min(plane) < LEAST_SIDE:
        raise ShapeError(
            f"{name}: has slices of {'x'.join(map(str, plane))} pixels; expected at least "
            f"{LEAST_SIDE}x{LEAST_SIDE}; use a larger image"
        )

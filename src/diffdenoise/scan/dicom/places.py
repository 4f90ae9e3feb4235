"""Positions as headers state them: how they are rounded, which are one place, whether they are evenly spaced.

Headers hold decimal strings of up to 16 characters, and many scanners write fewer digits: files of one
volume differ in the last of them. So nothing is rounded and then compared; there is a tolerance instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.dicom.frames import Frame
from diffdenoise.types import Affine

#: Positions nearer than this along the normal are one place: mm, and as a share of the slices' distance.
SAME_MM, _SAME_SHARE = 0.01, 0.02
#: Steps between slices may differ by this share and still count as even: headers are rounded.
_EVEN = 0.01
#: Of a header's last digit: how far a place may lie beside an even grid that was rounded to it (one half, and
#: some for what rounding does to the grid's own ends); and the most of a step that rounding may explain.
_OF_LAST_DIGIT, _MOST_OF_STEP = 0.75, 0.2
#: Digits behind the point that are looked for; finer ones are never what makes steps uneven.
_MOST_DIGITS = 4


def positions_of(frames: Sequence[Frame]) -> Affine:
    """Return ImagePositionPatient of frames that have one, (frames, 3), mm."""
    return np.array([frame.position for frame in frames], np.float64).reshape(-1, 3)


def last_digit_mm(positions: Affine) -> float:
    """Return what the last digit that positions are given with stands for: 0.1 where all have one decimal."""
    for digits in range(_MOST_DIGITS):
        if bool((np.abs(positions - np.round(positions, digits)) < 1e-7).all()):
            return float(10.0**-digits)
    return float(10.0**-_MOST_DIGITS)


def labels_by_gaps(values: Affine, gap: float | NDArray[np.float64]) -> NDArray[np.intp]:
    """Number rows of numbers such that rows that agree to `gap` in every column have the same number.

    Parameters
    ----------
    values : array (n, columns)
        Orientation cosines, say.
    gap : float or array (columns,)
        Rows are told apart where the sorted values of a column leave a gap larger than this. Unlike rounding,
        that has no borders that equal values could lie on both sides of.

    Returns
    -------
    array (n,)
        From 0, by value.
    """
    columns = []
    for column, limit in zip(values.T, np.broadcast_to(gap, values.shape[1:]), strict=True):
        order = np.argsort(column, kind="stable")
        numbers = np.concatenate([[0], np.cumsum(np.diff(column[order]) > limit)])
        label = np.empty(len(column), np.intp)
        label[order] = numbers
        columns.append(label)
    _, found = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    return np.asarray(found).reshape(-1)


def same_place_mm(thickness: float | None) -> float:
    """Return how far along the normal images may lie apart and be at one place, mm."""
    return max(SAME_MM, _SAME_SHARE * (thickness or 0.0))


def even_steps(positions: Affine) -> tuple[Affine, Affine] | None:
    """Return the first place and the step of the even grid that places, in order, lie on; None if on none.

    Parameters
    ----------
    positions : array (n, 3)
        One for each slice, mm; two at least.

    Notes
    -----
    Either the steps agree, or the places lie on an even grid to within half of the last digit that they are
    given with. That is asked of the places, not of their steps, where the rounding of two adds up; a missing
    slice leaves them beside any even grid by a third of a step at least, so rounding may explain a fifth.
    """
    steps = np.diff(positions, axis=0)
    mean = steps.mean(axis=0)
    typical = float(np.median(np.linalg.norm(steps, axis=1)))
    if np.abs(steps - mean).max() <= max(SAME_MM, _EVEN * typical):
        return positions[0], mean
    number = np.arange(len(positions), dtype=np.float64)
    design = np.stack([np.ones_like(number), number], axis=1)
    fitted, *_ = np.linalg.lstsq(design, positions, rcond=None)
    allowed = min(_OF_LAST_DIGIT * last_digit_mm(positions), _MOST_OF_STEP * typical)
    if np.abs(positions - design @ fitted).max() > allowed:
        return None
    return fitted[0], fitted[1]

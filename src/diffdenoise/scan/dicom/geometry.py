"""Frames in space: sort them by position, see whether they make a volume, and give its affine.

DICOM counts in LPS (PS3.3, C.7.6.2.1.1), an affine here in RAS as in NIfTI: the first two axes change sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdenoise.scan.dicom.frames import Frame, Header
from diffdenoise.scan.dicom.moved import moved_volumes
from diffdenoise.scan.dicom.places import SAME_MM, even_steps, last_digit_mm, positions_of, same_place_mm
from diffdenoise.types import Affine

#: Distances between slices may differ by this share before it is said that some may be missing.
_EVEN = 0.01
#: Degrees between the slices' normal and the way from slice to slice from which on a tilt is stated.
_TILT = 0.1
_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Layout:
    """Frames in the order of a volume.

    Attributes
    ----------
    frames : tuple of tuple of Frame
        A volume's frames by position; more volumes than one make a 4-D scan.
    affine : float64 (4, 4) or None
        Column, row and slice number to mm in RAS; None where the slices aren't even.
    spacing_mm : tuple of float or None
        Along columns and rows, and from slice to slice along their normal.
    notices : tuple of str
        What a user should know: uneven slices, a tilt.
    in_plane : float64 (3, 2) or None
        Directions in RAS, of length 1, that a row's columns and a column's rows run to: where the affine has
        them, and where uneven slices have none. None where frames differ in them or don't say.
    """

    frames: tuple[tuple[Frame, ...], ...]
    affine: Affine | None
    spacing_mm: tuple[float, ...] | None
    notices: tuple[str, ...]
    in_plane: Affine | None = None


def lay_out(frames: Sequence[Frame], header: Header) -> Layout:
    """Sort frames by position along their normal, then by volume.

    Parameters
    ----------
    frames : sequence of Frame
        Of one orientation and size, as `stacks_of` gives them.
    header : Header
        Of the first file.
    """
    in_order = sorted(frames, key=lambda frame: frame.volume)
    first = in_order[0]
    if first.orientation is None or any(frame.position is None for frame in frames):
        return Layout((tuple(in_order),), None, _spacing(first, header.thickness), ())
    right, down = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    in_plane = _TO_RAS[:, None] * np.stack([right, down], axis=1)
    normal = np.cross(right, down)
    if header.tiles > 1:
        return _moved(_mosaics(in_order, normal), in_plane)
    places = _places(in_order, normal, same_place_mm(header.thickness))
    if "MOSAIC" in header.kind:
        # Its position is that of none of its slices, and where these lie isn't said (any more).
        notice = "holds mosaics of slices: each is read as one image"
        return Layout(_one_by_one(in_order), None, _spacing(first, None), (notice,), in_plane)
    if len(places) == 1:
        # A cine, or echoes of one slice.
        affine = _affine(places[0][0], positions_of(places[0])[0], normal * (header.thickness or 1.0))
        spacing = _spacing(first, header.thickness)
        return Layout(_one_by_one(places[0]), affine, spacing, _shifts(places), in_plane)
    starts = positions_of([place[0] for place in places])
    if len({len(place) for place in places}) > 1 or even_steps(starts) is None or _shifts(places):
        volumes = moved_volumes(in_order)
        if volumes is not None:
            return _moved(volumes, in_plane)
    return _stacked(places, normal, in_plane)


def _stacked(places: Sequence[list[Frame]], normal: Affine, in_plane: Affine) -> Layout:
    """Volumes of the frames at several places along the normal; one by one where they differ in number."""
    first = places[0][0]
    starts = positions_of([place[0] for place in places])
    even = even_steps(starts)
    gaps = np.diff(starts @ normal)
    counts = sorted({len(place) for place in places})
    if len(counts) > 1:
        frames = _one_by_one([frame for place in places for frame in place])
        notice = f"{len(places)} positions hold {counts[0]} to {counts[-1]} images each: read one by one"
        notices = (notice, *(() if even is not None else _unevenness(gaps)), *_shifts(places))
        return Layout(frames, None, _spacing(first, float(np.median(gaps))), notices, in_plane)
    frames = tuple(zip(*places, strict=True))
    if even is None:
        notices = (*_unevenness(gaps), *_shifts(places))
        return Layout(frames, None, _spacing(first, float(np.median(gaps))), notices, in_plane)
    notices = (*_tilt(starts, even[1], normal), *_shifts(places))
    spacing = _spacing(first, float(np.dot(even[1], normal)))
    return Layout(frames, _affine(first, *even), spacing, notices, in_plane)


def _tilt(starts: Affine, step: Affine, normal: Affine) -> tuple[str, ...]:
    """What is to be said of slices that don't lie above each other."""
    cosine = min(1.0, abs(float(np.dot(step, normal))) / float(np.linalg.norm(step)))
    tilt = math.degrees(math.acos(cosine))
    depths = starts @ normal
    # Rounded positions lean by up to half a digit at both ends, in each of two directions.
    rounding = math.sqrt(2) * last_digit_mm(starts) / float(depths[-1] - depths[0])
    if tilt <= max(_TILT, math.degrees(rounding)):
        return ()
    return (f"slices are sheared by {tilt:.3g} degrees (gantry tilt), which is kept",)


def _unevenness(gaps: Affine) -> tuple[str, ...]:
    """What is to be said of slices that no affine holds the places of."""
    if gaps.max() - gaps.min() > max(SAME_MM, _EVEN * float(np.median(gaps))):
        return (f"slices lie {gaps.min():.4g} to {gaps.max():.4g} mm apart: some may be missing",)
    return ("slices are shifted against each other within their planes: no affine holds their places",)


def _places(frames: Sequence[Frame], normal: Affine, same_mm: float) -> list[list[Frame]]:
    """Frames by place along the normal; those of one place by volume."""
    depths = positions_of(frames) @ normal
    places: list[list[Frame]] = []
    last = -math.inf
    for number in np.argsort(depths, kind="stable"):
        if depths[number] - last > same_mm:
            places.append([])
            last = float(depths[number])
        places[-1].append(frames[number])
    return [sorted(place, key=lambda frame: frame.volume) for place in places]


def _shifts(places: Sequence[Sequence[Frame]]) -> tuple[str, ...]:
    """Say how far images at one place are shifted against each other within the plane, if they are."""
    most = max(
        float(np.linalg.norm(positions - positions[0], axis=1).max())
        for positions in (positions_of(place) for place in places)
    )
    pixel = min(places[0][0].spacing or (1.0,))
    return (_apart(most),) if most > max(SAME_MM, 0.5 * pixel) else ()


def _apart(most_mm: float) -> str:
    return f"volumes lie up to {most_mm:.2g} mm apart; the affine is that of the first"


def _mosaics(frames: Sequence[Frame], normal: Affine) -> list[tuple[Frame, ...]]:
    """Each mosaic is a volume, wherever it lies: scanners move slices to follow a head."""
    of_file: dict[int, list[Frame]] = {}
    for frame in frames:
        of_file.setdefault(frame.file, []).append(frame)
    volumes = [
        tuple(sorted(volume, key=lambda frame: float(np.dot(frame.position or (), normal))))
        for volume in of_file.values()
    ]
    return sorted(volumes, key=lambda volume: volume[0].volume[:-1])


def _moved(volumes: Sequence[tuple[Frame, ...]], in_plane: Affine) -> Layout:
    """The layout of volumes that are even each, and may lie beside each other."""
    first = volumes[0]
    starts = positions_of([volume[0] for volume in volumes])
    most = float(np.linalg.norm(starts - starts[0], axis=1).max())
    places = positions_of(first)
    origin, step = even_steps(places) or (places[0], places[1] - places[0])
    spacing = _spacing(first[0], abs(float(np.dot(step * _TO_RAS, np.cross(*in_plane.T)))))
    notices = (_apart(most),) if most > SAME_MM else ()
    return Layout(tuple(volumes), _affine(first[0], origin, step), spacing, notices, in_plane)


def _one_by_one(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], ...]:
    """Each frame as a volume of its own, so that none is taken for a neighbour in space of another."""
    return tuple((frame,) for frame in frames)


def _spacing(frame: Frame, step_mm: float | None) -> tuple[float, ...] | None:
    if frame.spacing is None:
        return None
    down, right = frame.spacing
    return (right, down) if step_mm is None else (right, down, step_mm)


def _affine(frame: Frame, origin: Affine, step: Affine) -> Affine | None:
    """Equation C.7.6.2.1-1 of PS3.3, in RAS."""
    if frame.spacing is None or frame.orientation is None:
        return None
    # PixelSpacing: between rows first, then between columns.
    between_rows, between_columns = frame.spacing
    affine = np.eye(4)
    affine[:3, 0] = np.array(frame.orientation[:3]) * between_columns
    affine[:3, 1] = np.array(frame.orientation[3:]) * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)

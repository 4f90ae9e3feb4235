"""Frames in space: sort them by position, see whether they make a volume, and give its affine.

DICOM counts in LPS (PS3.3, C.7.6.2.1.1), an affine here in RAS as in NIfTI: the first two axes change sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdenoise.scan.dicom.frames import Frame, Header
from diffdenoise.types import Affine

#: Positions nearer than this along the normal are one place, mm.
_SAME_MM = 0.01
#: Steps between slices may differ by this share and still count as even: headers are rounded.
_EVEN = 0.01
#: Degrees between the slices' normal and the way from slice to slice from which on a tilt is stated.
_TILT = 0.1


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
        Along columns, rows and slices.
    notices : tuple of str
        What a user should know: uneven slices, a tilt.
    """

    frames: tuple[tuple[Frame, ...], ...]
    affine: Affine | None
    spacing_mm: tuple[float, ...] | None
    notices: tuple[str, ...]


def lay_out(frames: Sequence[Frame], header: Header) -> Layout:
    """Sort frames by position along their normal, then by volume.

    Parameters
    ----------
    frames : sequence of Frame
        Of one orientation and size.
    header : Header
        Of the first file.
    """
    in_order = sorted(frames, key=lambda frame: frame.volume)
    orientation = frames[0].orientation
    if orientation is None or any(frame.position is None for frame in frames):
        return Layout((tuple(in_order),), None, _spacing(header, header.thickness), ())
    right, down = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(right, down)
    if header.tiles > 1:
        return _mosaics(in_order, header, right, down)
    places: list[list[Frame]] = []
    depths: list[float] = []
    for frame in sorted(in_order, key=lambda frame: float(np.dot(frame.position or (), normal))):
        depth = float(np.dot(frame.position or (), normal))
        if not places or depth - depths[-1] > _SAME_MM:
            places.append([])
            depths.append(depth)
        places[-1].append(frame)
    for place in places:
        place.sort(key=lambda frame: frame.volume)
    if "MOSAIC" in header.kind:
        # Its position is that of none of its slices, and where these lie isn't said (any more).
        notice = "holds mosaics of slices: each is read as one image"
        return Layout(_one_by_one(in_order), None, _spacing(header, None), (notice,))
    if len(places) == 1:
        # A cine, or echoes of one slice.
        affine = _affine(header, right, down, normal * (header.thickness or 1.0), places[0][0])
        return Layout(_one_by_one(places[0]), affine, _spacing(header, header.thickness), ())
    counts = sorted({len(place) for place in places})
    notices = []
    if len(counts) == 1:
        volumes = tuple(zip(*places, strict=True))
    else:
        notices.append(
            f"{len(places)} positions hold {counts[0]} to {counts[-1]} images each: read one by one"
        )
        volumes = _one_by_one([frame for place in places for frame in place])
    steps = np.diff([place[0].position for place in places], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    typical = float(np.median(lengths))
    mean_step = steps.mean(axis=0)
    affine = None
    if len(counts) > 1 or np.abs(steps - mean_step).max() > max(_SAME_MM, _EVEN * typical):
        if lengths.max() - lengths.min() > max(_SAME_MM, _EVEN * typical):
            notices.append(
                f"slices lie {lengths.min():.4g} to {lengths.max():.4g} mm apart: some may be missing"
            )
    else:
        affine = _affine(header, right, down, mean_step, places[0][0])
        cosine = min(1.0, abs(float(np.dot(mean_step, normal))) / float(np.linalg.norm(mean_step)))
        tilt = math.degrees(math.acos(cosine))
        if tilt > _TILT:
            notices.append(f"slices are sheared by {tilt:.3g} degrees (gantry tilt), which is kept")
    return Layout(volumes, affine, _spacing(header, typical), tuple(notices))


def _mosaics(frames: Sequence[Frame], header: Header, right: Affine, down: Affine) -> Layout:
    """Each mosaic is a volume, wherever it lies: scanners move slices to follow a head."""
    normal = np.cross(right, down)
    of_file: dict[int, list[Frame]] = {}
    for frame in frames:
        of_file.setdefault(frame.file, []).append(frame)
    volumes = [
        tuple(sorted(volume, key=lambda frame: float(np.dot(frame.position or (), normal))))
        for volume in of_file.values()
    ]
    volumes.sort(key=lambda volume: volume[0].volume[:-1])
    starts = np.array([volume[0].position for volume in volumes])
    moved = float(np.linalg.norm(starts - starts[0], axis=1).max())
    step = np.subtract(volumes[0][1].position or (), volumes[0][0].position or ())
    affine = _affine(header, right, down, step, volumes[0][0])
    notices = (f"volumes lie up to {moved:.2g} mm apart; the affine is that of the first",)
    spacing = _spacing(header, float(np.linalg.norm(step)))
    return Layout(tuple(volumes), affine, spacing, notices if moved > _SAME_MM else ())


def _one_by_one(frames: Sequence[Frame]) -> tuple[tuple[Frame, ...], ...]:
    """Each frame as a volume of its own, so that none is taken for a neighbour in space of another."""
    return tuple((frame,) for frame in frames)


def _spacing(header: Header, step_mm: float | None) -> tuple[float, ...] | None:
    if header.spacing is None:
        return None
    down, right = header.spacing
    return (right, down) if step_mm is None else (right, down, step_mm)


def _affine(header: Header, right: Affine, down: Affine, step: Affine, first: Frame) -> Affine | None:
    """Equation C.7.6.2.1-1 of PS3.3, in RAS."""
    if header.spacing is None:
        return None
    # PixelSpacing: between rows first, then between columns.
    between_rows, between_columns = header.spacing
    affine = np.eye(4)
    affine[:3, 0] = right * between_columns
    affine[:3, 1] = down * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)

"""Volumes of a time series that lie beside each other: scanners move slices to follow a head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from diffdenoise.scan.dicom.frames import Frame
from diffdenoise.scan.dicom.places import SAME_MM, even_steps, last_digit_mm, positions_of

#: mm: how far a scanner moves its slices after a head or a navigator; stacks further apart are others.
_MOST_MM = 20.0


def moved_volumes(frames: Sequence[Frame]) -> list[tuple[Frame, ...]] | None:
    """Return the volumes that frames make by file, or by time, echo and the like, wherever each one lies.

    Parameters
    ----------
    frames : sequence of Frame
        Of one orientation, each with a place, in order of volumes.

    Returns
    -------
    list of tuple of Frame, or None
        Volumes of the same number of slices, at the same even steps, each from one end to the other; None if
        the frames make no such volumes, or these lie too far apart for one moving object.
    """
    orientation = frames[0].orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    normal = np.cross(orientation[:3], orientation[3:])
    for labels in _labels(frames):
        groups: dict[Hashable, list[Frame]] = {}
        for label, frame in zip(labels, frames, strict=True):
            groups.setdefault(label, []).append(frame)
        volumes = [
            tuple(sorted(group, key=lambda frame: float(np.dot(frame.position or (), normal))))
            for group in groups.values()
        ]
        if _are_alike(volumes):
            return volumes
    return None


def _labels(frames: Sequence[Frame]) -> Iterator[list[Hashable]]:
    """Yield what may tell volumes apart: the file, where one holds several frames; what the frames say."""
    of_file = Counter(frame.file for frame in frames)
    if len(of_file) > 1 and min(of_file.values()) > 1:
        yield [frame.file for frame in frames]
    yield [frame.label for frame in frames]


def _are_alike(volumes: Sequence[tuple[Frame, ...]]) -> bool:
    """Whether there are several, of the same even steps, and not far apart."""
    if len(volumes) < 2 or len({len(volume) for volume in volumes}) > 1 or len(volumes[0]) < 2:
        return False
    positions = [positions_of(volume) for volume in volumes]
    grids = [even_steps(each) for each in positions]
    steps = np.array([grid[1] for grid in grids if grid is not None])
    if len(steps) < len(grids):
        return False
    starts = np.array([each[0] for each in positions])
    digit = max(last_digit_mm(each) for each in positions)
    same = np.abs(steps - steps[0]).max() <= max(SAME_MM, digit / (len(volumes[0]) - 1))
    return bool(same) and float(np.linalg.norm(starts - starts[0], axis=1).max()) <= _MOST_MM

"""Which frames lie in one stack of parallel slices, so that they make one volume or one series of volumes.

Frames of one series are told apart by the size of their pixels and by their orientation, by the StackID that
enhanced files give them (PS3.3, C.7.6.16.2.2.4), and by where they lie: slices of one stack lie behind each
other, along their normal or, with a tilted gantry, along a line that leans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.dicom.frames import Frame
from diffdenoise.scan.dicom.moved import moved_volumes
from diffdenoise.scan.dicom.places import (
    SAME_MM,
    even_steps,
    labels_by_gaps,
    last_digit_mm,
    positions_of,
    same_place_mm,
)
from diffdenoise.types import Affine

#: Orientation cosines, and PixelSpacing as a share of itself, that frames of one volume may differ by: half
#: a pixel over 500 pixels. Files of one series differ by 1e-4 at most, stacks that were planned apart by
#: degrees (0.02 and more).
_COSINE, _SPACING_SHARE = 1e-3, 1e-3
#: Stacks shifted against each other within the plane by less than this share of a pixel aren't told apart.
_PIXEL_SHARE = 0.5
#: More stacks than this in one file are radial slices or the like, which have no neighbours in space.
_MOST_STACKS = 32


def stacks_of(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split frames of one series into stacks of parallel slices.

    Parameters
    ----------
    frames : sequence of Frame
        Each with an orientation and a position.

    Returns
    -------
    list of list of Frame
        In the order of their first frames. A single place is no stack: an image beside one stays with it.
    """
    found = [
        stack
        for parallel in _split(frames, _geometry(frames))
        for named in _by_name(parallel)
        for stack in _by_foot(named)
    ]
    return sorted(found, key=lambda stack: (stack[0].file, stack[0].number))


def are_neighbours(stacks: Sequence[Sequence[Frame]]) -> bool:
    """Whether each of several stacks is one to learn from: not a fan of slices of an orientation each."""
    return len(stacks) <= _MOST_STACKS and min(len(stack) for stack in stacks) > 1


def _split(frames: Sequence[Frame], labels: NDArray[np.intp]) -> Iterator[list[Frame]]:
    """Yield the frames of each label, in their order."""
    of_label: dict[int, list[Frame]] = {}
    for frame, label in zip(frames, labels.tolist(), strict=True):
        of_label.setdefault(label, []).append(frame)
    yield from of_label.values()


def _geometry(frames: Sequence[Frame]) -> NDArray[np.intp]:
    """Number frames by orientation and size of their pixels."""
    cosines = np.array([frame.orientation for frame in frames], np.float64)
    # As logarithms, whose differences are shares; 0 mm stands for "not stated".
    sizes = np.array([frame.spacing or (0.0, 0.0) for frame in frames], np.float64)
    logs = np.log(np.maximum(sizes, 1e-9))
    gaps = np.array([_COSINE] * cosines.shape[1] + [_SPACING_SHARE] * 2)
    return labels_by_gaps(np.concatenate([cosines, logs], axis=1), gaps)


def _by_name(frames: list[Frame]) -> Iterator[list[Frame]]:
    """Yield frames by StackID; stacks at the same places are one, and so are stacks of one place each."""
    named: dict[str, list[Frame]] = {}
    for frame in frames:
        named.setdefault(frame.stack, []).append(frame)
    positions = {name: np.unique(positions_of(stack), axis=0) for name, stack in named.items()}
    if len(named) == 1 or min(len(each) for each in positions.values()) < 2:
        yield frames
        return
    merged: list[tuple[Affine, list[Frame]]] = []
    for name, stack in named.items():
        same = next((other for places, other in merged if _coincide(places, positions[name])), None)
        if same is None:
            merged.append((positions[name], list(stack)))
        else:
            same += stack
    yield from (stack for _, stack in merged)


def _coincide(one: Affine, other: Affine) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other).max() <= SAME_MM)


def _by_foot(frames: list[Frame]) -> Iterator[list[Frame]]:
    """Yield frames that lie behind each other: along the normal, or else along the way most slices take."""
    positions = positions_of(frames)
    orientation = frames[0].orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    right, down = np.array(orientation[:3]), np.array(orientation[3:])
    depths = positions @ np.cross(right, down)
    within = positions @ np.stack([right, down], axis=1)
    place = labels_by_gaps(depths[:, None], same_place_mm(None))
    places = positions[np.unique(place, return_index=True)[1]]
    pixel = min(frames[0].spacing or (1.0, 1.0))
    if len(places) < 2 or (even_steps(places) is not None and not _are_beside(place, within, pixel)):
        yield frames
        return
    apart = max(_PIXEL_SHARE * pixel, last_digit_mm(positions))
    for lean in (np.zeros(2), _lean(depths, within)):
        labels = labels_by_gaps(within - np.outer(depths, lean), apart)
        count = int(labels.max()) + 1
        if count == 1:
            break
        of_label = [np.unique(place[labels == label]) for label in range(count)]
        if count > _MOST_STACKS or min(len(each) for each in of_label) < 2:
            continue
        if moved_volumes(sorted(frames, key=lambda frame: frame.volume)) is None:
            yield from _split(frames, labels)
            return
        break
    yield frames


def _are_beside(place: NDArray[np.intp], within: Affine, pixel: float) -> bool:
    """Whether images at one place along the normal lie beside each other in their plane."""
    order = np.argsort(place, kind="stable")
    same = np.diff(place[order]) == 0
    beside = np.abs(np.diff(within[order], axis=0)).max(axis=1) > _PIXEL_SHARE * pixel
    return bool((same & beside).any())


def _lean(depths: Affine, within: Affine) -> Affine:
    """How far slices move within their plane for each mm that they move along the normal, mostly."""
    steps = np.diff(depths)
    moved = np.abs(steps) > SAME_MM
    if not moved.any():
        return np.zeros(2)
    return np.asarray(np.median(np.diff(within, axis=0)[moved] / steps[moved, None], axis=0))

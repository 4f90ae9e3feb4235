"""Some frames of an enhanced file as a file of their own: a stack, or what isn't phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffdenoise.scan.dicom.parse import number_of, value_of

#: What counts or describes all of a file's frames, and is optional (PS3.3, C.7.6.6, C.7.6.17.1 and C.9.3).
_OF_ALL_FRAMES = (
    "RepresentativeFrameNumber",
    "FrameNumbersOfInterest",
    "FrameOfInterestDescription",
    "FrameOfInterestType",
    "StartTrim",
    "StopTrim",
    "RecommendedDisplayFrameRate",
    "CineRate",
)
#: Overlays of several frames (NumberOfFramesInOverlay) are of frames that may be gone.
_OVERLAY_GROUPS, _FRAMES_IN_OVERLAY = range(0x6000, 0x6020, 2), 0x0015


def keep_frames(dataset: Any, numbers: Sequence[int], part: tuple[int, int] | None) -> None:
    """Leave only some frames' descriptions in a data set, in place; its pixels are for `write` to replace.

    Parameters
    ----------
    dataset : pydicom.FileDataset
        Enhanced: with functional groups.
    numbers : sequence of int
        Of the frames to keep, from 0, in order.
    part : (number, count) or None
        Which of how many files made from this one it is; their InstanceNumbers must differ.
    """
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    dataset.PerFrameFunctionalGroupsSequence = [groups[number] for number in numbers]
    dataset.NumberOfFrames = len(numbers)
    for keyword in _OF_ALL_FRAMES:
        if keyword in dataset:
            delattr(dataset, keyword)
    for group in _OVERLAY_GROUPS:
        if (group, _FRAMES_IN_OVERLAY) in dataset:
            for tag in [tag for tag in dataset.keys() if tag.group == group]:  # noqa: SIM118 (iteration decodes)
                del dataset[tag]
    number = number_of(dataset, "InstanceNumber")
    if part is not None and number is not None:
        dataset.InstanceNumber = (int(number) - 1) * part[1] + part[0]


def frames_stated(dataset: Any) -> int:
    """Return how many frames a data set describes each by itself; 0 where it describes none."""
    return len(value_of(dataset, "PerFrameFunctionalGroupsSequence", ()))

"""What the headers say of each frame: where it lies, how it is scaled, which volume it belongs to.

Classic files have one frame with these elements at the top; enhanced ones keep them in functional groups,
shared or per frame (PS3.3, C.7.6.16).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from diffdenoise.scan.dicom.kinds import parts_of_frames
from diffdenoise.scan.dicom.lacking import series_told_by, study_told_by
from diffdenoise.scan.dicom.mosaic import mosaic_of
from diffdenoise.scan.dicom.parse import first_of, number_of, numbers_of, value_of, words_of
from diffdenoise.scan.dicom.pixels import refuse_absurd

#: Dimensions (PS3.3, C.7.6.17) that say where a frame lies, not which volume it belongs to.
_STACK, _OF_PLACE = 0x00209056, {0x00209056, 0x00209057, 0x00200032, 0x00201041}
#: Rows, columns and frames that no scanner makes: US and IS elements hold more only in damaged files.
_MOST_SIDE, _MOST_FRAMES = 65535, 1_000_000


@dataclass(frozen=True)
class Frame:
    """One frame of one file.

    Attributes
    ----------
    file : int
        Number of the file in its series.
    number : int
        Number of the frame in its file.
    position : three floats or None
        ImagePositionPatient, mm.
    orientation : six floats or None
        ImageOrientationPatient.
    slope, intercept : float
        Stored value to real value.
    volume : tuple of float
        Sorts frames at the same place into volumes: echo, diffusion weighting, time, acquisition, the file's
        other dimensions, and then numbers of instance and frame.
    spacing : (down, right) or None
        PixelSpacing, or that at the detector, mm.
    stack : str
        StackID (PS3.3, C.7.6.16.2.2.4), or the index that stands for it; "" where none is given.
    """

    file: int
    number: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    slope: float
    intercept: float
    volume: tuple[float, ...]
    spacing: tuple[float, ...] | None = None
    stack: str = ""

    @property
    def label(self) -> tuple[float, ...]:
        """What the images of one volume share: all of `volume` but the numbers of instance and frame."""
        return self.volume[:-2]


@dataclass(frozen=True)
class Header:
    """What one file says of itself and of its frames; nothing that identifies a patient.

    Attributes
    ----------
    series_uid, sop_class, sop_uid, study_uid : str
        Of the file; "" where it has none.
    series_number : int or None
        SeriesNumber.
    modality : str
        "MR", "CT", ...
    rows, columns : int
        Size of each frame; of a mosaic, of each slice in it.
    bits : tuple of int
        BitsAllocated, BitsStored, PixelRepresentation.
    kind : tuple of str
        ImageType from its third value on: what tells magnitude from phase, water from fat.
    spacing : (down, right) or None
        PixelSpacing, or that at the detector, mm.
    thickness : float or None
        SpacingBetweenSlices, else SliceThickness, mm.
    frames : tuple of Frame
        Their `file` is 0 until a series numbers them.
    many : bool
        Whether the file is of a multi-frame class.
    is_enhanced : bool
        Whether it describes each frame by itself.
    tiles : int
        Slices side by side in one image, and below each other, that `frames` numbers row by row: 1, but in a
        mosaic.
    left_out : tuple of str
        Why frames of the file aren't in `frames`, a reason a frame.
    told : str
        A digest of what tells studies and series apart where UIDs are missing; "" where they aren't.
    """

    series_uid: str
    sop_class: str
    sop_uid: str
    study_uid: str
    series_number: int | None
    modality: str
    rows: int
    columns: int
    bits: tuple[int, int, int]
    kind: tuple[str, ...]
    spacing: tuple[float, ...] | None
    thickness: float | None
    frames: tuple[Frame, ...]
    many: bool
    is_enhanced: bool = False
    tiles: int = 1
    left_out: tuple[str, ...] = ()
    told: str = ""

    def place(self, number: int) -> tuple[int | slice, ...]:
        """Return where a frame lies in a file's pixels, (images, rows, columns)."""
        if self.tiles == 1:
            return (number,)
        row, column = divmod(number, self.tiles)
        return (
            0,
            slice(row * self.rows, (row + 1) * self.rows),
            slice(column * self.columns, (column + 1) * self.columns),
        )


class HeaderError(ValueError):
    """What is wrong with a header, in words that hold nothing of it but sizes."""


class NoImageError(ValueError):
    """Why no frame of a file is an image to denoise."""


def header_of(dataset: Any, name: str, size: int) -> Header:
    """Gather what grouping, sorting and scaling need.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With or without pixels.
    name : str
        For messages.
    size : int
        Bytes of the file, which must be able to hold what the header states.

    Raises
    ------
    NoImageError
        If none of its frames is an image to denoise.
    HeaderError, FormatError
        If it can't be the header of an image: sizes or bits out of bounds, functional groups too few.
    """
    rows, columns = (int(number_of(dataset, keyword) or 0) for keyword in ("Rows", "Columns"))
    count = int(number_of(dataset, "NumberOfFrames") or 1)
    if not (0 < rows <= _MOST_SIDE and 0 < columns <= _MOST_SIDE and 0 < count <= _MOST_FRAMES):
        raise HeaderError("its header states an absurd size")
    allocated, stored, signed = (
        int(number_of(dataset, keyword) or 0)
        for keyword in ("BitsAllocated", "BitsStored", "PixelRepresentation")
    )
    stored = stored or allocated
    if allocated not in (8, 16, 32) or not 1 < stored <= allocated or signed not in (0, 1):
        raise HeaderError("its header states a pixel size that is not read")
    refuse_absurd(name, rows * columns * count * allocated // 8, size)
    if count > size:
        raise HeaderError(f"its header states {count} frames")
    shared = first_of(dataset, "SharedFunctionalGroupsSequence")
    groups = value_of(dataset, "PerFrameFunctionalGroupsSequence")
    if groups is not None and len(groups) != count:
        raise HeaderError(f"its header describes {len(groups)} frames but states {count}")
    first = None if groups is None else groups[0]
    measures = _group(first, shared, "PixelMeasuresSequence", dataset)
    thickness = number_of(measures, "SpacingBetweenSlices") or number_of(measures, "SliceThickness")
    reasons = parts_of_frames(dataset, shared, groups, count)
    left_out = tuple(reason for reason in reasons if reason is not None)
    if len(left_out) == count:
        raise NoImageError(left_out[0])
    frames, tiles = _frames(dataset, shared, groups, count), 1
    frames = tuple(frame for frame, reason in zip(frames, reasons, strict=True) if reason is None)
    spacing = frames[0].spacing
    mosaic = mosaic_of(dataset, rows, columns) if count == 1 else None
    position, orientation = frames[0].position, frames[0].orientation
    if mosaic and position and orientation and spacing and thickness:
        size_mm = (rows * spacing[0], columns * spacing[1])
        places = mosaic.positions(position, orientation, size_mm, abs(thickness))
        frames = tuple(
            replace(frames[0], number=number, position=place) for number, place in enumerate(places)
        )
        tiles = mosaic.side
    series_uid = str(value_of(dataset, "SeriesInstanceUID", ""))
    return Header(
        series_uid=series_uid,
        sop_class=str(value_of(dataset, "SOPClassUID", "")),
        sop_uid=str(value_of(dataset, "SOPInstanceUID", "")),
        study_uid=str(value_of(dataset, "StudyInstanceUID", "")),
        series_number=_whole(number_of(dataset, "SeriesNumber")),
        modality=_modality(dataset),
        rows=rows // tiles,
        columns=columns // tiles,
        bits=(allocated, stored, signed),
        kind=words_of(dataset, "ImageType")[2:],
        spacing=spacing,
        thickness=abs(thickness) if thickness else None,
        frames=frames,
        many="NumberOfFrames" in dataset and (count > 1 or groups is not None),
        is_enhanced=groups is not None,
        left_out=left_out,
        tiles=tiles,
        told="" if series_uid else study_told_by(dataset) + series_told_by(dataset),
    )


def _frames(dataset: Any, shared: Any, groups: Any, count: int) -> tuple[Frame, ...]:
    """All frames; those that say nothing of their own differ in their number alone."""
    if groups is not None:
        dimensions = _dimensions(dataset)
        return tuple(
            _frame(dataset, shared, group, number, dimensions) for number, group in enumerate(groups)
        )
    first = _frame(dataset, shared, None, 0, ())
    return tuple(
        replace(first, number=number, volume=(*first.volume[:-1], float(number))) for number in range(count)
    )


def _dimensions(dataset: Any) -> tuple[int, ...]:
    """Tag that each of a frame's DimensionIndexValues counts; none where they aren't told."""
    items = value_of(dataset, "DimensionIndexSequence", [])
    try:
        return tuple(int(item.get("DimensionIndexPointer") or 0) for item in items)
    except (AttributeError, TypeError, ValueError):  # damaged
        return ()


def _frame(dataset: Any, shared: Any, own: Any, number: int, dimensions: tuple[int, ...]) -> Frame:
    position = numbers_of(_group(own, shared, "PlanePositionSequence", dataset), "ImagePositionPatient", 3)
    orientation = numbers_of(
        _group(own, shared, "PlaneOrientationSequence", dataset), "ImageOrientationPatient", 6
    )
    scaling = _group(own, shared, "PixelValueTransformationSequence", dataset)
    slope = number_of(scaling, "RescaleSlope")
    content = _group(own, shared, "FrameContentSequence", dataset)
    measures = _group(own, shared, "PixelMeasuresSequence", dataset)
    spacing = numbers_of(measures, "PixelSpacing", 2) or numbers_of(dataset, "ImagerPixelSpacing", 2)
    indices = numbers_of(content, "DimensionIndexValues", len(dimensions)) or ()
    of_dimension = dict(zip(dimensions, indices, strict=False))
    stack = str(value_of(content, "StackID", "")).strip()
    if not stack and _STACK in of_dimension:
        stack = str(int(of_dimension[_STACK]))
    echo = _group(own, shared, "MREchoSequence", dataset)
    diffusion = _group(own, shared, "MRDiffusionSequence", dataset)
    volume = (
        number_of(echo, "EffectiveEchoTime") or number_of(dataset, "EchoTime"),
        number_of(diffusion, "DiffusionBValue"),
        number_of(content, "TemporalPositionIndex") or number_of(dataset, "TemporalPositionIdentifier"),
        number_of(dataset, "AcquisitionNumber"),
        *(index for tag, index in of_dimension.items() if tag not in _OF_PLACE),
        number_of(dataset, "InstanceNumber"),
        float(number),
    )
    return Frame(
        file=0,
        number=number,
        position=position,
        orientation=orientation if orientation and _is_orthonormal(orientation) else None,
        # A slope of zero would make all values equal; such files mean that none is stated.
        slope=slope or 1.0,
        intercept=number_of(scaling, "RescaleIntercept") or 0.0,
        volume=tuple(0.0 if each is None else each for each in volume),
        spacing=spacing if spacing and min(spacing) > 0 else None,
        stack=stack,
    )


def _modality(dataset: Any) -> str:
    """Modality as the standard has it; anything else that is written there isn't repeated."""
    word = (words_of(dataset, "Modality") or ("",))[0]
    return word if re.fullmatch("[A-Z]{2,5}", word) else ""


def _group(own: Any, shared: Any, keyword: str, otherwise: Any) -> Any:
    """A functional group: the frame's own, else the shared one, else the data set of a classic file."""
    found = first_of(own, keyword)
    if found is None:
        found = first_of(shared, keyword)
    return otherwise if found is None else found


def _is_orthonormal(orientation: tuple[float, ...]) -> bool:
    right, down = orientation[:3], orientation[3:]
    cosine = sum(a * b for a, b in zip(right, down, strict=True))
    lengths = (math.dist(right, (0, 0, 0)), math.dist(down, (0, 0, 0)))
    return abs(cosine) < 1e-3 and all(abs(length - 1) < 1e-2 for length in lengths)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)

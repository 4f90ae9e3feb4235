"""What files leave out though the standard wants it: the transfer syntax, the SOP class, UIDs.

Old archives, exports and careless anonymisers write files without a meta header (PS3.10, 7.1) or without
UIDs. They are read by what they hold, and what is derived from them gets what they lack.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from diffdenoise.scan.dicom.parse import number_of, value_of, words_of

if TYPE_CHECKING:
    from diffdenoise.scan.dicom.derive import Derivation

_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
#: Transfer syntax by the first bytes of a compressed frame, and of JPEG by its frame header (SOF).
_JPEG_2000, _JPEG_LS = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"
_BY_FRAME_HEADER = {
    0xC0: "1.2.840.10008.1.2.4.50",
    0xC1: "1.2.840.10008.1.2.4.51",
    0xC3: "1.2.840.10008.1.2.4.70",
    0xF7: _JPEG_LS,
}
#: Storage classes of single-frame images, by Modality (PS3.4, B.5).
_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
#: What tells studies and series apart where their UIDs are missing. Kept as a digest only.
_OF_STUDY = ("PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyID")
_OF_SERIES = ("Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime", "ProtocolName")
_DIGITS = 32


def state_what_is_missing(dataset: Any) -> None:
    """State a data set's transfer syntax and SOP class where the file doesn't, in place.

    The syntax is told by the encoding that was found and, of compressed pixels, by their first frame; the
    class by the meta header or the modality. What can't be told is left out.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    meta = dataset.file_meta
    if not meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        plain = _IMPLICIT if implicit else _EXPLICIT if little else _BIG
        syntax = _syntax_of_frame(dataset) if _is_encapsulated(dataset) else plain
        if syntax is not None:
            meta.TransferSyntaxUID = UID(syntax)
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        stated = str(meta.get(f"MediaStorage{keyword}", ""))
        if not value_of(dataset, keyword) and stated:
            setattr(dataset, keyword, UID(stated))
    if not value_of(dataset, "SOPClassUID") and (number_of(dataset, "NumberOfFrames") or 1) == 1:
        found = _CLASSES.get((words_of(dataset, "Modality") or ("",))[0])
        if found is not None and "Rows" in dataset:
            dataset.SOPClassUID = UID(found)


def _is_encapsulated(dataset: Any) -> bool:
    return "PixelData" in dataset and bool(getattr(dataset["PixelData"], "is_undefined_length", False))


def _syntax_of_frame(dataset: Any) -> str | None:
    """The transfer syntax that a compressed frame's own header speaks of; None if it can't be told."""
    from pydicom.encaps import generate_fragments

    try:
        fragments = generate_fragments(dataset.PixelData)
        next(fragments)  # the offset table
        frame = next(fragments)
    except (StopIteration, ValueError):
        return None
    if frame.startswith(b"\xff\x4f\xff\x51"):
        return _JPEG_2000
    place = 2
    while frame.startswith(b"\xff\xd8") and place + 4 <= len(frame) and frame[place] == 0xFF:
        if frame[place + 1] in _BY_FRAME_HEADER:
            return _BY_FRAME_HEADER[frame[place + 1]]
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")
    return None


def study_told_by(dataset: Any) -> str:
    """Return a digest of what tells a study apart without its UID; "" if nothing does."""
    return _digest([str(value_of(dataset, keyword, "")).strip() for keyword in _OF_STUDY])


def series_told_by(dataset: Any) -> str:
    """Return a digest of what tells a series apart without its UID."""
    return _digest([str(value_of(dataset, keyword, "")).strip() for keyword in _OF_SERIES])


def folder_of(name: str) -> str:
    """Return the folder in a source's name."""
    return PurePosixPath(name).parent.as_posix()


def supply_uids(dataset: Any, how: Derivation, series: str, name: str) -> None:
    """Give the data set of a derived image the UIDs of study and frame of reference that its source lacks.

    Parameters
    ----------
    dataset : pydicom.FileDataset
        The source's, still with its own SeriesInstanceUID, if any.
    how : Derivation
        Makes UIDs.
    series : str
        What tells its series from all others of this run.
    name : str
        Of the source.
    """
    if not value_of(dataset, "StudyInstanceUID"):
        # Without anything else, what lies in one folder is taken for one study.
        told = study_told_by(dataset) or f"folder\0{folder_of(name)}"
        dataset.StudyInstanceUID = how.uid(f"study\0{told}")
    if not value_of(dataset, "FrameOfReferenceUID") and _is_placed(dataset):
        # Two series without one needn't have the same.
        dataset.FrameOfReferenceUID = how.uid(f"frame of reference\0{series}")
        if "PositionReferenceIndicator" not in dataset:
            dataset.PositionReferenceIndicator = ""


def _is_placed(dataset: Any) -> bool:
    """Whether a data set says where its frames lie, and so needs a frame of reference (PS3.3, C.7.4.1)."""
    return "ImagePositionPatient" in dataset or "PerFrameFunctionalGroupsSequence" in dataset


def _digest(words: list[str]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:_DIGITS] if any(words) else ""

"""DICOM files made with pydicom: a series with known values and geometry, in many kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

MR, CT, PET = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_MR, DX = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.1.1"
SEGMENTATION, SECONDARY = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.7"
#: Oblique: column and row directions at right angles.
ORIENTATION = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])
#: Found in no output but in elements of these kinds.
CANARY = "CANARY"


def pixels(count: int = 1, rows: int = 12, columns: int = 10, seed: int = 3, dtype: Any = np.int16) -> Any:
    """Stored values (frames, rows, columns) from 0 to 999."""
    return np.random.default_rng(seed).integers(0, 1000, (count, rows, columns)).astype(dtype)


def dataset(
    values: Any, *, sop_class: str = MR, modality: str = "MR", series: str = "1.2.3", **elements: Any
) -> Dataset:
    """One file's data set with an identity, and whatever elements are given."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = "1.2", series, "1.2.9"
    made.Modality, made.SeriesNumber, made.InstanceNumber = modality, 7, 1
    made.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    made.PatientName, made.PatientID, made.PatientBirthDate = f"{CANARY}^NAME", f"{CANARY}-ID", "19010203"
    made.StudyDate, made.StudyTime, made.AccessionNumber = "19040506", "120000", f"{CANARY}-ACC"
    made.SeriesDescription, made.InstitutionName = f"{CANARY} t1 tse", f"{CANARY} HOSPITAL"
    made.ReferringPhysicianName, made.StudyDescription, made.StudyID = (
        f"{CANARY}^REF",
        f"{CANARY} study",
        CANARY,
    )
    made.PixelSpacing, made.SliceThickness = [0.75, 0.5], 3.0
    made.Rows, made.Columns = values.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 * values.dtype.itemsize
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    made.PixelData = np.ascontiguousarray(values).tobytes()
    made["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def save(made: Dataset, path: Path) -> Path:
    """Write it as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def bare(path: Path, kept: int = 0) -> Path:
    """Cut a file's preamble and meta header off, but for its first `kept` bytes."""
    whole = path.read_bytes()
    # FileMetaInformationGroupLength is the first element: 8 bytes of tag, VR and length, and its value.
    end = 144 + int.from_bytes(whole[140:144], "little")
    path.write_bytes(whole[:kept] + whole[end:])
    return path


def slices(
    folder: Path, count: int = 5, step_mm: float = 3.0, step: Any = None, values: Any = None, **elements: Any
) -> Any:
    """A series whose names and numbers are out of order; returns its values (slices, rows, columns)."""
    values = pixels(count) if values is None else values
    step = NORMAL * step_mm if step is None else np.asarray(step)
    names = np.random.default_rng(0).permutation(count)
    for k in range(count):
        where = np.array([-20.0, 10.0, 5.0]) + k * step
        made = dataset(
            values[k],
            ImagePositionPatient=[round(float(each), 6) for each in where],
            ImageOrientationPatient=list(ORIENTATION),
            **elements,
        )
        made.InstanceNumber = int(names[k]) + 1
        save(made, folder / f"IM{names[k]:04}")
    return values


def enhanced(folder: Path, count: int = 4, values: Any = None, **elements: Any) -> Any:
    """One enhanced multi-frame file, its frames from top to bottom; returns (frames, rows, columns)."""
    values = pixels(count) if values is None else values
    count = len(values)
    made = dataset(
        values,
        sop_class=ENHANCED_MR,
        NumberOfFrames=count,
        PixelSpacing=None,
        SliceThickness=None,
        **elements,
    )
    shared = Dataset()
    measures, orientation, transformation, kind = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.75, 0.5], 3.0
    orientation.ImageOrientationPatient = list(ORIENTATION)
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = 2, -100, "US"
    kind.FrameType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence, shared.MRImageFrameTypeSequence = [transformation], [kind]
    made.SharedFunctionalGroupsSequence = [shared]
    made.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    frames = []
    for k in range(count):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [
            round(float(each), 6) for each in np.array([-20.0, 10, 5]) - k * 3 * NORMAL
        ]
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = frames
    save(made, folder / "enhanced")
    return values


def read(path: Path) -> Dataset:
    """A file as pydicom reads it."""
    return pydicom.dcmread(path)

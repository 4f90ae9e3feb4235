"""Synthetic scans of any size in files of several formats, made slice by slice.

A cylinder of tissue in air that noise is cut off in, within a round field of view whose surroundings are
padded, as a CT has them; 16 bits a voxel.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
from numpy.typing import NDArray

#: HU of padding, air, tissue and bone, and the noise's std.
_PADDING, _AIR, _TISSUE, _BONE, _STD = -2000, -1000.0, 40.0, 400.0, 25.0
_RESCALED = -1024


def slices(shape: tuple[int, ...]) -> Iterator[NDArray[np.int16]]:
    """Yield slices (x, y) of a volume or series of this shape, in HU."""
    random = np.random.default_rng(0)
    x, y = (np.linspace(-1, 1, side)[:, None] for side in shape[:2])
    radius = np.hypot(x, y.T)
    clean = np.where(radius < 0.6, _TISSUE, _AIR) + np.where(radius < 0.15, _BONE - _TISSUE, 0)
    padding = radius > 0.98
    for number in range(int(np.prod(shape[2:], dtype=int))):
        noise = random.standard_normal(shape[:2], dtype=np.float32) * _STD
        slow = 60 * np.sin(12 * x + number / 7) * (radius < 0.6)
        values = np.rint(np.clip(clean + slow + noise, -1024, 3071)).astype(np.int16)
        values[padding] = _PADDING
        yield values


def write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the header of a NIfTI file of 16-bit voxels, which follow in order."""
    header: Any = nibabel.Nifti1Header()  # type: ignore[no-untyped-call]
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_zooms((0.7, 0.7, 3.0, 2.0)[: len(shape)])
    header.set_sform(np.diag([0.7, 0.7, 3.0, 1.0]), 1)
    header.set_data_offset(352)
    header["magic"] = b"n+1"
    stream.write(header.binaryblock + bytes(4))


def write_nifti(path: Path, shape: tuple[int, ...]) -> None:
    """Write a .nii or .nii.gz file."""
    stream: Any
    with gzip.open(path, "wb", 1) if path.name.endswith(".gz") else path.open("wb") as stream:
        write_header(stream, shape)
        for one in slices(shape):
            stream.write(one.tobytes(order="F"))


def write_dicom(folder: Path, shape: tuple[int, ...]) -> None:
    """Write a CT series, a file a slice."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    folder.mkdir()
    for number, one in enumerate(slices(shape)):
        made: Any = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
        made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = "1.2", "1.2.3", "1.2.9"
        made.Modality, made.SeriesNumber, made.InstanceNumber = "CT", 1, number + 1
        made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        made.PatientName, made.PatientID, made.StudyDate, made.StudyTime = "", "", "", ""
        made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        made.ImagePositionPatient = [0, 0, 3 * number]
        made.PixelSpacing, made.SliceThickness = [0.7, 0.7], 3.0
        made.Rows, made.Columns = one.shape[1], one.shape[0]
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
        made.RescaleSlope, made.RescaleIntercept = 1, _RESCALED
        made.PixelPaddingValue = _PADDING - _RESCALED
        made.PixelData = np.ascontiguousarray((one - _RESCALED).T).tobytes()
        made["PixelData"].VR = "OW"
        made.save_as(folder / f"{number + 1:05}.dcm", enforce_file_format=True)


def write_zarr(folder: Path, shape: tuple[int, ...]) -> None:
    """Write a Zarr array (z, y, x) in chunks of 16 slices, compressed as Zarr does by default."""
    import zarr

    chunks = (16, *(min(side, 256) for side in shape[1::-1]))
    array: Any = zarr.create_array(
        str(folder), shape=shape[::-1], dtype="int16", chunks=chunks, dimension_names=("z", "y", "x")
    )
    waiting: list[NDArray[np.int16]] = []
    first = 0
    for number, one in enumerate(slices(shape)):
        waiting.append(one.T)
        if len(waiting) == 16 or number + 1 == shape[2]:
            array[first : number + 1] = np.stack(waiting)
            first, waiting = number + 1, []


#: How scans of each kind are named and written.
WRITERS = {
    "nii": (".nii", write_nifti),
    "nii.gz": (".nii.gz", write_nifti),
    "dicom": ("", write_dicom),
    "zarr": (".zarr", write_zarr),
}

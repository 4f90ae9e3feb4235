"""What is fuzzed: how an input becomes a file or folder, and what reads it.

A target beside the plain readers puts the input where damage matters, inside of a header that is right:
libFuzzer would spend its time on headers otherwise, which are compared before anything is decoded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

#: File name suffix for each plain reader: the input is the file.
SUFFIXES = {
    "dicom": ".dcm",
    "dicom-zip": ".zip",
    "nifti": ".nii",
    "nifti-gz": ".nii.gz",
    "png": ".png",
    "tiff": ".tif",
    "nrrd": ".nrrd",
    "metaimage": ".mha",
    "mgh": ".mgh",
    "hdf5": ".h5",
    "zarr": ".zarr",
    "matlab": ".mat",
    "minc": ".mnc",
    "analyze": ".hdr",
    "par": ".par",
    "afni": ".head",
    "nhdr": ".nhdr",
    "npy": ".npy",
    "npz": ".npz",
}
#: Rows and columns of an image whose codestream is the input; bits and samples are as in the committed ones.
ROWS, COLUMNS = 40, 48
SYNTAXES = {
    "dicom-jpeg": (JPEGBaseline8Bit, 8),
    "dicom-jpeg-12": (JPEGExtended12Bit, 16),
    "dicom-jpeg-lossless": (JPEGLosslessSV1, 16),
    "dicom-jpeg-ls": (JPEGLSLossless, 16),
    "dicom-jpeg-2000": (JPEG2000Lossless, 16),
    "dicom-rle": (RLELossless, 16),
}
#: Codecs of a chunk, chosen by the input's first byte; a list is a filter before the compressor.
CODECS: tuple[list[dict[str, Any]], ...] = (
    [{"id": "zstd", "level": 1}],
    [{"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}],
    [{"id": "gzip", "level": 1}],
    [{"id": "zlib", "level": 1}],
    [{"id": "bz2", "level": 1}],
    [{"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}],
    [{"id": "lz4", "acceleration": 1}],
    [{"id": "gzip", "level": 1}, {"id": "gzip", "level": 1}],
)
CHUNK_SHAPE = (40, 48)
_NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 9 11 4
space directions: (1,0,0) (0,1,0) (0,0,2)
encoding: {}
endian: little

"""
ENCODINGS = ("gzip", "bzip2")


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    Attributes
    ----------
    place : str
        Name of the file or folder below a temporary folder.
    put : callable
        Writes an input there.
    """

    place: str
    put: Callable[[bytes, Path], None]


def parts_of(path: Path) -> tuple[Path, Path] | None:
    """Return the two files that an image is made of; None if it is but one.

    Of a Zarr store, that is a plain one of three axes in one chunk; of a detached NRRD header, `input.raw`.
    """
    if path.suffix == ".zarr":
        return path / "zarr.json", path / "c" / "0" / "0" / "0"
    other = {".hdr": ".img", ".par": ".rec", ".head": ".brik", ".nhdr": ".raw"}.get(path.suffix)
    return None if other is None else (path, path.with_suffix(other))


def unpack(data: bytes, path: Path) -> None:
    """Write an input as the file that it is, or as two: the length of the first, in four bytes, both."""
    parts = parts_of(path)
    if parts is None:
        path.write_bytes(data)
        return
    write_two(data, parts)


def write_two(data: bytes, parts: tuple[Path, Path]) -> None:
    """Write two files: the length of the first, in four bytes, then both."""
    length = int.from_bytes(data[:4], "little")
    parts[1].parent.mkdir(parents=True, exist_ok=True)
    parts[0].write_bytes(data[4 : 4 + length])
    parts[1].write_bytes(data[4 + length :])


def pack_two(first: bytes, second: bytes) -> bytes:
    """Return the input of two files."""
    return len(first).to_bytes(4, "little") + first + second


def pack(path: Path) -> bytes:
    """Return the input of an image."""
    parts = parts_of(path)
    return path.read_bytes() if parts is None else pack_two(*(part.read_bytes() for part in parts))


def put_codestream(data: bytes, path: Path, syntax: UID, bits: int) -> None:
    """Write a DICOM file whose one frame is the input; its first byte says how many fragments hold it."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["fuzz"])
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "1.2", "1.2.3", "OT"
    made.Rows, made.Columns, made.SamplesPerPixel = ROWS, COLUMNS, 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated = bits
    made.BitsStored = 12 if syntax == JPEGExtended12Bit else bits
    made.HighBit = made.BitsStored - 1
    made.PixelData = encapsulate(
        [data[1:].ljust(8, b"\0")], fragments_per_frame=1 + data[0] % 3 if data else 1
    )
    made["PixelData"].VR = "OB"
    made.save_as(path, enforce_file_format=True)


def put_chunk(data: bytes, path: Path) -> None:
    """Write a Zarr store of one chunk: the input but its first byte, which chooses the codecs."""
    *filters, compressor = CODECS[data[0] % len(CODECS) if data else 0]
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    described = {
        "zarr_format": 2,
        "shape": CHUNK_SHAPE,
        "chunks": CHUNK_SHAPE,
        "dtype": "<u2",
        "compressor": compressor,
        "filters": filters or None,
        "fill_value": 0,
        "order": "C",
    }
    (path / ".zarray").write_text(json.dumps(described), encoding="utf-8")
    (path / "0.0").write_bytes(data[1:])


def put_stream(data: bytes, path: Path) -> None:
    """Write an NRRD file whose voxels are the input but its first byte, which chooses the encoding."""
    encoding = ENCODINGS[data[0] % len(ENCODINGS) if data else 0]
    path.write_bytes(_NRRD.format(encoding).encode() + data[1:])


def put_elements(data: bytes, path: Path) -> None:
    """Write a MATLAB file whose elements, after a header that is right, are the input."""
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + data)


def put_model(data: bytes, path: Path) -> None:
    """Write record and settings of a model folder; the weights are of none."""
    path.mkdir(exist_ok=True)
    write_two(data, (path / "record.json", path / "settings.yaml"))
    (path / "student.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")


def voxels() -> np.ndarray[Any, Any]:
    """Pixels that the committed codestreams and chunks hold."""
    return np.random.default_rng(0).integers(0, 200, (ROWS, COLUMNS), np.uint16)


def _codestream(syntax: UID, bits: int) -> Callable[[bytes, Path], None]:
    return lambda data, path: put_codestream(data, path, syntax, bits)


TARGETS = {
    **{name: Target(f"input{suffix}", unpack) for name, suffix in SUFFIXES.items()},
    **{name: Target("input.dcm", _codestream(*given)) for name, given in SYNTAXES.items()},
    "zarr-chunk": Target("input.zarr", put_chunk),
    "nrrd-stream": Target("input.nrrd", put_stream),
    "matlab-elements": Target("input.mat", put_elements),
    "model": Target("model", put_model),
}

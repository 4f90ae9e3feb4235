"""Write the committed inputs that fuzzing starts from: `python -m fuzz.make_corpus`."""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from fuzz.targets import CODECS, ENCODINGS, SUFFIXES, SYNTAXES, pack, pack_two, parts_of, voxels
from tests.conftest import make_volume, tiny_settings
from tests.scan.dicom.files import dataset, enhanced, pixels, save
from tests.scan.files import FILES, make

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Write one small file of each kind that the tests know, by reader, and inputs of all other targets."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for case in FILES:
            (folder / case).mkdir()
            keep(make(case, folder / case), case)
        for name, syntax in {"rle": RLELossless, "jls": JPEGLSLossless, "j2k": JPEG2000Lossless}.items():
            made = dataset(pixels(1, 40, 48, dtype=np.uint16)[0])
            made.compress(syntax, generate_instance_uid=False)
            keep(save(made, folder / f"{name}.dcm"), name)
        plain = save(dataset(pixels(1)[0]), folder / "plain.dcm")
        keep(plain, "plain")
        enhanced(folder)
        keep((folder / "enhanced").rename(folder / "enhanced.dcm"), "enhanced")
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, "a/plain")
        keep(folder / "a.zip", "zip")
        for path, name in pairs(folder):
            keep(path, name)
    for target, name, content in inside():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        (CORPUS / target / name).write_bytes(content)


def inside() -> Iterator[tuple[str, str, bytes]]:
    """Codestreams, chunks, streams, elements and model folders that are right: target, name, input."""
    import numcodecs
    from scipy import io as scipy_io

    data = voxels()
    for target, (syntax, bits) in SYNTAXES.items():
        yield target, "whole", b"\0" + codestream(data, syntax, bits)
    for number, codecs in enumerate(CODECS):
        chunk = data.tobytes()
        for codec in codecs:
            chunk = numcodecs.get_codec(dict(codec)).encode(chunk)
        yield "zarr-chunk", f"{number}-{codecs[-1]['id']}", bytes([number]) + bytes(chunk)
    stream = np.arange(9 * 11 * 4, dtype="<i2").tobytes()
    for number, pack_stream in enumerate((gzip.compress, bz2.compress)):
        yield "nrrd-stream", ENCODINGS[number], bytes([number]) + pack_stream(stream)
    variables: dict[str, Any] = {
        "image": data,
        "cells": np.array([[1, "b"]], object),
        "info": {"te": 0.03, "a": [1]},
    }
    for compressed in (False, True):
        made = io.BytesIO()
        scipy_io.savemat(made, variables, do_compression=compressed)
        yield "matlab-elements", "packed" if compressed else "plain", made.getvalue()[128:]
    yield "model", "whole", model()


def codestream(data: Any, syntax: UID, bits: int) -> bytes:
    """Pixels as one compressed frame."""
    if bits == 8:
        from PIL import Image

        made = io.BytesIO()
        Image.fromarray(data.astype(np.uint8)).save(made, "JPEG")
        return made.getvalue()
    if syntax == JPEGExtended12Bit:
        # Nothing here writes it; of pydicom's file the first blocks, with a header that says so.
        file = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "test_files" / "JPGExtended.dcm")
        frame = bytearray(next(generate_frames(file.PixelData, number_of_frames=1)))
        start = frame.index(b"\xff\xc1") + 5
        frame[start : start + 4] = (40).to_bytes(2, "big") + (48).to_bytes(2, "big")
        return bytes(frame[:4000])
    dataset_of_it = dataset(data)
    if syntax == JPEGLosslessSV1:
        return lossless(dataset_of_it)
    dataset_of_it.compress(syntax, generate_instance_uid=False)
    return bytes(next(generate_frames(dataset_of_it.PixelData, number_of_frames=1)))


def lossless(made: Any) -> bytes:
    """A frame of JPEG Lossless, by GDCM."""
    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(save(made, Path(folder) / "a.dcm")))
        reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        change.Change()
        writer.SetFileName(f"{folder}/b.dcm")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        file = pydicom.dcmread(f"{folder}/b.dcm")
    return bytes(next(generate_frames(file.PixelData, number_of_frames=1)))


def model() -> bytes:
    """Record and settings of a model that was trained for a moment."""
    import diffdenoise as dd

    with tempfile.TemporaryDirectory() as folder:
        dd.train(make_volume(), Path(folder) / "m", settings=tiny_settings())
        record, settings = (Path(folder) / "m" / name for name in ("record.json", "settings.yaml"))
        return pack_two(record.read_bytes(), settings.read_bytes())


def pairs(folder: Path) -> Iterator[tuple[Path, str]]:
    """Small images of the formats that are only read."""
    data = np.arange(9 * 11 * 4, dtype=np.int16).reshape(9, 11, 4)
    for name, kind in {"analyze": nib.AnalyzeImage, "nifti-pair": nib.Nifti1Pair}.items():
        nib.save(kind(data, np.eye(4)), folder / f"{name}.img")
        yield folder / f"{name}.hdr", name
    packaged = Path(nib.__file__).parent / "tests" / "data"
    for given in ("tiny.mnc", "minc2_1_scale.mnc", "phantom_EPI_asc_CLEAR_2_1.PAR", "scaled+tlrc.HEAD"):
        name = Path(given).stem
        path = folder / f"{name}{Path(given).suffix.lower()}"
        shutil.copyfile(packaged / given, path)
        parts = parts_of(path)
        if parts is not None:
            voxels = (packaged / given).with_suffix(parts[1].suffix.upper())
            # Blank, so that they pack well.
            parts[1].write_bytes(bytes(voxels.stat().st_size))
        yield path, name
    nrrd.write(str(folder / "input.nhdr"), data, {"encoding": "raw"}, detached_header=True)
    yield folder / "input.nhdr", "nhdr"


def keep(path: Path, name: str) -> None:
    """Put an image in the corpus of the reader of its suffix."""
    for reader, suffix in SUFFIXES.items():
        if not path.name.lower().endswith(suffix) or not all(part.is_file() for part in parts_of(path) or ()):
            continue
        (CORPUS / reader).mkdir(parents=True, exist_ok=True)
        (CORPUS / reader / name).write_bytes(pack(path))


if __name__ == "__main__":
    main()

"""Write a scan as the derived series of the one it came from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import DiffDenoiseError, OutputError, option
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.dicom.derive import Derivation, derive
from diffdenoise.scan.dicom.frames import Frame, Header
from diffdenoise.scan.dicom.lacking import state_what_is_missing, supply_uids
from diffdenoise.scan.dicom.overlays import keep_overlays
from diffdenoise.scan.dicom.padding import beside_padding, padding_of
from diffdenoise.scan.dicom.parse import parse, quiet_pydicom
from diffdenoise.scan.dicom.pixels import stored_values
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.dicom.subset import frames_stated, keep_frames
from diffdenoise.scan.pixels import to_stored
from diffdenoise.scan.scan import Scan

_SYNTAXES = {"jpeg-ls": "1.2.840.10008.1.2.4.80", "jpeg-2000": "1.2.840.10008.1.2.4.90"}
_SUFFIXES = (".dcm", ".dicom", ".ima")
_IMPLICIT_LITTLE, _EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


def write_series(scan: Scan, targets: dict[str, Path], how: Derivation) -> None:
    """Write each file of a series anew, with the scan's values.

    Parameters
    ----------
    scan : Scan
        Real values; its header is the `Series` that it was read from.
    targets : dict of str to path
        Where each source goes, by `Source.name`. Each is written whole or not at all.
    how : Derivation
        Names and description of the derived objects.

    Raises
    ------
    OutputError
        If something can't be written.
    """
    series: Series = scan.header
    of_file: dict[int, list[tuple[Frame, int, int]]] = {}
    for volume, frames in enumerate(series.layout.frames):
        for place, frame in enumerate(frames):
            of_file.setdefault(frame.file, []).append((frame, volume, place))
    for number, places in of_file.items():
        changed = [(frame, _image(scan, volume, place)) for frame, volume, place in places]
        source = series.sources[number]
        target = targets[source.name]
        try:
            with source.open() as stream:
                dataset = parse(stream, source.name, pixels=True)
        except OSError as error:
            raise OutputError(
                f"{target}: not written: the source cannot be read ({error.strerror})"
            ) from None
        with quiet_pydicom():
            try:
                state_what_is_missing(dataset)
                stored = _changed(dataset, changed, series.header, source.name)
                keep_overlays(dataset, source.name)
                kept = sorted({frame.number for frame, _ in changed})
                if len(kept) < frames_stated(dataset):
                    stored = np.ascontiguousarray(stored[kept])
                    keep_frames(dataset, kept, series.part)
                else:
                    kept = []
                supply_uids(dataset, how, series.identity, source.name)
                lacking = (series.identity, f"{series.identity}\0{source.name}")
                derive(
                    dataset,
                    how,
                    hashlib.sha256(stored.tobytes()).digest(),
                    [each + 1 for each in kept],
                    lacking,
                )
                _put_pixels(dataset, stored, how, target)
            except (DiffDenoiseError, MemoryError):
                raise
            except Exception:  # damaged elements, which only show when they are decoded
                raise _unwritable(target) from None
            with atomic_path(target) as temporary:
                _save(dataset, temporary, target)


def targets_of(series: Series, output: Path, *, as_file: bool) -> dict[str, Path]:
    """Return where each file of a series goes, by `Source.name`.

    Parameters
    ----------
    series : Series
        As found.
    output : path
        The file to write if `as_file`; else a folder, below which files keep their names.
    as_file : bool
        Only for a series of one file.
    """
    if as_file:
        return {series.sources[0].name: output}
    return {source.name: output / _named(source.name, series.part) for source in series.sources}


def _named(name: str, part: tuple[int, int] | None) -> str:
    """A file's name; "IM1-volume-2.dcm" where several are made of it."""
    if part is None:
        return name
    suffix = next((each for each in _SUFFIXES if name.lower().endswith(each)), "")
    stem = name[: len(name) - len(suffix)]
    return f"{stem}-volume-{part[0]}{name[len(stem) :]}"


def _image(scan: Scan, volume: int, place: int) -> NDArray[Any]:
    """A frame's real values (rows, columns)."""
    if scan.ndim == 2:
        return np.asarray(scan.voxels.slab(None, 0, 0, 1)[0])
    # (columns, rows, slices[, volumes])
    return np.asarray(scan.voxels.slab(2, volume, place, place + 1)[0].T)


def _changed(
    dataset: Any, changed: list[tuple[Frame, NDArray[Any]]], header: Header, name: str
) -> NDArray[Any]:
    """A file's new stored values: slope undone, rounded, clipped, padding kept."""
    stored = stored_values(dataset, name).copy()
    padding = padding_of(dataset, stored)
    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    for frame, image in changed:
        real = (np.asarray(image, np.float64) - frame.intercept) / frame.slope
        values = to_stored(np.clip(real, low, high), stored.dtype)
        inside = header.place(frame.number)
        if padding is not None:
            values = np.where(padding[inside], stored[inside], beside_padding(dataset, values, low, high))
        stored[inside] = values
    return stored


def _unwritable(target: Path) -> OutputError:
    return OutputError(
        f"{target}: an element of the source can't be written; "
        + option("private", "drop", command="try", python="write it as NIfTI")
    )


def _put_pixels(dataset: Any, stored: NDArray[Any], how: Derivation, target: Path) -> None:
    """Put new pixel data in a data set, in the transfer syntax that it is to be written in."""
    implicit, little = dataset.original_encoding
    if not little:
        _swap_words(dataset)
    _state_extremes(dataset, stored)
    # What is compressed, deflated or big-endian becomes explicit little-endian; the others stay as they are.
    syntax = str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", _IMPLICIT_LITTLE))
    plain = _IMPLICIT_LITTLE if implicit and little and syntax == _IMPLICIT_LITTLE else _EXPLICIT_LITTLE
    dataset.file_meta = _meta(dataset, plain)
    # Bits beyond the value hold its sign, or nothing; overlays that lay there have elements of their own now.
    dataset.HighBit = int(dataset.BitsStored) - 1
    dataset.PixelData = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")).tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    pixels = dataset["PixelData"]
    pixels.VR = "OB" if plain == _EXPLICIT_LITTLE and stored.dtype.itemsize == 1 else "OW"
    pixels.is_undefined_length = False
    if how.compression != "none":
        _compress(dataset, how.compression, target)


def _save(dataset: Any, path: Path, target: Path) -> None:
    """Write a data set to `path`; messages name `target`."""
    dataset.preamble = bytes(128)
    try:
        dataset.save_as(
            path,
            implicit_vr=dataset.file_meta.TransferSyntaxUID == _IMPLICIT_LITTLE,
            little_endian=True,
            enforce_file_format=True,
        )
    except OSError as error:
        # pydicom raises them without a number for elements that it can't write.
        if error.errno is None:
            raise _unwritable(target) from None
        raise
    except Exception:  # pydicom raises all sorts for elements that it can't write
        raise _unwritable(target) from None


def check_compression(series: Series, compression: str, target: Path) -> None:
    """Raise `OutputError` if images like a series' can't be compressed, by compressing an empty one."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    header = series.header
    allocated, stored, signed = header.bits
    empty = Dataset()
    empty.file_meta = FileMetaDataset()
    empty.file_meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE)
    rows, columns = header.rows * header.tiles, header.columns * header.tiles
    empty.Rows, empty.Columns, empty.SamplesPerPixel = rows, columns, 1
    empty.PhotometricInterpretation = "MONOCHROME2"
    empty.BitsAllocated, empty.BitsStored, empty.HighBit = allocated, stored, stored - 1
    empty.PixelRepresentation = signed
    empty.PixelData = bytes(rows * columns * allocated // 8)
    empty["PixelData"].VR = "OW"
    with quiet_pydicom():
        _compress(empty, compression, target)


def _compress(dataset: Any, compression: str, target: Path) -> None:
    try:
        dataset.compress(_SYNTAXES[compression], generate_instance_uid=False)
    except Exception:  # the encoders raise all sorts: images of a few pixels, 32 bits
        raise OutputError(
            f"{target}: can't be compressed as {compression} (a size or bits that it doesn't take); "
            + option("compress", command="leave out", python="write it uncompressed")
        ) from None


def _meta(dataset: Any, syntax: str) -> Any:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "DIFFDENOISE"
    return meta


def _swap_words(dataset: Any) -> None:
    """Put 16-bit words other than pixels (overlays, lookup tables) in little-endian order.

    pydicom turns all other elements round, but refuses as long as the data set counts as big-endian.
    """
    for element in dataset.iterall():
        if element.VR == "OW" and element.keyword != "PixelData" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
    implicit, _ = dataset.original_encoding
    dataset.set_original_encoding(implicit, True, dataset.original_character_set)


def _state_extremes(dataset: Any, stored: NDArray[Any]) -> None:
    """Make the smallest and largest pixel values true where they are stated; drop those of the series.

    A series' extremes are optional (PS3.3, C.7.6.3.1), and each file here is written by itself.
    """
    low, high = int(stored.min()), int(stored.max())
    signed = bool(int(dataset.PixelRepresentation))
    fits = np.iinfo(np.int16 if signed else np.uint16)
    for keyword, value in (("SmallestImagePixelValue", low), ("LargestImagePixelValue", high)):
        if keyword in dataset and not fits.min <= low <= high <= fits.max:
            delattr(dataset, keyword)
        elif keyword in dataset:
            element = dataset[keyword]
            element.VR = "SS" if signed else "US"
            element.value = value
    for keyword in ("SmallestPixelValueInSeries", "LargestPixelValueInSeries"):
        if keyword in dataset:
            delattr(dataset, keyword)

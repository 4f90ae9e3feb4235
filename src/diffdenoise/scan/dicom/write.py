"""Write a scan as the derived series of the one it came from."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import OutputError
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.dicom.derive import Derivation, derive
from diffdenoise.scan.dicom.frames import Frame
from diffdenoise.scan.dicom.padding import padding_of
from diffdenoise.scan.dicom.parse import parse, quiet_pydicom
from diffdenoise.scan.dicom.pixels import stored_values
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.pixels import to_stored
from diffdenoise.scan.scan import Scan

_SYNTAXES = {"jpeg-ls": "1.2.840.10008.1.2.4.80", "jpeg-2000": "1.2.840.10008.1.2.4.90"}
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
    frames = [frame for volume in series.layout.frames for frame in volume]
    images = _images(scan, len(frames))
    of_file: dict[int, list[tuple[Frame, NDArray[Any]]]] = {}
    for frame, image in zip(frames, images, strict=True):
        of_file.setdefault(frame.file, []).append((frame, image))
    run, now = secrets.token_hex(16), datetime.now()
    for number, changed in of_file.items():
        source = series.sources[number]
        with source.open() as stream:
            dataset = parse(stream, source.name, pixels=True)
        target = targets[source.name]
        with quiet_pydicom():
            stored = _changed(dataset, changed, source.name)
            derive(dataset, how, run, now)
            with atomic_path(target) as temporary:
                _save(dataset, stored, temporary, how, target)


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
    return {source.name: output / source.name for source in series.sources}


def _images(scan: Scan, count: int) -> NDArray[Any]:
    """The scan as (frames, rows, columns)."""
    data = scan.data
    if data.ndim == 2:
        return data[None]
    # (columns, rows, slices[, volumes]); volumes are the slowest.
    return data.T.reshape(count, data.shape[1], data.shape[0])


def _changed(dataset: Any, changed: list[tuple[Frame, NDArray[Any]]], name: str) -> NDArray[Any]:
    """A file's new stored values: slope undone, rounded, clipped, padding kept."""
    stored = stored_values(dataset, name).copy()
    padding = padding_of(dataset, stored)
    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    for frame, image in changed:
        real = (np.asarray(image, np.float64) - frame.intercept) / frame.slope
        values = to_stored(np.clip(real, low, high), stored.dtype)
        if padding is not None:
            outside = padding[frame.number]
            values = np.where(outside, stored[frame.number], _beside_padding(dataset, values, low, high))
        stored[frame.number] = values
    return stored


def _beside_padding(dataset: Any, values: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """Move values that would read as padding to the nearest one that doesn't."""
    wrong = padding_of(dataset, values)
    if wrong is None:
        return values
    marks = values[wrong]
    up, down = int(marks.max()) + 1, int(marks.min()) - 1
    return np.where(wrong, up if up <= high else max(down, low), values)


def _save(dataset: Any, stored: NDArray[Any], path: Path, how: Derivation, target: Path) -> None:
    """Write a data set with new pixel data to `path`; messages name `target`."""
    implicit, little = dataset.original_encoding
    if not little:
        _swap_words(dataset)
    _state_extremes(dataset, stored)
    # What is compressed, deflated or big-endian becomes explicit little-endian; the others stay as they are.
    syntax = str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", _IMPLICIT_LITTLE))
    plain = _IMPLICIT_LITTLE if implicit and little and syntax == _IMPLICIT_LITTLE else _EXPLICIT_LITTLE
    dataset.file_meta = _meta(dataset, plain)
    # The high bits of a value beyond its sign are its sign, or nothing: overlays in them are of old files.
    dataset.HighBit = int(dataset.BitsStored) - 1
    dataset.PixelData = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")).tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    pixels = dataset["PixelData"]
    pixels.VR = "OB" if plain == _EXPLICIT_LITTLE and stored.dtype.itemsize == 1 else "OW"
    pixels.is_undefined_length = False
    if how.compression != "none":
        _compress(dataset, how.compression, target)
    try:
        dataset.save_as(
            path,
            implicit_vr=plain == _IMPLICIT_LITTLE and how.compression == "none",
            little_endian=True,
            enforce_file_format=True,
        )
    except OSError:
        raise
    except Exception as error:  # pydicom raises all sorts for elements that it can't write
        raise OutputError(
            f"{target}: an element of the source can't be written; try --private drop, or convert to NIfTI"
        ) from error


def _compress(dataset: Any, compression: str, target: Path) -> None:
    try:
        dataset.compress(_SYNTAXES[compression], generate_instance_uid=False)
    except Exception as error:  # the encoders raise all sorts: images of a few pixels, 32 bits
        raise OutputError(
            f"{target}: can't be compressed as {compression} (a size or bits that it doesn't take); "
            "leave out --compress"
        ) from error


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
    for keyword, value in (
        ("SmallestImagePixelValue", stored.min()),
        ("LargestImagePixelValue", stored.max()),
    ):
        if keyword in dataset:
            element = dataset[keyword]
            element.VR = "SS" if int(dataset.PixelRepresentation) else "US"
            element.value = int(value)
    for keyword in ("SmallestPixelValueInSeries", "LargestPixelValueInSeries"):
        if keyword in dataset:
            delattr(dataset, keyword)

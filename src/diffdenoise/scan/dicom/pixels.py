"""Stored pixel values of a DICOM file, in any transfer syntax, and the same back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError
from diffdenoise.scan.child import UndecodableError, run_in_child
from diffdenoise.scan.dicom.codestream import check_codestreams
from diffdenoise.scan.dicom.decode import ELEMENTS, FUNCTION, TABLES
from diffdenoise.scan.dicom.jpeg_extended import TWELVE_BIT_SYNTAX, is_available
from diffdenoise.scan.dicom.parse import number_of, quiet_pydicom
from diffdenoise.scan.limits import most_unpacked, refuse_unpacked

#: What pixel data may unpack to without a setting: less than files of other formats, as real values and a
#: mask of padding are made of them.
_MOST_SHRINKAGE, _LEAST_BYTES = 50, 64 * 2**20
#: Pixel data that state more than this many times their size are damaged, whatever is set.
_NO_CODEC_SHRINKS = 4096


def stored_values(dataset: Any, name: str) -> NDArray[Any]:
    """Decode all frames of a data set.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With pixel data.
    name : str
        For messages.

    Returns
    -------
    array (frames, rows, columns)
        Stored values: bits beyond BitsStored are cut off, and signed values are extended.

    Raises
    ------
    FormatError
        If the pixel data are missing, too short, damaged, or in a syntax that no installed decoder reads.
    """
    values = raw_values(dataset, name)
    stored = int(dataset.BitsStored)
    high = number_of(dataset, "HighBit")
    high = stored - 1 if high is None else int(high)
    if not stored - 1 <= high < 8 * values.dtype.itemsize:
        raise FormatError(f"{name}: is damaged: its HighBit doesn't fit its BitsStored; get a complete copy")
    return _used_bits(values, stored, high)


def raw_values(dataset: Any, name: str) -> NDArray[Any]:
    """Decode all frames, (frames, rows, columns), with all bits as they are; raises as `stored_values`."""
    from pydicom.pixels.utils import pixel_array

    if "PixelData" not in dataset:
        raise FormatError(f"{name}: holds no pixel data; expected an image; leave it out")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    count = int(number_of(dataset, "NumberOfFrames") or 1)
    stated = rows * columns * count * int(dataset.BitsAllocated) // 8
    refuse_absurd(name, stated, len(dataset.PixelData))
    syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        raise FormatError(
            f"{name}: doesn't say how its pixels are compressed (no meta header); save it uncompressed"
        )
    if _is_compressed(syntax):
        return _decoded(dataset, name, str(syntax), stated).reshape(count, rows, columns)
    with quiet_pydicom():
        try:
            found = pixel_array(dataset, raw=True, correct_unused_bits=False)
        except MemoryError:
            raise
        except Exception:  # pydicom raises all sorts
            raise _undecodable(name) from None
    return np.asarray(found.reshape(count, rows, columns))


def _is_compressed(syntax: Any) -> bool:
    """Whether pixel data are encapsulated; of syntaxes that pydicom knows nothing of, yes."""
    try:
        return bool(syntax.is_encapsulated)
    except ValueError:
        return True


def _decoded(dataset: Any, name: str, syntax: str, stated: int) -> NDArray[Any]:
    """Decode encapsulated frames in another process."""
    facts: dict[str, Any] = {"syntax": syntax}
    with quiet_pydicom():
        _refuse_without_decoder(dataset, name, check_codestreams(dataset, name))
        facts |= {
            keyword: value if isinstance(value, str) else int(value)
            for keyword in ELEMENTS
            if (value := dataset.get(keyword)) is not None
        }
        facts |= {keyword: value.hex() for keyword in TABLES if (value := dataset.get(keyword))}
    try:
        _, found = run_in_child(FUNCTION, facts, dataset.PixelData, name=name, stated=stated)
    except UndecodableError:
        raise _undecodable(name) from None
    if found is None or found.nbytes != stated:
        raise _undecodable(name)
    return found


def refuse_absurd(name: str, stated: int, held: int) -> None:
    """Raise `FormatError` if a header states more bytes of pixels than the bytes that are held can be of.

    Called before any memory is asked for, so that a damaged header can't exhaust it.
    """
    if stated > max(_LEAST_BYTES, _NO_CODEC_SHRINKS * held):
        raise FormatError(f"{name}: is damaged: it states {stated:,} bytes of pixels, more than it can hold")
    refuse_unpacked(name, stated, most_unpacked(held, _LEAST_BYTES, _MOST_SHRINKAGE))


def _refuse_without_decoder(dataset: Any, name: str, bits: int) -> None:
    """Raise `FormatError` if no decoder is there for a transfer syntax."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax: Any = dataset.file_meta.TransferSyntaxUID
    try:
        able = bool(get_decoder(syntax).is_available)
    except (NotImplementedError, ValueError):  # what pydicom raises for a syntax that it doesn't know
        raise FormatError(f"{name}: its transfer syntax is not known; save it uncompressed") from None
    # pydicom's decoders of this syntax read 8 bits alone.
    if not able or (syntax == TWELVE_BIT_SYNTAX and bits > 8 and not is_available(str(syntax))):
        raise FormatError(
            f"{name}: is compressed as {syntax.name}, for which no decoder is installed; "
            "install one: pip install 'diffdenoise[gdcm]'"
        )


def _undecodable(name: str) -> FormatError:
    return FormatError(f"{name}: its pixel data are damaged or cut short; get a complete copy")


def _used_bits(values: NDArray[Any], stored: int, high: int) -> NDArray[Any]:
    """Cut off what isn't part of the value: overlays and dirt beyond the high bit (PS3.5, 8.1.1)."""
    allocated = values.dtype.itemsize * 8
    if stored >= allocated:
        return values
    left, right = allocated - 1 - high, allocated - stored
    # Shifts of signed integers keep the sign, which extends it.
    return np.asarray((values << left) >> right)

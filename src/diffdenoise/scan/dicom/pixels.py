"""Stored pixel values of a DICOM file, in any transfer syntax, and the same back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError
from diffdenoise.scan.dicom.jpeg_extended import is_available, register
from diffdenoise.scan.dicom.parse import number_of, quiet_pydicom
from diffdenoise.scan.quiet import quiet_c_code

#: Pixel data that state more than this many times their size, and this many bytes, are damaged or a bomb.
_MOST_SHRINKAGE, _LEAST_BOMB_BYTES = 4096, 64 * 2**20


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
    refuse_absurd(name, rows * columns * count * int(dataset.BitsAllocated) // 8, len(dataset.PixelData))
    register()
    with quiet_pydicom(), quiet_c_code():
        try:
            found = pixel_array(dataset, raw=True, correct_unused_bits=False)
        except MemoryError:
            raise
        except Exception as error:  # the decoders raise all sorts
            raise _undecodable(dataset, name, str(error)) from None
    return np.asarray(found.reshape(count, rows, columns))


def refuse_absurd(name: str, stated: int, held: int) -> None:
    """Raise `FormatError` if a header states more bytes of pixels than the bytes that are held can be of.

    Called before any memory is asked for, so that a damaged header can't exhaust it.
    """
    if stated > max(_LEAST_BOMB_BYTES, _MOST_SHRINKAGE * held):
        raise FormatError(f"{name}: is damaged: it states {stated:,} bytes of pixels, more than it can hold")


def _undecodable(dataset: Any, name: str, said: str) -> FormatError:
    """The error for pixel data that weren't decoded: no decoder, a kind that none reads, or damage."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax: Any = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    try:
        able = syntax is None or bool(get_decoder(syntax).is_available)
    except (NotImplementedError, ValueError):  # what pydicom raises for a syntax that it doesn't know
        return FormatError(f"{name}: its transfer syntax is not known; save it uncompressed")
    if not able or ("does not support" in said and not is_available(str(syntax))):
        return FormatError(
            f"{name}: is compressed as {syntax.name}, for which no decoder is installed; "
            "install one: pip install 'diffdenoise[gdcm]'"
        )
    return FormatError(f"{name}: its pixel data are damaged or cut short; get a complete copy")


def _used_bits(values: NDArray[Any], stored: int, high: int) -> NDArray[Any]:
    """Cut off what isn't part of the value: overlays and dirt beyond the high bit (PS3.5, 8.1.1)."""
    allocated = values.dtype.itemsize * 8
    if stored >= allocated:
        return values
    left, right = allocated - 1 - high, allocated - stored
    # Shifts of signed integers keep the sign, which extends it.
    return np.asarray((values << left) >> right)

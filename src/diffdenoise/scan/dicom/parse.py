"""Read DICOM data sets with pydicom, quietly, and turn whatever goes wrong into one error."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from diffdenoise.errors import FormatError
from diffdenoise.scan.quiet import quiet

#: Where the transfer syntax stands at the latest, and that of deflated data sets.
_META_BYTES, _DEFLATED = 2048, b"1.2.840.10008.1.2.1.99"
#: A deflated data set of more than this many times its size, and this many bytes, is taken for a bomb.
_MOST_SHRINKAGE, _LEAST_BOMB_BYTES, _PIECE = 200, 256 * 2**20, 2**24


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom, whose warnings quote values of the data set: they may identify a patient."""
    with quiet("pydicom"):
        yield


def parse(stream: BinaryIO, name: str, *, pixels: bool = False) -> Any:
    """Read a data set.

    Parameters
    ----------
    stream : binary file
        Of a file that `is_dicom` recognised.
    name : str
        For messages.
    pixels : bool
        Whether to read the pixel data too, and what follows it.

    Returns
    -------
    pydicom.FileDataset

    Raises
    ------
    FormatError
        If it is damaged.
    """
    import pydicom

    with quiet_pydicom():
        try:
            _refuse_deflate_bomb(stream, name)
            # force: files from before PS3.10 have no preamble.
            return pydicom.dcmread(stream, stop_before_pixels=not pixels, force=True)
        except FormatError:
            raise
        except Exception:  # a damaged file makes pydicom raise all sorts
            raise FormatError(f"{name}: is a damaged DICOM file; get a complete copy") from None


def _refuse_deflate_bomb(stream: BinaryIO, name: str) -> None:
    """Raise `FormatError` if a deflated data set (PS3.5, A.5) unpacks to far more than an image would.

    pydicom unpacks it whole before it looks at anything.
    """
    head = stream.read(_META_BYTES)
    stream.seek(0)
    if head[128:132] != b"DICM" or _DEFLATED not in head:
        return
    # FileMetaInformationGroupLength is the first element (PS3.10, 7.1): 8 bytes of tag, VR and length.
    end = 144 + int.from_bytes(head[140:144], "little")
    stream.seek(end)
    packed = stream.read()
    stream.seek(0)
    limit = max(_LEAST_BOMB_BYTES, _MOST_SHRINKAGE * len(packed))
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    while packed and size <= limit:
        size += len(unpack.decompress(packed, _PIECE))
        packed = unpack.unconsumed_tail
    if size > limit:
        raise FormatError(
            f"{name}: unpacks to more than {limit:,} bytes; it may be a bomb; save it uncompressed"
        )


def value_of(dataset: Any, keyword: str, default: Any = None) -> Any:
    """Return an element's value; the default where it is missing, empty or not what its VR says."""
    try:
        value = dataset.get(keyword)
    except Exception:  # values are decoded when asked for, and damaged ones raise all sorts
        return default
    return default if value is None or value == "" or value == [] else value


def numbers_of(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite numbers of an element; None where they aren't there."""
    value = value_of(dataset, keyword)
    if value is None:
        return None
    try:
        found = tuple(float(each) for each in ([value] if isinstance(value, (str, int, float)) else value))
    except (TypeError, ValueError):
        return None
    finite = all(abs(each) < float("inf") for each in found)
    return found if len(found) == count and finite else None


def number_of(dataset: Any, keyword: str) -> float | None:
    """Return one finite number of an element; None where it isn't there."""
    found = numbers_of(dataset, keyword, 1)
    return None if found is None else found[0]


def words_of(dataset: Any, keyword: str) -> tuple[str, ...]:
    """Return an element's values as words, upper case and stripped: ImageType, Modality."""
    value = value_of(dataset, keyword, ())
    values = [value] if isinstance(value, str) else value
    try:
        return tuple(str(each).strip().upper() for each in values)
    except TypeError:
        return ()

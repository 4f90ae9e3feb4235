"""Read DICOM data sets with pydicom, quietly, and turn whatever goes wrong into one error."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from diffdenoise.errors import DiffDenoiseError, FormatError
from diffdenoise.scan.limits import most_unpacked, refuse_unpacked
from diffdenoise.scan.quiet import quiet

#: What a deflated data set may unpack to without a setting: pydicom holds it several times.
_LEAST_BYTES, _MOST_SHRINKAGE, _PIECE = 64 * 2**20, 50, 2**20


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
            # force: files from before PS3.10 have no preamble.
            guarded: Any = _Guarded(stream, name)
            return pydicom.dcmread(guarded, stop_before_pixels=not pixels, force=True)
        except DiffDenoiseError:
            raise
        except Exception:  # a damaged file makes pydicom raise all sorts
            raise FormatError(f"{name}: is a damaged DICOM file; get a complete copy") from None


class _Guarded:
    """A stream whose rest is looked at before it is given whole.

    That is what pydicom asks for where a data set is deflated (PS3.5, A.5), and nowhere else: it unpacks it
    all before it looks at anything. Where that begins is so decided by pydicom alone.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        if size is None or size < 0:
            _refuse_deflate_bomb(found, self._name)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _refuse_deflate_bomb(packed: bytes, name: str) -> None:
    """Raise `FormatError` if deflated bytes unpack to far more than an image would; others are let pass."""
    most = most_unpacked(len(packed), _LEAST_BYTES, _MOST_SHRINKAGE)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    while packed and not unpack.eof:
        try:
            size += len(unpack.decompress(packed, _PIECE))
        except zlib.error:
            # pydicom says so too.
            return
        refuse_unpacked(name, size, most)
        packed = unpack.unconsumed_tail


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


def first_of(item: Any, keyword: str) -> Any:
    """Return the first item of a sequence; None where there is none, or no data set to look in."""
    found = None if item is None else value_of(item, keyword)
    return found[0] if found is not None and not isinstance(found, str) and len(found) else None

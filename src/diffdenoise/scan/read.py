"""Read one image: a file of any format, a DICOM series, an array."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import DiffDenoiseError, FormatError, InputError, IntensityError
from diffdenoise.scan.dicom.read import read as read_dicom
from diffdenoise.scan.dicom.sources import HEAD_BYTES, is_dicom, is_zip, sources_of
from diffdenoise.scan.folder import files_below, is_store
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.dicom_file import FORMAT as DICOM
from diffdenoise.scan.formats.volumes import header_of_pair
from diffdenoise.scan.pixels import native
from diffdenoise.scan.registry import FORMATS, format_of, suffix_of
from diffdenoise.scan.scan import Scan

#: Names in a message.
_MOST_LISTED = 4
#: Enough to recognise every format: a NIfTI-2 header has 540 bytes.
_HEAD_BYTES = 544


def read_scan(path: str | Path, name: str | None = None) -> Scan:
    """Read one image. Whether it can be denoised is for `check_scan` to say.

    Parameters
    ----------
    path : str or path
        A file (or Zarr store) of any format in the registry; or a folder, DICOMDIR or zip that holds one
        DICOM series.
    name : str, optional
        Name for messages and outputs; by default the file's name without its folder.

    Raises
    ------
    InputError
        If the file is missing or can't be read.
    FormatError
        If it is of no known format, damaged, or of another format than its suffix says.
    ShapeError, IntensityError
        If the format can hold the content but a scan can't (colour, complex values, five axes).
    """
    path = Path(path)
    try:
        path = header_of_pair(path)
        if is_store(path):
            return _named(_read_as(format_of(path), path), path, name)
        if path.is_dir():
            if any(True for _ in sources_of(path)):
                _refuse_mixed(path)
                return _named(read_dicom(path), path, name)
            raise InputError(f"{path}: is a folder; expected an image file; name one, or give all its files")
        if not path.exists():
            raise InputError(f"{path}: not found; expected an image file; check the name")
        if not path.is_file():
            raise InputError(f"{path}: is not a regular file; expected an image file")
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    fmt = DICOM if is_dicom(head) or _is_zip_of_files(path, head) else format_of(path)
    if not head:
        raise FormatError(f"{path}: is empty; expected a {fmt.title} image; get a complete copy")
    if fmt is not DICOM and not fmt.recognise(head):
        held = next((f"holds {other.title} data" for other in FORMATS if other.recognise(head)), None)
        raise FormatError(
            f"{path}: {held or 'is not an image or is damaged'}; expected {fmt.title} from its suffix; "
            + ("rename it" if held else "get a complete copy or convert it")
        )
    return _named(_read_as(fmt, path), path, name)


def _refuse_mixed(folder: Path) -> None:
    """Raise `InputError` if a folder holds images beside its DICOM: which one is meant, nobody said."""
    others = [
        path for path in files_below(folder) if suffix_of(path) is not None and not _is_dicom_file(path)
    ]
    if others:
        names = [path.relative_to(folder).as_posix() for path in others[:_MOST_LISTED]]
        more = [f"{len(others) - _MOST_LISTED} more"] if len(others) > _MOST_LISTED else []
        raise InputError(
            f"{folder}: holds DICOM and {len(others)} other image{'s' if len(others) > 1 else ''} "
            f"({', '.join(names + more)}); expected one image; name it"
        )


def _is_dicom_file(path: Path) -> bool:
    if is_store(path):
        return False
    with path.open("rb") as stream:
        return is_dicom(stream.read(HEAD_BYTES))


def _read_as(fmt: Format, path: Path) -> Scan:
    """Read a file or store of a format; whatever goes wrong becomes one of our errors."""
    try:
        return fmt.read(path)
    except DiffDenoiseError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: is too large for this machine's memory; split it") from error
    except Exception as error:
        # The libraries raise all sorts on damaged files; only the system's own errors have a number.
        # EINVAL is a damaged offset that a library tried to go to.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise unreadable(path, error) from error
        raise FormatError(
            f"{path}: is damaged or of a kind that is not read; expected a {fmt.title} image; "
            "get a complete copy or convert it"
        ) from error


def _named(scan: Scan, path: Path, name: str | None) -> Scan:
    return replace(scan, name=name if name is not None else path.name)


def _is_zip_of_files(path: Path, head: bytes) -> bool:
    """Whether a file is a zip by name too: .npz files are zips of another kind."""
    return is_zip(head) and path.suffix.lower() == ".zip"


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """Return the error for a file that can't be opened, or whose name can be no file's."""
    if not isinstance(error, OSError):
        return InputError(f"{path.name!r}: can be no file's name; expected an image file; check the name")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(
            f"{str(path)[:60]}...: is too long a name for this system; give the file a shorter one"
        )
    if error.errno == errno.ELOOP:
        return InputError(f"{path}: is a link that leads to itself; name the file that it was to lead to")
    return InputError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk")


def from_array(array: Any, name: str = "array") -> Scan:
    """Return the scan that a NumPy array holds.

    Parameters
    ----------
    array : array_like, (h, w), (x, y, z) or (x, y, z, t)
        Real numbers.
    name : str
        For messages.

    Raises
    ------
    IntensityError
        If it is a masked array: masked values are not known.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise IntensityError(f"{name}: is a masked array; expected plain values; fill it first")
    values = np.asarray(array)
    return Scan(data=native(values), format="array", stored_dtype=values.dtype, name=name)

"""From what the user names (files, globs, folders, arrays) to scans."""

from __future__ import annotations

import errno
import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import DiffDenoiseError, FormatError, InputError, IntensityError
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.pixels import native
from diffdenoise.scan.registry import DICOM_MESSAGE, FORMATS, format_of, suffix_of, suffixes
from diffdenoise.scan.scan import Scan

#: Enough to recognise every format: a NIfTI-2 header has 540 bytes.
_HEAD_BYTES = 544


def read_scan(path: str | Path, name: str | None = None) -> Scan:
    """Read one image file. Whether it can be denoised is for `check_scan` to say.

    Parameters
    ----------
    path : str or path
        A file of any format in the registry.
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
        if path.is_dir():
            raise InputError(f"{path}: is a folder; expected an image file; name one, or give all its files")
        if not path.exists():
            raise InputError(f"{path}: not found; expected an image file; check the name")
        if not path.is_file():
            raise InputError(f"{path}: is not a regular file; expected an image file")
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    if head[128:132] == b"DICM":
        raise FormatError(f"{path}: {DICOM_MESSAGE}")
    fmt = format_of(path)
    if not head:
        raise FormatError(f"{path}: is empty; expected a {fmt.title} image; get a complete copy")
    if not fmt.recognise(head):
        held = next((f"holds {other.title} data" for other in FORMATS if other.recognise(head)), None)
        raise FormatError(
            f"{path}: {held or 'is not an image or is damaged'}; expected {fmt.title} from its suffix; "
            + ("rename it" if held else "get a complete copy or convert it")
        )
    try:
        scan = fmt.read(path)
    except DiffDenoiseError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: is too large for this machine's memory; split it") from error
    except Exception as error:
        # The libraries raise all sorts on damaged files; only the system's own errors have a number.
        # EINVAL is a damaged offset that a library tried to go to.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise _unreadable(path, error) from error
        raise FormatError(
            f"{path}: is damaged or of a kind that is not read; expected a {fmt.title} image; "
            "get a complete copy or convert it"
        ) from error
    return replace(scan, name=name if name is not None else path.name)


def _unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a file that is there but can't be opened."""
    return InputError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk")


def find_files(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the image files that files, globs and folders stand for, each once.

    Parameters
    ----------
    inputs : sequence of str or path
        Files are taken as they are; globs and folders (searched through all levels, sorted so that
        slice_2 comes before slice_10) leave out hidden files and files of unknown suffix.

    Raises
    ------
    InputError
        If something isn't there or holds no image.
    """
    return [path for path, _ in _find(inputs)]


def read_scans(inputs: Sequence[str | Path]) -> list[Scan]:
    """Read and check all scans that files, globs and folders stand for.

    Parameters
    ----------
    inputs : sequence of str or path
        As in `find_files`. Files from a folder are named relative to it.

    Raises
    ------
    InputError
        If something isn't there, can't be read or can't be denoised; see `read_scan`, `check_scan`.
    """
    scans = []
    for path, name in _find(inputs):
        scan = read_scan(path, name)
        check_scan(scan)
        scans.append(scan)
    return scans


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


def _find(inputs: Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Return (path, name) of each file, in order, without repeats."""
    found: dict[Path, tuple[Path, str]] = {}
    for given in inputs:
        for path, name in _expand(given):
            found.setdefault(path.resolve(), (path, name))
    if not found:
        raise InputError("no input given; expected files, globs or folders")
    return list(found.values())


def _expand(given: str | Path) -> Iterator[tuple[Path, str]]:
    """Yield (path, name) for one file, folder or glob."""
    path = Path(given)
    try:
        if path.is_dir():
            yield from _images_in(path)
            return
        if path.exists() or not glob.has_magic(str(given)):
            yield path, path.name
            return
    except OSError as error:
        raise _unreadable(path, error) from error
    names = glob.glob(str(given), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    matches = sorted((Path(name) for name in names), key=_natural)
    images = [match for match in matches if match.is_file() and suffix_of(match) is not None]
    if not images:
        found = f"matches {len(matches)} names but no image" if matches else "matches nothing"
        raise InputError(f"{given}: {found}; expected files ending in {suffixes()}; check the pattern")
    for match in images:
        yield match, match.name


def _images_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield (path, name relative to the folder) of all images in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    inside = {path: path.relative_to(folder) for path in files}
    seen = [path for path in files if not any(part.startswith(".") for part in inside[path].parts)]
    images = sorted((path for path in seen if suffix_of(path) is not None), key=_natural)
    if not images:
        hint = DICOM_MESSAGE if any(path.suffix.lower() == ".dcm" for path in seen) else "check the folder"
        raise InputError(f"{folder}: holds no image; expected files ending in {suffixes()}; {hint}")
    for path in images:
        yield path, inside[path].as_posix()


def _natural(path: Path) -> list[tuple[list[str | int], str]]:
    """Sorting key in which numbers inside names count as numbers."""
    return [
        ([int(piece) if piece.isdecimal() else piece.casefold() for piece in re.split(r"(\d+)", part)], part)
        for part in path.parts
    ]

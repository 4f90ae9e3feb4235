"""What lies in a folder: its files, and folders that are an image each (Zarr)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from diffdenoise.errors import DiffDenoiseError, OutputError, option

#: Ending of folders that hold one image; what is inside is no image by itself.
STORE = ".zarr"


#: Bytes of a name at most where the disk doesn't say: of most file systems.
_NAME_MAX = 255


def check_name(path: Path, kind: type[DiffDenoiseError] = OutputError) -> None:
    """Raise an error for a path that no file can have on its disk: a name too long, or with a null byte.

    Parameters
    ----------
    path : path
        It needn't exist.
    kind : type
        Of the error.

    Raises
    ------
    DiffDenoiseError
        Of this kind.
    """
    shown = Path(*(_short(part) for part in path.parts[-8:]))
    if "\0" in str(path):
        raise kind(f"{shown}: the name holds a null byte; choose another name")
    try:
        sizes = [len(os.fsencode(part)) for part in path.parts]
        whole = len(os.fsencode(path.absolute()))
    except UnicodeEncodeError:
        text = str(path).encode("ascii", "replace").decode("ascii")
        raise kind(f"{text}: the name holds characters that no file's can; choose another name") from None
    # The first parent that is there tells for its disk; lexists is False for a name that is too long.
    folder = next((each for each in path.absolute().parents if os.path.lexists(each)), Path())
    most, most_in_all = _limit(folder, "PC_NAME_MAX"), _limit(folder, "PC_PATH_MAX")
    longest = max(sizes, default=0)
    if most is not None and longest > most:
        raise kind(
            f"{shown}: its name is too long for this disk: {longest} bytes, at most {most}; "
            "choose a shorter one"
        )
    # The null byte at its end counts.
    if most_in_all is not None and whole >= most_in_all:
        raise kind(
            f"{shown}: its path is too long for this disk: {whole} bytes, at most {most_in_all - 1}; "
            "choose a shorter one"
        )


def _limit(folder: Path, name: str) -> int | None:
    """Bytes that the file system of a folder allows; None for no limit."""
    try:
        most = os.pathconf(folder, name)
    except (AttributeError, OSError, ValueError):
        return _NAME_MAX if name == "PC_NAME_MAX" else None
    return most if most > 0 else None


def _short(part: str) -> str:
    """A part of a path, for messages."""
    part = part.replace("\0", "?")
    return part if len(part) <= 80 else f"{part[:40]}...{part[-12:]}"


def is_store(path: Path) -> bool:
    """Whether a path is a folder that holds one image."""
    return path.name.lower().endswith(STORE) and path.is_dir()


def check_outside_stores(path: Path) -> None:
    """Raise `OutputError` for a path that lies inside of a store, or that no file can have."""
    check_name(path)
    store = next((each for each in path.absolute().parents if is_store(each)), None)
    if store is not None:
        raise OutputError(f"{path}: lies inside the image {store.name}; choose a place outside")


def check_new_file(path: Path, suffixes: Sequence[str], what: str, overwrite: bool) -> None:
    """Raise an error if a file cannot be written at `path`; meant to be called before a long run.

    Parameters
    ----------
    path : path
        File to write later; missing folders are made then.
    suffixes : sequence of str
        Endings that it may have, the usual one first.
    what : str
        What is to be written: "a page".
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the suffix is another, the folder can't be written, or the file exists.
    """
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"{path}: found suffix '{path.suffix}', expected {suffixes[0]} for {what}")
    check_outside_stores(path)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; expected a file name; choose another name")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path}: exists already; choose another name or use {option('overwrite')}")
    folder = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: {folder} is not a folder to write in; choose another place")


def files_below(folder: Path) -> list[Path]:
    """Return all files and stores below a folder, sorted.

    Hidden ones are left out. Links to folders are not followed, so that none can loop.
    """
    found = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        found += [here / name for name in folders if not name.startswith(".") and is_store(here / name)]
        folders[:] = [name for name in folders if not (name.startswith(".") or is_store(here / name))]
        found += [here / name for name in files if not name.startswith(".") and (here / name).is_file()]
    return sorted(found)

"""Files, and folders that are one image, which appear whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffdenoise.errors import DiskFullError, InputError, OutputError
from diffdenoise.owner import State, state_of_tag, this_process
from diffdenoise.plain_files import is_about_another
from diffdenoise.scan.folder import check_name

#: AT_FDCWD and RENAME_EXCHANGE of renameat2 (Linux 3.15, fcntl.h).
_HERE, _EXCHANGE = -100, 2
#: Names of what is being written: the process's tag, and a random part. What is moved aside ends in ".old".
_PARTIAL = re.compile(r"\.partial-([0-9a-f]{8}-[0-9a-f]{1,16}-[0-9a-f]{8})-[0-9a-f]{8}(\..*)?", re.DOTALL)
_OLD = ".old"


@contextmanager
def atomic_path(path: Path, suffix: str | None = None) -> Iterator[Path]:
    """Give a temporary name to write to; when the block ends well, it becomes `path`.

    Parameters
    ----------
    path : path
        Where the file (or folder) shall be in the end; what is there is replaced in one step (a
        folder in two, but on Linux). Missing parent folders are made.
    suffix : str, optional
        Ending of the temporary name, for writers that go by it; by default that of `path`.

    Yields
    ------
    path
        A hidden name in the same folder, gone afterwards whatever happens in the block, Ctrl-C
        included.

    Raises
    ------
    OutputError
        If the system refuses to write: disk full, no permission.
    InputError
        If it refuses to read another file in the block.

    Notes
    -----
    What processes that were killed left in the folder is deleted first.
    """
    delete_leftovers(path.parent)
    ending = path.suffix if suffix is None else suffix
    check_name(path)
    temporary = path.with_name(f".partial-{this_process().tag()}-{secrets.token_hex(4)}{ending}")
    made: list[Path] = []
    try:
        made = make_folders(path.parent)
        yield temporary
        _take_place(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            _delete(temporary)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError) and is_about_another(error, temporary, path):
            raise InputError(
                f"{error.filename}: cannot be read ({error.strerror}); nothing was written; check its "
                "permissions and the disk"
            ) from error
        if isinstance(error, OSError):
            raise _refused(path, error) from error
        raise


def partial_state(name: str) -> State | None:
    """Whether the process that writes, or wrote, a file or folder of this name runs; None for other names."""
    found = _PARTIAL.fullmatch(name)
    return None if found is None else state_of_tag(found[1])


def leftovers_in(names: Iterable[str]) -> list[str]:
    """Return which of the names in one folder are of what processes that are gone were writing.

    A replaced folder that was moved aside, and the one that was to take its place, are not among them as long
    as both are there: the process was stopped between the two steps, and nothing else holds the old image.
    """
    given = set(names)
    gone = [name for name in sorted(given) if partial_state(name) == "gone"]
    return [
        name
        for name in gone
        if f"{name}{_OLD}" not in given and name.removesuffix(_OLD) not in given - {name}
    ]


def delete_leftovers(folder: Path) -> list[Path]:
    """Delete what processes that are gone were writing to a folder; return what that was."""
    deleted = []
    with suppress(OSError):
        for name in leftovers_in(entry.name for entry in os.scandir(folder)):
            with suppress(OSError):
                _delete(folder / name)
                deleted.append(folder / name)
    return deleted


def _take_place(temporary: Path, path: Path) -> None:
    """Wait until a file or folder is on the disk, and give it its name."""
    if temporary.is_dir():
        for each in temporary.rglob("*"):
            _flush(each)
    _flush(temporary)
    if temporary.is_dir() and os.path.lexists(path):
        old = temporary if _swap(temporary, path) else _move_aside(temporary, path)
        # The result is in its place; what is left of the old one does no harm.
        with suppress(OSError):
            _delete(old)
    else:
        temporary.replace(path)
    _flush(path.parent)


def _swap(first: Path, second: Path) -> bool:
    """Exchange two names in one step, as Linux can; False where it isn't possible."""
    try:
        exchange = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(exchange(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0)


def _move_aside(temporary: Path, path: Path) -> Path:
    """Give a folder its name in two steps, the old one another; return that."""
    old = temporary.with_name(f"{temporary.name}{_OLD}")
    try:
        path.replace(old)
        temporary.replace(path)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(path):
            old.replace(path)
        raise
    return old


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_folders(folder: Path) -> list[Path]:
    """Make the folder and its missing parents; return those made, outermost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    made: list[Path] = []
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        made.append(each)
    return made


def _flush(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, error: OSError) -> OutputError:
    """Return the user's error for what the system said."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"{path}: the disk is full; nothing was written; free some space or write elsewhere"
        )
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(
            f"{path}: its name is too long for this disk; nothing was written; choose a shorter one"
        )
    reason = error.strerror or "the write stopped short; the disk may be full"
    return OutputError(f"{path}: cannot be written ({reason}); nothing was written; choose another place")

"""What runs that were killed left behind: half-written files, locks, and work folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffdenoise.lock import WORK_LOCK, WORK_STATE, owner_of
from diffdenoise.plain_files import NotPlainError, parse_json, read_plain
from diffdenoise.scan.atomic import leftovers_in, partial_state
from diffdenoise.scan.folder import is_store

#: Name of the folder, inside a model folder, in which a run keeps its state.
_WORK = "work"
_RECORD = "record.json"
#: Bytes of a run's state that are looked at; see `Workspace`.
_MOST_STATE_BYTES = 2**28
#: What a run puts into a folder of its own, beside the work folder.
_RESULTS = {"README.md", _RECORD, "settings.yaml"}


@dataclass(frozen=True)
class Leftover:
    """Something that a run left behind.

    Attributes
    ----------
    path : path
        File or folder.
    kind : str
        "half-written file", "lock" or "stopped run".
    kept : str or None
        Why it must stay; None if nobody needs it.
    """

    path: Path
    kind: str
    kept: str | None = None

    @property
    def bytes(self) -> int:
        """Size on disk, of all files in a folder."""
        if self.path.is_dir() and not self.path.is_symlink():
            return sum(each.lstat().st_size for each in self.path.rglob("*") if not each.is_dir())
        return self.path.lstat().st_size

    def delete(self) -> None:
        """Delete it; raises `OSError` if the system refuses."""
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


def find_leftovers(folder: Path) -> Iterator[Leftover]:
    """Yield what runs left below a folder, at all levels; links to folders are not followed.

    Parameters
    ----------
    folder : path
        Where to look.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        names = [*folders, *files]
        gone = set(leftovers_in(names))
        for name in sorted(names):
            if name in gone:
                yield Leftover(here / name, "half-written file")
            elif (kept := _why_kept(name)) is not None:
                yield Leftover(here / name, "half-written file", kept)
        for name in sorted(files):
            if name.startswith(".") and name.endswith(".lock"):
                yield from _lock(here / name)
        if _WORK in folders and _is_work(here / _WORK):
            folders.remove(_WORK)
            found = _stopped(here)
            yield found
            if found.path == here:
                folders.clear()
        folders[:] = [
            name
            for name in folders
            if partial_state(name) is None and not is_store(here / name) and not (here / name).is_symlink()
        ]


def _why_kept(name: str) -> str | None:
    """Why a half-written file can't be deleted; None for what is none."""
    return {
        "running": "its run goes on",
        "elsewhere": "its run is of another computer, and may go on there",
        "gone": "holds an image that was being replaced, or its replacement",
    }.get(partial_state(name) or "")


def _lock(path: Path) -> Iterator[Leftover]:
    """A lock file, if it is ours."""
    try:
        owner = owner_of(path)
    except FileNotFoundError:
        return
    if owner is not None:
        yield Leftover(path, "lock", _reason(owner.state, owner.pid))


def _is_work(folder: Path) -> bool:
    """Whether a folder is a run's state, by what it holds."""
    if folder.is_symlink() or not (folder / WORK_STATE).is_file():
        return False
    try:
        state = parse_json(read_plain(folder / WORK_STATE, _MOST_STATE_BYTES))
    except (OSError, NotPlainError, ValueError):
        return False
    return isinstance(state, dict) and {"version", "fingerprint", "settings", "stages"} <= state.keys()


def _stopped(folder: Path) -> Leftover:
    """The run whose state lies in a folder: all of it, or only the state of one with a finished model."""
    work = folder / _WORK
    others = {entry.name for entry in folder.iterdir() if entry.suffix != ".safetensors"} - {_WORK}
    beside_output = ".work" in folder.suffixes or folder.name.rpartition("-")[0].endswith(".work")
    whole = (beside_output or _RECORD not in others) and others <= _RESULTS
    path = folder if whole else work
    try:
        owner = owner_of(work / WORK_LOCK)
    except FileNotFoundError:
        return Leftover(path, "stopped run")
    if owner is None:
        return Leftover(path, "stopped run", "its lock can't be read")
    return Leftover(path, "stopped run", _reason(owner.state, owner.pid))


def _reason(state: str, pid: int) -> str | None:
    if state == "running":
        return f"its run goes on (process {pid})"
    return "its run is of another computer, and may go on there" if state == "elsewhere" else None

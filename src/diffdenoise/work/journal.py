"""What a run into a folder has done, so that the next one goes on after it.

A line of JSON for each scan that is done or failed, put at the file's end after its results are in place. A
line that a killed run left unfinished counts for nothing. A scan is known again by a key: the bytes that it
was read from, and all that decides its result.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diffdenoise._version import __version__
from diffdenoise.errors import DiskFullError, OutputError
from diffdenoise.plain_files import NotPlainError, read_plain
from diffdenoise.scan.atomic import make_folders
from diffdenoise.work.jobs import Job

#: The journal's name in the folder that results go to.
JOURNAL = ".diffdenoise-journal.jsonl"
#: Largest journal that is read: some hundred bytes a scan, and for a series some more for each file.
_MOST_BYTES = 2**28
#: Bytes of an input that are read at a time.
_CHUNK = 2**20


class Written(BaseModel):
    """A file of a result, as it was when it was written.

    Attributes
    ----------
    path : str
        Relative to the journal's folder.
    bytes, mtime_ns : int
        Size, and time of the last change in nanoseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    bytes: Annotated[int, Field(ge=0)]
    mtime_ns: int


class Entry(BaseModel):
    """What became of one scan.

    Attributes
    ----------
    scan : str
        Its result's name, relative to the journal's folder.
    key : str
        See `key_of`.
    state : {"done", "failed"}
        What became of it.
    written : tuple of Written
        The result's files.
    reason : str
        The error's message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scan: Annotated[str, Field(min_length=1, max_length=4096)]
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    state: Literal["done", "failed"]
    written: tuple[Written, ...] = ()
    reason: Annotated[str, Field(max_length=4096)] = ""


@dataclass(frozen=True)
class Journal:
    """The journal of one output folder.

    Attributes
    ----------
    folder : path
        Where results go.
    entries : dict of str to Entry
        The last of each scan.
    """

    folder: Path
    entries: dict[str, Entry]

    @classmethod
    def read(cls, folder: Path) -> Journal:
        """Read a folder's journal; an empty one where there is none.

        Raises
        ------
        OutputError
            If it is no regular file, or too large.
        """
        path = folder / JOURNAL
        try:
            content = read_plain(path, _MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return cls(folder, {})
        except NotPlainError as error:
            raise OutputError(f"{path}: {error}; delete it, and begin anew") from error
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be read ({error.strerror}); delete it, and begin anew"
            ) from error
        entries = {}
        for line in content.splitlines():
            try:
                entry = Entry.model_validate_json(line)
            except ValidationError:
                # Half a line of a killed run, or one of another version: the scan is done again.
                continue
            entries[entry.scan] = entry
        return cls(folder, entries)

    def wrote(self, job: Job) -> bool:
        """Whether all there is of a result was written by an earlier run, and nobody has changed it since."""
        entry = self.entries.get(self._name(job))
        there = [path for path in _files(job) if path.exists()]
        known = {} if entry is None else {self.folder / each.path: each for each in entry.written}
        return bool(there) and all(path in known and _is_as(path, known[path]) for path in there)

    def is_done(self, job: Job, key: str) -> bool:
        """Whether a scan with this key is done, and its result lies there as it was written."""
        entry = self.entries.get(self._name(job))
        return (
            entry is not None
            and (entry.state, entry.key) == ("done", key)
            and all(_is_as(self.folder / each.path, each) for each in entry.written)
        )

    def knows(self, job: Job) -> bool:
        """Whether anything is noted of a scan."""
        return self._name(job) in self.entries

    def failure(self, job: Job, key: str) -> str | None:
        """Return why a scan with this key failed before; None if it didn't."""
        entry = self.entries.get(self._name(job))
        return entry.reason if entry is not None and (entry.state, entry.key) == ("failed", key) else None

    def note_done(self, job: Job, key: str) -> None:
        """Note that a scan's result lies there.

        Raises
        ------
        OutputError
            If the journal can't be written.
        """
        written = []
        for path in _files(job):
            found = path.stat()
            size = sum(each.stat().st_size for each in path.rglob("*")) if path.is_dir() else found.st_size
            relative = os.path.relpath(path, self.folder)
            written.append(Written(path=relative, bytes=size, mtime_ns=found.st_mtime_ns))
        self._add(Entry(scan=self._name(job), key=key, state="done", written=tuple(written)))

    def note_failed(self, job: Job, key: str, reason: str) -> None:
        """Note why there is no result of a scan; raises as `note_done` does."""
        self._add(Entry(scan=self._name(job), key=key, state="failed", reason=reason[:4096]))

    def _add(self, entry: Entry) -> None:
        path = self.folder / JOURNAL
        try:
            make_folders(self.folder)
            with path.open("ab") as stream:
                # After a line break of its own, as what a killed run left may lack one.
                stream.write(b"\n" + entry.model_dump_json().encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            kind = DiskFullError if error.errno == errno.ENOSPC else OutputError
            raise kind(
                f"{path}: cannot be written ({error.strerror}); make room, or name another output"
            ) from error
        self.entries[entry.scan] = entry

    def _name(self, job: Job) -> str:
        """A scan's first file, or folder, relative to the journal."""
        return os.path.relpath(_files(job)[0], self.folder)


def _files(job: Job) -> list[Path]:
    return list(job.files.values()) or [job.target]


def _is_as(path: Path, written: Written) -> bool:
    """Whether a file is as it was when it was written."""
    try:
        found = path.stat()
    except OSError:
        return False
    if path.is_dir():
        size = sum(each.stat().st_size for each in path.rglob("*"))
        return size == written.bytes
    return (found.st_size, found.st_mtime_ns) == (written.bytes, written.mtime_ns)


def key_of(jobs: Iterable[Job], how: Sequence[Any]) -> str:
    """Return the key of scans that are learned from together, or of one for a trained model.

    Parameters
    ----------
    jobs : iterable of Job
        The scans: the bytes of their files count, not the files' names.
    how : sequence
        Settings, weights and the like, as JSON can hold them; the package's version is added.

    Raises
    ------
    OSError
        If an input can't be read.
    """
    digest = hashlib.sha256(json.dumps([__version__, *how], sort_keys=True).encode())
    for job in jobs:
        for path in job.found.paths:
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in files:
                if file.is_file():
                    digest.update(_digest(file))
        if job.found.series is not None:
            # Several series can be in the same files.
            header, part = job.found.series.header, job.found.series.part
            digest.update(repr((header.series_uid, header.kind, part)).encode())
    return digest.hexdigest()


def _digest(path: Path) -> bytes:
    own = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            own.update(chunk)
    return own.digest()

"""What a run into a folder has done, so that the next one goes on after it.

Lines of JSON, put at the file's end: that a scan's results are about to be written, and, once they are in
place, that it is done; or that it failed. A line that a killed run left unfinished counts for nothing. A scan
is known again by a key: the bytes that it was read from, and all that decides its result.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

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
#: Bytes of an input that are read at a time, and of a header that may name other files.
_CHUNK, _HEAD = 2**20, 2**16
#: Headers that are text and may name the files that voxels are in.
_TEXT_HEADERS = (".mhd", ".nhdr", ".par", ".head")
#: What is left as it is in a name.
_PLAIN = " /!#$&'()*+,;=@[]^_`{}~"


class Written(BaseModel):
    """A file of a result, as it was when it was written.

    Attributes
    ----------
    path : str
        Relative to the journal's folder, what isn't ASCII escaped as in an address.
    bytes, mtime_ns : int
        Size, and time of the last change in nanoseconds; of all files in a folder.
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
    state : {"begun", "done", "failed"}
        What became of it; begun: a killed run may have written some of it.
    written : tuple of Written
        The result's files, and what was written beside it; of a scan that failed, those of an earlier run.
    reason : str
        The error's message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scan: Annotated[str, Field(min_length=1, max_length=4096)]
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    state: Literal["begun", "done", "failed"]
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
        if entry is None:
            return False
        there = [path for path in _files(job) if path.exists()]
        known = {each.path: each for each in entry.written}
        # Of what a killed run had begun to write, nothing was there before: that was asked for first.
        return entry.state == "begun" or all(
            (told := known.get(self._told(path))) is not None and _is_as(path, told) for path in there
        )

    def is_done(self, job: Job, key: str, extras: Sequence[Path] = ()) -> bool:
        """Whether a scan with this key is done, and all of its result lies there as it was written.

        Parameters
        ----------
        job, key
            The scan.
        extras : sequence of path
            What is wanted beside its result.
        """
        entry = self.entries.get(self._name(job))
        if entry is None or (entry.state, entry.key) != ("done", key):
            return False
        known = {each.path: each for each in entry.written}
        return all(
            (told := known.get(self._told(path))) is not None and _is_as(path, told)
            for path in (*_files(job), *extras)
        )

    def knows(self, job: Job) -> bool:
        """Whether anything is noted of a scan."""
        return self._name(job) in self.entries

    def failure(self, job: Job, key: str) -> str | None:
        """Return why a scan with this key failed before; None if it didn't."""
        entry = self.entries.get(self._name(job))
        return entry.reason if entry is not None and (entry.state, entry.key) == ("failed", key) else None

    def note_begun(self, job: Job, key: str) -> None:
        """Note that a scan's result is about to be written; raises as `note_done` does."""
        self._add(Entry(scan=self._name(job), key=key, state="begun"))

    def note_done(self, job: Job, key: str, extras: Sequence[Path] = ()) -> None:
        """Note that a scan's result lies there, and what was written beside it.

        Raises
        ------
        OutputError
            If the journal can't be written.
        """
        written = self._as_they_are((*_files(job), *extras))
        self._add(Entry(scan=self._name(job), key=key, state="done", written=written))

    def note_failed(self, job: Job, key: str, reason: str) -> None:
        """Note why there is no result of a scan; raises as `note_done` does."""
        name = self._name(job)
        before = self.entries.get(name)
        written = () if before is None else before.written
        if before is not None and before.state == "begun":
            # What there is of it is ours.
            written = self._as_they_are([path for path in _files(job) if path.exists()])
        # An error's message may quote a name that no encoding holds.
        told = reason.encode(errors="backslashreplace").decode()[:4096]
        self._add(Entry(scan=name, key=key, state="failed", written=written, reason=told))

    def _as_they_are(self, paths: Iterable[Path]) -> tuple[Written, ...]:
        found = [(path, *_size_and_time(path)) for path in paths]
        return tuple(
            Written(path=self._told(path), bytes=size, mtime_ns=changed) for path, size, changed in found
        )

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
        return self._told(_files(job)[0])

    def _told(self, path: Path) -> str:
        """A path as it is noted: names may hold any bytes."""
        return quote(os.fsencode(os.path.relpath(path, self.folder)), safe=_PLAIN)


def _files(job: Job) -> list[Path]:
    return list(job.files.values()) or [job.target]


def _size_and_time(path: Path) -> tuple[int, int]:
    """Bytes, and time of the last change in nanoseconds, of a file or of all that is in a folder."""
    found = [each.lstat() for each in (path, *(path.rglob("*") if path.is_dir() else ()))]
    return sum(each.st_size for each in found), max(each.st_mtime_ns for each in found)


def _is_as(path: Path, written: Written) -> bool:
    """Whether a file is as it was when it was written."""
    try:
        return _size_and_time(path) == (written.bytes, written.mtime_ns)
    except OSError:
        return False


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
            digest.update(digest_of(path, alone=job.found.series is not None))
        if job.found.series is not None:
            # Several series can be in the same files.
            header, part = job.found.series.header, job.found.series.part
            digest.update(repr((header.series_uid, header.kind, part)).encode())
    return digest.hexdigest()


def digest_of(path: Path, *, alone: bool = False) -> bytes:
    """Return the digest of an image's content: of a file and those that go with it, or of all in a folder.

    Parameters
    ----------
    path : path
        File or folder.
    alone : bool
        Whether nothing goes with a file.
    """
    own = hashlib.sha256()
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    beside = [] if alone or path.is_dir() else _companions(path)
    for file in (*inside, *beside):
        if not file.is_file():
            continue
        one = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                one.update(chunk)
        own.update(one.digest())
    return own.digest()


def _companions(path: Path) -> list[Path]:
    """Files that may hold the voxels, or more, of an image whose header this is.

    Those of the same stem, and those that a text at its beginning names. One too many costs some time.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    words = re.split(rb"[\s=:,;\"']+", head) if path.suffix.lower() in _TEXT_HEADERS else []
    named = {os.fsdecode(word) for word in words if word and b"\0" not in word and len(word) < 256}
    stem = path.name.split(".")[0]
    beside = (
        each
        for each in path.parent.iterdir()
        if each != path and (each.name in named or each.name.split(".")[0] == stem)
    )
    return sorted(each for each in beside if each.is_file())

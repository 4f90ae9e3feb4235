"""Folders of the queue's jobs: what was sent, and what came of it.

::

    DATA/queue.sqlite       who waits
    DATA/incoming/ID/       being received
    DATA/jobs/ID/in/        as it was sent
    DATA/jobs/ID/attempt-N/ result/, residual/, report/, and manifest.json, which is written last
    DATA/models/NAME/       trained models that may be named
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.registry import suffix_of

MANIFEST = "manifest.json"
#: Kinds of results, each a folder.
KINDS = ("result", "residual", "report")
_ATTEMPT = re.compile(r"attempt-(\d+)")
#: Bytes of one name, and folders above it: what every disk takes.
_MOST_NAME_BYTES, _MOST_FOLDERS = 180, 12


@dataclass(frozen=True)
class Manifest:
    """What a job made: without it, it is not done.

    Attributes
    ----------
    result, residual, report : dict of str to str
        Files below the folder of that kind, and their SHA-256.
    scans : list of dict
        What is known of each scan.
    failed : list of dict
        Scans without a result, and why.
    verdict : str or None
        The worst.
    """

    result: dict[str, str]
    residual: dict[str, str]
    report: dict[str, str]
    scans: list[dict[str, Any]]
    failed: list[dict[str, str]]
    verdict: str | None


class Spool:
    """The folders below a data folder.

    Parameters
    ----------
    data : path
        Made, for its owner alone, if it isn't there.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.incoming, self.jobs, self.models = data / "incoming", data / "jobs", data / "models"
        self.queue = data / "queue.sqlite"
        for folder in (data, self.incoming, self.jobs, self.models):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, job_id: str) -> Path:
        """Folder of a job."""
        return self.jobs / job_id

    def source(self, job_id: str) -> Path:
        """What to denoise: the only file or folder that was sent, or the folder of all."""
        return only_one(self.folder(job_id) / "in")

    def attempt(self, job_id: str, number: int) -> Path:
        """Folder that the results of an attempt go to."""
        return self.folder(job_id) / f"attempt-{number}"

    def finished(self, job_id: str) -> Path | None:
        """Return the folder of an attempt that came to its end; None if there is none."""
        found = [each for each in self.folder(job_id).glob("attempt-*") if _ATTEMPT.fullmatch(each.name)]
        return next((each for each in sorted(found) if (each / MANIFEST).is_file()), None)

    def accept(self, job_id: str) -> None:
        """Give what was received its place, on the disk."""
        (self.incoming / job_id).rename(self.folder(job_id))
        for folder in (self.jobs, self.incoming):
            flush(folder)

    def remove(self, job_id: str) -> None:
        """Delete all of a job."""
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def sweep(self, known: Callable[[], set[str]]) -> None:
        """Delete folders of jobs that nobody knows, and what stopped coming.

        Parameters
        ----------
        known : callable
            Jobs of the queue, and what is just being received; asked once the folders are listed.
        """
        there = [*self.jobs.iterdir(), *self.incoming.iterdir()]
        kept = known()
        for each in there:
            if each.name not in kept:
                shutil.rmtree(each, ignore_errors=True)

    def free_bytes(self) -> int:
        """Room on the disk."""
        return shutil.disk_usage(self.data).free


def only_one(folder: Path) -> Path:
    """Follow a folder down to the only file in it, or to the folder where there are several things."""
    inside = list(folder.iterdir())
    if len(inside) != 1:
        return folder
    return only_one(inside[0]) if inside[0].is_dir() and not suffix_of(inside[0]) else inside[0]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Say what an attempt made, after all of it is on the disk."""
    for kind in KINDS:
        for each in (folder / kind).rglob("*"):
            flush(each)
    with atomic_path(folder / MANIFEST) as part:
        part.write_text(json.dumps(asdict(manifest), allow_nan=False), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Return what an attempt made."""
    return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def digests(folder: Path) -> dict[str, str]:
    """Return the files below a folder, hidden ones left out, and their SHA-256."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if (
            path.is_file()
            and not path.is_symlink()
            and not any(part.startswith(".") for part in inside.parts)
        ):
            with path.open("rb") as stream:
                found[inside.as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def content_key(files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of what was sent.

    Parameters
    ----------
    files : iterable of (name, SHA-256)
        Names count where a format goes by them; DICOM has none of its own, and is the same under any.
    """
    told = sorted(
        (digest, name if suffix_of(Path(name)) not in (None, ".dcm") else "") for name, digest in files
    )
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def safe_name(given: str) -> PurePosixPath:
    """Return a relative path that is harmless on every disk, and as near as can be to what was given.

    Parameters
    ----------
    given : str
        From anyone: with "..", drive letters, line breaks, or a thousand folders.
    """
    parts = []
    for part in re.split(r"[/\\]+", unicodedata.normalize("NFC", given)):
        kept = "".join("_" if sign in '<>:"|?*' else sign for sign in part if sign.isprintable()).strip(" ")
        kept = kept.encode("utf-8", "ignore").decode().rstrip(".")
        if kept:
            parts.append(_shortened(kept))
    return PurePosixPath(*(parts[-_MOST_FOLDERS:] or ["file"]))


def _shortened(name: str) -> str:
    """Cut a name that is too long, before its suffix."""
    if len(name.encode()) <= _MOST_NAME_BYTES:
        return name
    suffix = suffix_of(Path(name)) or ""
    stem = name.encode()[: _MOST_NAME_BYTES - len(suffix)].decode(errors="ignore")
    return stem + name[len(name) - len(suffix) :] if suffix else stem


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

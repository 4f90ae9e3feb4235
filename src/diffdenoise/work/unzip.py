"""Zips that were sent, unpacked beside each other, and never outside or beyond a size."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path
from typing import IO

from diffdenoise.errors import FormatError
from diffdenoise.work.spool import safe_name

#: Bytes that all zips of a job may hold, and files.
MOST_BYTES, MOST_FILES = 64 * 2**30, 100_000
_CHUNK = 2**20


def unpacked(source: Path, into: Path, most_bytes: int = MOST_BYTES) -> Path:
    """Return what to denoise: `source`, or where zips are in it, a folder with their content in their place.

    Parameters
    ----------
    source : path
        File or folder.
    into : path
        Folder to make.
    most_bytes : int
        That may be unpacked in all.

    Raises
    ------
    FormatError
        If a zip is damaged, encrypted, or holds more than is taken.
    """
    files = [source] if source.is_file() else sorted(each for each in source.rglob("*") if each.is_file())
    if not any(_is_zip(each) for each in files):
        return source
    left, count = most_bytes, 0
    for path in files:
        inside = Path(path.name) if path == source else path.relative_to(source)
        if not _is_zip(path):
            target = into / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            # The same file under another name: nothing writes to what was sent.
            target.hardlink_to(path)
            continue
        target = into / inside.with_suffix("") if len(files) > 1 else into
        left, count = _extract(path, target, left, count)
    return into


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def _extract(path: Path, into: Path, left: int, count: int) -> tuple[int, int]:
    """Unpack one zip; return the bytes that may still be unpacked, and how many files there are."""
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                count += 1
                if count > MOST_FILES:
                    raise FormatError(f"{path.name}: holds more than {MOST_FILES:,} files; send it in parts")
                name = safe_name(member.filename)
                if name.name.startswith(".") or "__MACOSX" in name.parts:
                    continue
                target = _free_name(into, Path(name))
                with archive.open(member) as stream:
                    left = _copy(stream, target, left, path.name)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise FormatError(f"{path.name}: the zip is damaged or encrypted; make it again") from error
    return left, count


def _copy(stream: IO[bytes], target: Path, left: int, name: str) -> int:
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            left -= len(chunk)
            if left < 0 or shutil.disk_usage(target.parent).free < 2 * _CHUNK:
                raise FormatError(f"{name}: holds more than there is room for; send it in parts")
            file.write(chunk)
    return left


def _free_name(folder: Path, name: Path) -> Path:
    """Return a name that no other file has, in a folder that is made."""
    for number in range(MOST_FILES):
        # A file may be where another member wants a folder.
        parent = folder / name.parent if not number else folder / f"{number}"
        target = parent / name.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            continue
        if not target.exists():
            return target
    raise FormatError("the zip holds one name too often; make it again")

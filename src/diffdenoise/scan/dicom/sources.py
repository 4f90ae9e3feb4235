"""Where DICOM files come from: a file, a folder, a DICOMDIR, a zip. Told by content, not by name.

Zips are read in memory and never unpacked to the disk, so that no name in one can point outside.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from diffdenoise.errors import FormatError, InputError
from diffdenoise.scan.dicom.parse import parse, quiet_pydicom
from diffdenoise.scan.folder import files_below
from diffdenoise.scan.limits import most_unpacked, refuse_unpacked

#: A file's first bytes: the preamble, "DICM" and the first elements (PS3.10, 7.1).
HEAD_BYTES = 144
#: Elements of groups 0002 and 0008 that a file without a preamble may begin with.
_FIRST_ELEMENTS = {
    *(0x0000, 0x0001, 0x0002, 0x0003, 0x0005, 0x0008, 0x0010, 0x0012, 0x0013, 0x0014, 0x0016, 0x0018),
    *(0x0020, 0x0021, 0x0022, 0x0023, 0x0030, 0x0050, 0x0060),
}
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Source:
    """One file, perhaps inside a zip.

    Attributes
    ----------
    path : path
        The file on disk, or the zip.
    name : str
        Name relative to what the user gave, with slashes; for messages and for naming outputs.
    member : str or None
        Name inside the zip.
    """

    path: Path
    name: str
    member: str | None = None

    def open(self) -> BinaryIO:
        """Open for reading, seekable. Raises what the system and `zipfile` raise."""
        if self.member is None:
            return self.path.open("rb")
        return io.BytesIO(_archive(self.path).read(self.member))

    def size(self) -> int:
        """Bytes of the file, unpacked."""
        if self.member is None:
            return self.path.stat().st_size
        return _archive(self.path).getinfo(self.member).file_size


@lru_cache(maxsize=2)
def _archive(path: Path) -> zipfile.ZipFile:
    """An open zip, kept: to open one reads the list of all its members."""
    return zipfile.ZipFile(path)


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these bytes may be DICOM.

    Parameters
    ----------
    head : bytes
        At least `HEAD_BYTES`, or the whole file.

    Notes
    -----
    Files from before PS3.10 have neither preamble nor meta header: they begin with the first
    element of group 0008 (or 0002), explicit or implicit, in either byte order.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8 or head[:2] not in (b"\x08\x00", b"\x02\x00", b"\x00\x08"):
        return False
    little = head[0] != 0
    element = int.from_bytes(head[2:4], "little" if little else "big")
    length = int.from_bytes(head[4:8], "little" if little else "big")
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    # Values have an even length (PS3.5, 7.1).
    return element in _FIRST_ELEMENTS and (explicit or (length <= 128 and length % 2 == 0))


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a zip."""
    return head.startswith(_ZIP)


def sources_of(path: Path) -> Iterator[Source]:
    """Yield the DICOM files that a file, a folder, a DICOMDIR or a zip holds, sorted by name.

    Parameters
    ----------
    path : path
        Of something that exists.

    Raises
    ------
    FormatError
        If a zip is damaged, locked, states absurd sizes, or holds a name that points outside of it;
        if a DICOMDIR is damaged or names a file outside its folder.
    OSError
        If the system refuses.
    """
    if path.is_dir():
        for each in files_below(path):
            if is_dicom(_head(each)):
                yield Source(each, each.relative_to(path).as_posix())
        return
    head = _head(path)
    if is_zip(head):
        yield from _members(path)
    elif is_dicom(head):
        found = list(_listed(path)) if path.name.upper().startswith("DICOMDIR") else []
        yield from found or [Source(path, path.name)]


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def _members(path: Path) -> Iterator[Source]:
    """Yield a zip's DICOM files."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            for one in members:
                _check_member(path, one)
            _refuse_bomb(path, sum(one.file_size for one in members), path.stat().st_size)
            for one in sorted(members, key=lambda member: member.filename):
                with archive.open(one) as stream:
                    head = stream.read(HEAD_BYTES)
                if is_dicom(head):
                    yield Source(path, one.filename, one.filename)
    except (OSError, FormatError, MemoryError):
        raise
    except Exception:  # zlib, lzma, bz2 and zipfile have errors of their own each
        raise FormatError(f"{path}: is a damaged zip; get a complete copy") from None


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    """Raise `FormatError` for a member that no honest zip of images has."""
    parts = PurePosixPath(member.filename.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1]):
        raise FormatError(
            f"{path}: holds a name that points outside of it; unpack it yourself if you trust it"
        )
    if member.flag_bits & 1:
        raise FormatError(f"{path}: is locked with a password; unpack it first")
    _refuse_bomb(path, member.file_size, member.compress_size)


def _refuse_bomb(path: Path, stated: int, held: int) -> None:
    refuse_unpacked(str(path), stated, most_unpacked(held))


def _listed(path: Path) -> Iterator[Source]:
    """Yield the files that a DICOMDIR names (PS3.3, F.3.2.2: ReferencedFileID)."""
    with path.open("rb") as stream, quiet_pydicom():
        try:
            records = parse(stream, path.name).get("DirectoryRecordSequence") or []
            found = (record.get("ReferencedFileID") for record in records)
            names = [
                [part] if isinstance(part, str) else [str(each) for each in part] for part in found if part
            ]
        except Exception:  # elements are decoded when asked for, and damaged ones raise all sorts
            raise FormatError(f"{path}: is a damaged DICOMDIR; give the folder with the images") from None
    folder = path.parent.resolve()
    for parts in names:
        if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in parts):
            raise FormatError(
                f"{path}: names a file outside its folder; give the folder with the images instead"
            )
        file = _find_below(folder, parts)
        if file is None:
            raise InputError(
                f"{path}: names a file that is missing ({'/'.join(parts)}); get a complete copy, or give the "
                "folder with the images"
            )
        if not file.resolve().is_relative_to(folder):
            raise FormatError(
                f"{path}: names a file outside its folder; give the folder with the images instead"
            )
        yield Source(file, "/".join(parts))


def _find_below(folder: Path, parts: list[str]) -> Path | None:
    """A file by its parts; copies from a CD may have lower-case names, a version or a dot at the end."""
    place = folder
    for part in parts:
        exact = place / part
        if not exact.exists():
            alike = [
                one
                for one in place.iterdir()
                if one.name.upper().rstrip(".").removesuffix(";1") == part.upper()
            ]
            if not alike:
                return None
            exact = alike[0]
        place = exact
    return place if place.is_file() else None

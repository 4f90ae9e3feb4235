"""NPY and NPZ files of one array, by NumPy; pickled objects are never loaded."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"


@dataclass(frozen=True)
class _Source:
    """The array's key in an NPZ file, and whether it was compressed."""

    key: str = "data"
    compressed: bool = True


def _recognise(head: bytes) -> bool:
    return head.startswith((_NPY, _ZIP))


def _read(path: Path) -> Scan:
    """The array in a .npy file, or the only one in a .npz file; a fourth axis counts volumes."""
    with path.open("rb") as stream:
        zipped = stream.read(4) == _ZIP
    if zipped != path.name.lower().endswith(".npz"):
        kind, right = ("an NPZ", ".npz") if zipped else ("an NPY", ".npy")
        raise FormatError(f"{path}: is {kind} file, unlike its suffix; rename it to {right}")
    source = _Source()
    if zipped:
        stored, source = _read_npz(path)
    else:
        # Mapped first: that fails at once if the header states more than the file holds.
        stored = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    return Scan(stored, header=source)


def _read_npz(path: Path) -> tuple[Array, _Source]:
    """Return the only array of an NPZ file, with what it takes to write it back."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        keys = [member.filename.removesuffix(".npy") for member in members]
        if len(members) != 1:
            raise FormatError(
                f"{path}: holds {len(members)} arrays ({', '.join(keys)}); expected one; "
                "save the one to denoise in a file of its own"
            )
        member = members[0]
        compressed = member.compress_type != zipfile.ZIP_STORED
        refuse_oversized(str(path), member.file_size, member.compress_size + 1024, compressed=compressed)
        with archive.open(member) as stream:
            shape, dtype = _read_header(stream)
            stated = int(np.prod(shape, dtype=object)) * dtype.itemsize
            refuse_oversized(str(path), stated, member.file_size, compressed=False)
        with archive.open(member) as stream:
            array: Array = np.lib.format.read_array(stream, allow_pickle=False)
            # Read to the end, so that the archive's checksum is compared.
            stream.read()
    return array, _Source(keys[0], compressed)


def _read_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype that an .npy stream states."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def _write(out: Outgoing, path: Path) -> None:
    """As .npy, or as .npz under the key that it was read from; the suffix decides."""
    stored, source = out.values, out.source(_Source) or _Source()
    if path.name.lower().endswith(".npy"):
        with path.open("wb") as stream:
            np.save(stream, stored, allow_pickle=False)
        return
    # Not np.savez: it takes no array named "file", and dates the archive.
    compression = zipfile.ZIP_DEFLATED if source.compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo(f"{source.key}.npy")
        member.compress_type = compression
        with archive.open(member, "w", force_zip64=True) as stream:
            np.lib.format.write_array(stream, stored, allow_pickle=False)


_KEEPS = "type and byte order; name and compression inside an `.npz`"
FORMAT = Format("numpy", "NumPy", (".npy", ".npz"), _recognise, _read, _write, _KEEPS)

"""Voxels as they lie in a file one after the other, plain or gzip-compressed, read slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError, InputError
from diffdenoise.scan.pixels import native
from diffdenoise.scan.unpack import Unpacked, read_plain
from diffdenoise.scan.voxels import Lazy

#: Bytes that are passed over at a time.
_PIECE = 2**22


class RawVoxels(Lazy):
    """Voxels of a file, the first axis the fastest; slabs lie across the third.

    Parameters
    ----------
    path : path
        The file.
    start : int
        Byte of the first voxel, unpacked.
    shape : tuple of int
        Two to four axes.
    dtype : numpy.dtype
        As stored.
    packed : bool
        Whether the file is gzip-compressed: it is then read forward, and from its start again for what lies
        before the last slab.
    """

    def __init__(
        self, path: Path, start: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, packed: bool
    ) -> None:
        # Absolute: the current folder may change until the voxels are read.
        self._path, self._name, self._start = path.absolute(), str(path), start
        self._state = _state_of(self._path)
        self.shape, self.dtype = shape, dtype.newbyteorder("=")
        self._stored = dtype
        self.axis = None if len(shape) == 2 else 2
        self._take: Callable[[int, int], NDArray[np.uint8]] = self._read_plain
        if packed:
            self._take = _Forward(self._path, self._name, start + prod(shape) * dtype.itemsize).take

    def read(self, volume: int, first: int, last: int) -> NDArray[Any]:
        """Read slices from the file."""
        plane = self.shape[:2]
        of_slice = prod(plane) * self._stored.itemsize
        before = volume * self.shape[2] if len(self.shape) == 4 else 0
        begin = self._start + (before + first) * of_slice
        end = begin + (last - first) * of_slice
        try:
            if _state_of(self._path) != self._state:
                raise FormatError(f"{self._name}: was changed since it was opened; read it again")
            found = self._take(begin, end)
        except OSError as error:
            raise InputError(
                f"{self._name}: cannot be read ({error.strerror}); check its permissions and the disk"
            ) from error
        if len(found) < end - begin:
            raise FormatError(f"{self._name}: is cut short: fewer voxels are there than its header states")
        # (height, width) of an image; of a volume the first axis is the fastest.
        values = native(found.view(self._stored)).reshape((*plane, last - first), order="F")
        return np.moveaxis(values, 2, 0)

    def _read_plain(self, begin: int, end: int) -> NDArray[np.uint8]:
        with self._path.open("rb") as stream:
            stream.seek(begin)
            return read_plain(stream, end - begin)


def _state_of(path: Path) -> tuple[int, int, int]:
    """What is another for a file that took the first one's place, or was written to since."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


class _Forward:
    """A gzip-compressed file read forward; what was taken last is kept for a while."""

    def __init__(self, path: Path, name: str, size: int) -> None:
        self._path, self._name, self._size = path, name, size
        self._packed: Unpacked | None = None
        self._at = 0
        self._begin, self._last = 0, np.zeros(0, np.uint8)

    def take(self, begin: int, end: int) -> NDArray[np.uint8]:
        """Return the unpacked bytes from `begin` to `end`, fewer where the file ends early."""
        if self._begin <= begin and end <= self._begin + len(self._last):
            return self._last[begin - self._begin : end - self._begin]
        packed = self._packed
        if begin < self._begin or packed is None:
            packed = self._packed = Unpacked(self._path.open("rb"), "gzip", self._name)
            self._at, self._begin, self._last = 0, 0, np.zeros(0, np.uint8)
        kept = self._last[begin - self._begin :]
        pieces = [kept, self._read(packed, begin + len(kept), end)]
        self._begin, self._last = begin, np.concatenate(pieces) if len(kept) else pieces[1]
        return self._last

    def _read(self, packed: Unpacked, begin: int, end: int) -> NDArray[np.uint8]:
        while self._at < begin and (passed := len(packed.array(min(_PIECE, begin - self._at)))):
            self._at += passed
        found = packed.array(end - begin)
        self._at += len(found)
        if self._at == self._size:
            packed.check_end()
        return found

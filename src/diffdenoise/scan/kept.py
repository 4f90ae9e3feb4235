"""Slices kept until a result is whole: in memory, or beyond a size in a file without a name."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import BinaryIO

import numpy as np

from diffdenoise.errors import DiskFullError, OutputError
from diffdenoise.scan.unpack import read_plain
from diffdenoise.types import Stack

#: Bytes of slices that are kept in memory.
MOST_BYTES = 2**30


class FiledSlices:
    """Slices of one volume in a part of a file; read and set by number or range, as an array's.

    Parameters
    ----------
    file : binary file
        That is read and written.
    start : int
        Byte of the first slice.
    shape : (int, int, int)
        Slices, height and width; float32.
    """

    def __init__(self, file: BinaryIO, start: int, shape: tuple[int, int, int]) -> None:
        self._file, self._start, self.shape = file, start, shape
        self._of_slice = 4 * shape[1] * shape[2]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Stack]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, which: int | slice) -> Stack:
        numbers = range(len(self))[which]
        if isinstance(numbers, int):
            return self[numbers : numbers + 1].reshape(self.shape[1:])
        with _told():
            self._file.seek(self._start + numbers.start * self._of_slice)
            found = read_plain(self._file, len(numbers) * self._of_slice)
        return found.view(np.float32).reshape(len(numbers), *self.shape[1:])

    def __setitem__(self, which: slice, values: Stack) -> None:
        numbers = range(len(self))[which]
        with _told():
            self._file.seek(self._start + numbers.start * self._of_slice)
            self._file.write(np.ascontiguousarray(values, np.float32).tobytes())


def keep_slices(shapes: Sequence[tuple[int, int, int]]) -> list[Stack | FiledSlices]:
    """Return room for the float32 slices of a scan's volumes.

    Parameters
    ----------
    shapes : sequence of (int, int, int)
        Slices, height and width of each volume.

    Returns
    -------
    list
        Arrays; over 1 GiB in all, parts of a temporary file that has no name, and is gone with this process.

    Raises
    ------
    DiskFullError
        When the file is written and the disk is full.
    OutputError
        If no temporary file can be made.
    """
    if 4 * sum(prod(shape) for shape in shapes) <= MOST_BYTES:
        return [np.empty(shape, np.float32) for shape in shapes]
    with _told():
        # Open as long as something reads from it.
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    starts = np.cumsum([0, *(4 * prod(shape) for shape in shapes)]).tolist()
    return [FiledSlices(file, start, shape) for start, shape in zip(starts, shapes, strict=False)]


@contextmanager
def _told() -> Iterator[None]:
    """Turn the system's errors into the user's."""
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{folder}: the disk for temporary files is full; free some space, or set TMPDIR to a folder "
                "with 4 bytes a voxel"
            ) from error
        raise OutputError(
            f"{folder}: no temporary file can be used there ({error.strerror}); set TMPDIR to another folder"
        ) from error

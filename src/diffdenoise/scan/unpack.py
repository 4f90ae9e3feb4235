"""Unpack gzip, zlib and bzip2 streams piece by piece, never more than is asked for."""

from __future__ import annotations

import bz2
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError

#: Packed bytes that are read at a time, and the most that one step unpacks.
_PIECE = 2**18
_MAKERS: dict[str, Any] = {
    "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
    # Or gzip: told by its first bytes.
    "zlib": lambda: zlib.decompressobj(zlib.MAX_WBITS | 32),
    "bz2": bz2.BZ2Decompressor,
}
#: What a further member of a file begins with (RFC 1952, 2.2); anything else after a member is no part of it.
_NEXT = {"gzip": b"\x1f\x8b", "bz2": b"BZh"}


class Unpacked:
    """The content of a packed stream, read in order.

    Parameters
    ----------
    packed : binary file
        At the start of what is packed.
    kind : str
        "gzip", "zlib" or "bz2".
    name : str
        For messages.

    Notes
    -----
    As gunzip does, further members go on where one ends; zeros and other bytes after the last are left alone.
    """

    def __init__(self, packed: BinaryIO, kind: str, name: str) -> None:
        self._packed, self._kind, self._name = packed, kind, name
        self._tool = _MAKERS[kind]()
        self._waiting = b""
        self._ended = False
        #: Whether a further member has begun of which nothing is known yet.
        self._begins = False

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes, fewer only at the end."""
        return self.array(count).tobytes()

    def array(self, count: int) -> NDArray[np.uint8]:
        """Return up to `count` bytes as an array; memory grows with what is there, not with `count`.

        Raises
        ------
        FormatError
            If the stream is damaged; a stream that only stops early gives fewer bytes.
        """
        found = np.empty(count, np.uint8)
        filled = 0
        while filled < count and (piece := self._piece(min(count - filled, _PIECE))):
            found[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
        return found[:filled]

    def check_end(self) -> None:
        """Compare the checksum of the member that the last byte was of, if that is its last."""
        while not self._ended and not self._tool.eof and not self._step(1):
            pass

    def _piece(self, most: int) -> bytes:
        while not self._ended:
            if self._tool.eof:
                self._begin_next()
            elif (piece := self._step(most)) or self._ended:
                return piece
        return b""

    def _step(self, most: int) -> bytes:
        """Unpack up to `most` bytes of this member; none where more has to be read first."""
        given = self._waiting
        if not given and getattr(self._tool, "needs_input", True):
            given = self._packed.read(_PIECE)
        try:
            piece: bytes = self._tool.decompress(given, most)
        except (zlib.error, OSError, ValueError) as error:
            if self._begins:
                # What looked like a further member is none.
                self._ended = True
                return b""
            raise FormatError(
                f"{self._name}: its compressed voxels are damaged; get a complete copy"
            ) from error
        self._begins = self._begins and not piece
        self._waiting = getattr(self._tool, "unconsumed_tail", b"")
        if self._tool.eof:
            self._waiting = self._tool.unused_data
        elif not given and not piece and getattr(self._tool, "needs_input", True):
            self._ended = True
        return piece

    def _begin_next(self) -> None:
        """Go on to the next member, or end."""
        mark = _NEXT.get(self._kind)
        rest = self._waiting.lstrip(b"\0")
        while mark and len(rest) < len(mark) and (more := self._packed.read(_PIECE)):
            rest = (rest + more).lstrip(b"\0")
        if mark and rest.startswith(mark):
            self._waiting, self._tool, self._begins = rest, _MAKERS[self._kind](), True
        else:
            self._ended = True


def read_plain(stream: BinaryIO, count: int) -> NDArray[np.uint8]:
    """Return up to `count` bytes of a file that is not packed, in one array."""
    found = np.empty(count, np.uint8)
    filled = 0
    view = memoryview(found.data)
    while filled < count and (more := stream.readinto(view[filled:])):  # type: ignore[attr-defined]
        filled += more
    return found[:filled]

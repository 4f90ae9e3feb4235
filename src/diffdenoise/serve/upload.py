"""A multipart body, written to disk as it comes: limits hold at every byte, and no file is in memory."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from diffdenoise.serve.problems import Problem
from diffdenoise.work.spool import flush, safe_name

#: Parts named so are files; all others are options.
FILES = "files"
#: Bytes of an option, options, files, and bytes of a part's headers.
_MOST_FIELD, _MOST_FIELDS, _MOST_FILES, _MOST_HEADER = 1024, 32, 20_000, 16_384


@dataclass
class Received:
    """What came.

    Attributes
    ----------
    fields : dict of str to str
        Options.
    files : list of (name, SHA-256)
        As they lie below the folder.
    bytes : int
        Of all files.
    """

    fields: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0


class Receiver:
    """Takes a body in pieces.

    Parameters
    ----------
    folder : path
        To be made and written to.
    boundary : bytes
        Between parts.
    most_bytes : int
        That the files may have.
    """

    def __init__(self, folder: Path, boundary: bytes, most_bytes: int) -> None:
        self.received = Received()
        self.is_whole = False
        self._folder, self._left = folder, most_bytes
        self._taken: set[str] = set()
        self._file: IO[bytes] | None = None
        self._digest: Any = None
        self._name, self._value = "", bytearray()
        self._header, self._content, self._headers = bytearray(), bytearray(), dict[bytes, bytes]()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._on_header,
                "on_header_value": self._on_content,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._on_data,
                "on_part_end": self._part_ends,
                "on_end": self._ends,
            },
        )
        folder.mkdir(parents=True)

    def feed(self, piece: bytes) -> None:
        """Take a piece."""
        self._parser.write(piece)

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._file is not None:
            self._file.close()

    def _part_begins(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._limit(len(self._header))

    def _on_content(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]
        self._limit(len(self._content))

    def _limit(self, length: int) -> None:
        if length > _MOST_HEADER or len(self._headers) > _MOST_FIELDS:
            raise Problem(422, "a part's headers are too long")

    def _header_ends(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._content)
        self._header, self._content = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _, told = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = told.get(b"name", b"").decode("utf-8", "replace")
        if self._name == FILES:
            self._open(told.get(b"filename", b"").decode("utf-8", "replace"))
        elif b"filename" in told:
            raise Problem(422, f"files are to be sent in parts named '{FILES}'")

    def _open(self, given: str) -> None:
        if len(self.received.files) >= _MOST_FILES:
            raise Problem(413, f"there are more than {_MOST_FILES:,} files; send a zip")
        safe = safe_name(given)
        inside, number = safe.as_posix(), 1
        while inside.casefold() in self._taken or not self._has_room(inside):
            # Beside the other, so that its name stays what it was.
            inside, number = f"{number}/{safe.name}", number + 1
        self._taken.add(inside.casefold())
        path = self._folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._digest = path.open("xb"), hashlib.sha256()
        self._name = inside

    def _has_room(self, inside: str) -> bool:
        """Whether no file is where a name wants folders, and no folder where it wants a file."""
        path = self._folder / inside
        above = [self._folder / each for each in Path(inside).parents]
        return not path.exists() and all(each.is_dir() or not each.exists() for each in above)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._value += data[start:end]
            if len(self._value) > _MOST_FIELD:
                raise Problem(422, f"an option is longer than {_MOST_FIELD} bytes")
            return
        self._left -= end - start
        if self._left < 0:
            raise Problem(
                413, "there is more than the server takes for one job; send less, or a smaller scan"
            )
        piece = data[start:end]
        self._file.write(piece)
        self._digest.update(piece)
        self.received.bytes += len(piece)

    def _part_ends(self) -> None:
        if self._file is None:
            if len(self.received.fields) >= _MOST_FIELDS or self._name in self.received.fields:
                raise Problem(422, "an option is there twice, or there are too many")
            self.received.fields[self._name] = self._value.decode("utf-8", "replace")
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self.received.files.append((self._name, self._digest.hexdigest()))

    def _ends(self) -> None:
        self.is_whole = True


async def receive(request: Request, folder: Path, most_bytes: int) -> Received:
    """Write a request's files below a folder.

    Raises
    ------
    Problem
        If it is too large, is no multipart, holds no file or breaks off.
    """
    kind, told = parse_options_header(request.headers.get("content-type", ""))
    boundary = told.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 200:
        raise Problem(415, "expected multipart/form-data with a boundary")
    receiver = Receiver(folder, boundary, most_bytes)
    try:
        async for piece in request.stream():
            await run_in_threadpool(receiver.feed, piece)
    except FormParserError as error:
        raise Problem(422, "the multipart body is damaged") from error
    except ClientDisconnect as error:
        raise Problem(400, "the upload broke off") from error
    finally:
        receiver.close()
    if not receiver.is_whole:
        raise Problem(422, "the multipart body is not whole")
    if not receiver.received.files:
        raise Problem(422, f"there is no file; send at least one part named '{FILES}'")
    for path in [folder, *(each for each in folder.rglob("*") if each.is_dir())]:
        await run_in_threadpool(flush, path)
    return receiver.received

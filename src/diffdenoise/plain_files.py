"""Files that may come from anyone, read with care: regular ones, of a bounded size, YAML without aliases.

A path handed over by someone else can be a pipe (which waits for ever), a device (which never ends), a link
to a file that nobody meant to give, or a few hundred bytes of YAML that stand for a billion values.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml

#: Flags that only some systems have: don't wait for a pipe's other end, don't follow a link.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class NotPlainError(Exception):
    """A file is not what may be read; the message says what it is, without its name."""


def read_plain(path: Path, most_bytes: int, *, follow: bool = False) -> bytes:
    """Return the content of a regular file.

    Parameters
    ----------
    path : path
        File to read.
    most_bytes : int
        Largest size in bytes.
    follow : bool
        Whether a link to a file is as good as the file.

    Raises
    ------
    NotPlainError
        If it is a link, pipe, device or folder, or larger.
    OSError
        If it is not there or can't be read.
    """
    # Looked at before it is opened, as opening alone can do something to a device.
    seen = path.stat() if follow else path.lstat()
    _check(seen, most_bytes)
    handle = os.open(path, os.O_RDONLY | _NO_WAIT | (0 if follow else _NO_LINK))
    with os.fdopen(handle, "rb") as stream:
        opened = os.fstat(stream.fileno())
        if (opened.st_dev, opened.st_ino) != (seen.st_dev, seen.st_ino):
            raise NotPlainError("changed while it was opened")
        _check(opened, most_bytes)
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NotPlainError(_too_large(len(content), most_bytes))
    return content


def is_about_another(error: OSError, *places: Path) -> bool:
    """Whether the system names a file that isn't one of those written to: then it is one that was read.

    Parameters
    ----------
    error : OSError
        What the system said.
    *places : path
        Files or folders that are written to; folders above them are made.
    """
    if not isinstance(error.filename, str | os.PathLike):
        return False
    named = Path(error.filename).resolve()
    for place in (place.resolve() for place in places):
        if named == place or named in place.parents or place in named.parents:
            return False
    return True


def _check(found: os.stat_result, most_bytes: int) -> None:
    mode = found.st_mode
    if stat.S_ISLNK(mode):
        raise NotPlainError("is a link; expected the file itself; copy it there")
    if stat.S_ISDIR(mode):
        raise NotPlainError("is a folder; expected a file")
    if not stat.S_ISREG(mode):
        raise NotPlainError("is no regular file (a pipe or a device)")
    if found.st_size > most_bytes:
        raise NotPlainError(_too_large(found.st_size, most_bytes))


def _too_large(size: int, most_bytes: int) -> str:
    return f"is too large ({size:,} bytes; at most {most_bytes:,} are expected)"


class _Loader(yaml.SafeLoader):
    """YAML of plain values: what an alias repeats could grow a thousandfold at each level."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.YAMLError("aliases")
        return super().compose_node(parent, index)


def parse_yaml(text: str | bytes) -> Any:
    """Return the value that YAML text stands for: numbers, texts, lists and mappings, no aliases or tags.

    Raises
    ------
    ValueError
        If it isn't such YAML.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except Exception as error:
        # A number of 5000 digits, "!!bool x" and a thousand brackets each fail in a way of their own.
        aliases = isinstance(error, yaml.YAMLError) and str(error) == "aliases"
        raise ValueError("holds YAML anchors or aliases" if aliases else "is not YAML") from error


def parse_json(text: str | bytes) -> Any:
    """Return the value that JSON text stands for.

    Raises
    ------
    ValueError
        If it isn't JSON.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error

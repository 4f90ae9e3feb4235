"""What every file format offers; one module a format makes one of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diffdenoise.scan.scan import Scan


class Writer(Protocol):
    """Writes a scan to a path that the caller made safe to write to."""

    def __call__(self, scan: Scan, path: Path, *, float32: bool) -> None:
        """Write `scan`, as float32 or in its stored dtype. `path` ends in a suffix of the format."""


@dataclass(frozen=True)
class Format:
    """One family of file formats.

    Attributes
    ----------
    name : str
        Key in the registry and `Scan.format`: "nifti".
    title : str
        Name in messages: "NIfTI".
    suffixes : tuple of str
        Lower-case file name endings, each with its dot.
    recognise : callable
        Whether the first 544 bytes of a file may be of this format.
    read : callable
        Reads a file whose first bytes were recognised. It may raise anything on a damaged file;
        `scan.read` turns that into a `FormatError`.
    write : callable
        Writes a scan; raises `OutputError` if the format can't hold its dtype or shape.
    keeps : str
        What a written file has from its source, for the documentation.
    holds_float : bool
        Whether float32 values can be stored.
    written_as : str or None
        The format that its scans are written in, if not itself.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognise: Callable[[bytes], bool]
    read: Callable[[Path], Scan]
    write: Writer
    keeps: str
    holds_float: bool = True
    written_as: str | None = None

"""What every file format offers; one module a format makes one of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from diffdenoise.errors import OutputError
from diffdenoise.scan.pixels import native, to_stored
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Held
from diffdenoise.types import Array

Source = TypeVar("Source")


@dataclass(frozen=True)
class Outgoing:
    """A scan on its way into a file.

    Attributes
    ----------
    scan : Scan
        Real values.
    dtype : numpy.dtype
        Of the file's values: the scan's stored one, or float32 where that was asked for.
    """

    scan: Scan
    dtype: np.dtype[Any]

    @property
    def values(self) -> Array:
        """All values as the file shall hold them, in `dtype`: integers rounded half to even and clipped."""
        return to_stored(self.scan.data, self.dtype)

    def source(self, kind: type[Source]) -> Source | None:
        """Return what the format's reader kept as the scan's header; None if that was another format's."""
        header = self.scan.header
        return header if isinstance(header, kind) else None


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
    reader : callable
        Takes a path whose file was recognised, and returns a scan of stored values with geometry and header;
        `read` adds the rest.
    writer : callable or None
        Takes an `Outgoing` scan and a path that is safe to write to, with a suffix of the format; None:
        the format is only read.
    keeps : str
        What a written file has from its source, for the documentation.
    holds_float : bool
        Whether float32 values can be stored.
    written_as : Format or None
        What its scans are written as, if not as itself.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognise: Callable[[bytes], bool]
    reader: Callable[[Path], Scan]
    writer: Callable[[Outgoing, Path], None] | None
    keeps: str
    holds_float: bool = True
    written_as: Format | None = None

    def read(self, path: Path) -> Scan:
        """Read a file whose first bytes were recognised.

        Parameters
        ----------
        path : path
            An existing file, or folder.

        Returns
        -------
        Scan
            Values in this machine's byte order; `stored_dtype` is the file's.

        Raises
        ------
        Exception
            Of any kind on a damaged file; `scan.read` turns that into a `FormatError`.
        """
        scan = self.reader(path)
        if isinstance(scan.voxels, Held):
            scan = scan.with_data(native(scan.data))
        return replace(scan, format=self.name, name=str(path))

    def write(self, scan: Scan, path: Path, *, float32: bool) -> None:
        """Write a scan as float32 or in its stored dtype, with all that its header kept of its own file.

        Parameters
        ----------
        scan : Scan
            Real values.
        path : path
            Where to write; nothing must be there.
        float32 : bool
            Store float32 instead of the scan's stored dtype.

        Raises
        ------
        OutputError
            If the format can't hold its dtype or shape, or is only read.
        """
        if self.writer is None:
            other = "" if self.written_as is None else f"; write {' or '.join(self.written_as.suffixes)}"
            raise OutputError(f"{path}: {self.title} is only read{other}")
        self.writer(Outgoing(scan, np.dtype(np.float32) if float32 else scan.stored_dtype), path)

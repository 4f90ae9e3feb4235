"""DICOM as one of the formats. `scan.find` finds series of files, `scan.dicom.write` writes them."""

from __future__ import annotations

from pathlib import Path

from diffdenoise.errors import OutputError
from diffdenoise.scan.dicom.read import read
from diffdenoise.scan.dicom.sources import is_dicom
from diffdenoise.scan.format import Format, Outgoing

NOT_FROM_OTHERS = "DICOM can only be derived from DICOM; write another format"


def _write(out: Outgoing, path: Path) -> None:
    """Refuse: what came from DICOM is written as a series, and nothing else knows patient and study."""
    raise OutputError(f"{path}: {NOT_FROM_OTHERS}")


FORMAT = Format(
    "dicom",
    "DICOM",
    (".dcm", ".dicom", ".ima"),
    is_dicom,
    read,
    _write,
    "everything that a derived series may keep, see below; told by content, whatever the suffix",
    holds_float=False,
)

"""Scans that commands are given one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diffdenoise.errors import InputError
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.folder import is_store
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.scan import Scan


def read_checked(path: Path) -> Scan:
    """Return the image in a file; one that can't be compared is refused."""
    scan = read_one(path)
    check_scan(scan)
    return scan


def read_one(path: Path) -> Scan:
    """Return the image in a file, or the only one in a folder."""
    if not path.is_dir() or is_store(path):
        return read_scan(path, str(path))
    found = find_scans([path]).scans
    if len(found) != 1:
        raise InputError(
            f"{path}: is a folder of {len(found)} scans; expected one; compare them pair by pair: name the "
            "file or series, then the one that it is compared with"
        )
    return replace(found[0].read(), name=str(path))

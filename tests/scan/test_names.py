"""Names that no file can have are refused, in Python too, and what a disk says of a name is passed on."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from diffdenoise import api
from diffdenoise.errors import OutputError
from diffdenoise.images import scan_of
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.convert_files import convert
from diffdenoise.scan.folder import check_name
from diffdenoise.scan.write import write_scan
from diffdenoise.trust.figure import check_picture


@pytest.mark.parametrize(("name", "reason"), [("n" * 256, "2(56|60) bytes, at most"), ("a\0b", "null byte")])
def test_python_refuses_them_too(tmp_path: Path, name: str, reason: str) -> None:
    image = np.zeros((16, 16), np.float32)
    for call in (
        lambda: write_scan(scan_of(image), tmp_path / f"{name}.npy"),
        lambda: api.train(image, tmp_path / name),
        lambda: convert(tmp_path, tmp_path / name),
        lambda: check_picture(tmp_path / f"{name}.png"),
        lambda: atomic_path(tmp_path / name).__enter__(),
    ):
        with pytest.raises(OutputError, match=reason):
            call()
    assert not list(tmp_path.iterdir())


def test_the_longest_name_that_fits_is_taken(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".npy")
    write_scan(scan_of(np.arange(256, dtype=np.float32).reshape(16, 16)), path)
    assert path.exists()


def test_a_name_with_a_lone_surrogate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="characters that no file's can"):
        check_name(tmp_path / "a\ud800.npy")


def test_a_disk_with_a_lower_limit_is_passed_on(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "name.npy"):
            raise OSError(errno.ENAMETOOLONG, "File name too long")

    with pytest.raises(
        OutputError, match=r"name\.npy: its name is too long for this disk; nothing was written"
    ):
        write()

"""One array of a MATLAB file (.mat up to version 7), by SciPy; the other variables are kept."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.common import LEAST_SIDE, not_one_image
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.scan import Scan

_KEEPS = "the array's name, shape and type; all other variables"
#: Bytes of MATLAB's classes (MAT-File Format, table 1-3).
_ITEM_BYTES = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "single": 4}
_ITEM_BYTES |= {"int64": 8, "uint64": 8, "double": 8}


@dataclass(frozen=True)
class _Source:
    """The array's name, and the variables beside it."""

    key: str
    others: dict[str, Any] = field(compare=False, repr=False)


def _recognise(head: bytes) -> bool:
    return head.startswith(b"MATLAB 5.0") or head.startswith(b"MATLAB 7.3")


def read(path: Path) -> Scan:
    """Read a .mat file that holds one image.

    Parameters
    ----------
    path : path
        An existing file.

    Raises
    ------
    FormatError
        If it holds no image or several, is damaged, or of version 7.3.
    """
    from scipy import io

    with path.open("rb") as stream:
        if stream.read(10) == b"MATLAB 7.3":
            raise FormatError(f"{path}: is of version 7.3; expected 7 or older; save it with -v7 in MATLAB")
    _try_elsewhere(path)
    listed = io.whosmat(str(path))
    for key, shape, kind in listed:
        refuse_oversized(
            f"{path} ({key})",
            math.prod(shape) * _ITEM_BYTES.get(kind, 1),
            path.stat().st_size,
            compressed=True,
        )
    images = [
        key
        for key, shape, kind in listed
        if kind in _ITEM_BYTES and 2 <= len(shape) <= 4 and sorted(shape)[-2] >= LEAST_SIDE
    ]
    if len(images) != 1:
        raise not_one_image(path, images)
    content = io.loadmat(str(path))
    stored = content.pop(images[0])
    others = {key: value for key, value in content.items() if not key.startswith("__")}
    return Scan(
        data=native(stored),
        format="matlab",
        stored_dtype=stored.dtype,
        header=_Source(images[0], others),
        name=str(path),
    )


def _try_elsewhere(path: Path) -> None:
    """Read the file in another process first: on some damaged files SciPy 1.17 takes its process down."""
    code = "import sys; from scipy.io import loadmat; loadmat(sys.argv[1])"
    command = [sys.executable, "-c", code, str(path.resolve())]
    if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603
        raise FormatError(f"{path}: is damaged or of a kind that is not read; get a complete copy")


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a scan as .mat of version 7, under its name and with the variables that lay beside it.

    Parameters
    ----------
    scan : Scan
        Rounded and clipped if its stored dtype is an integer.
    path : path
        Where to write.
    float32 : bool
        Store float32 instead.
    """
    from scipy import io

    source = scan.header if isinstance(scan.header, _Source) else _Source("image", {})
    data = to_stored(scan.data, np.dtype(np.float32) if float32 else scan.stored_dtype)
    io.savemat(str(path), {**source.others, source.key: data}, appendmat=False, do_compression=True)


FORMAT = Format("matlab", "MATLAB", (".mat",), _recognise, read, write, _KEEPS)

"""One array of a MATLAB file (.mat up to version 7), by SciPy; the other variables are kept."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, IntensityError
from diffdenoise.scan.child import run_in_child
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.named_arrays import Place, has_sides, not_one_image, printable_name, rebuild
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

_KEEPS = "the array's name, shape and type; all other variables"
#: Bytes of MATLAB's classes (MAT-File Format, table 1-3).
_ITEM_BYTES = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "single": 4}
_ITEM_BYTES |= {"int64": 8, "uint64": 8, "double": 8}
#: Items of cells and structures are at least an empty element: a tag. In memory each is an object.
_LEAST_ITEM_BYTES = 8


def _recognise(head: bytes) -> bool:
    return head.startswith(b"MATLAB 5.0") or head.startswith(b"MATLAB 7.3")


def _read(path: Path) -> Scan:
    """The one image of a file up to version 7."""
    with path.open("rb") as stream:
        if stream.read(10) == b"MATLAB 7.3":
            raise FormatError(f"{path}: is of version 7.3; expected 7 or older; save it with -v7 in MATLAB")
    facts: dict[str, Any] = {"path": str(path)}
    held = path.stat().st_size
    found, _ = run_in_child(f"{__name__}:look", facts, name=str(path), stated=0, held=held)
    listed = [(str(key), tuple(shape), str(kind)) for key, shape, kind in found["listed"]]
    for key, shape, kind in listed:
        refuse_oversized(
            f"{path} ({printable_name(key)})",
            math.prod(shape) * _ITEM_BYTES.get(kind, _LEAST_ITEM_BYTES),
            held,
            compressed=True,
        )
    images = [
        (key, math.prod(shape) * _ITEM_BYTES[kind])
        for key, shape, kind in listed
        if kind in _ITEM_BYTES and len(shape) <= 4 and has_sides(shape)
    ]
    if len(images) != 1:
        raise not_one_image(path, [key for key, _ in images])
    key, stated = images[0]
    # The list doesn't say which are complex; those are refused once they are read.
    stated *= 2
    beside = len(listed) > 1
    facts |= {"key": key, "beside": beside}
    _, stored = run_in_child(f"{__name__}:load", facts, name=str(path), stated=stated, held=held)
    if stored is None:
        raise not_one_image(path, [])
    return Scan(stored, header=Place(key, stored.shape, path))


def look(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], None]:
    """List the variables; in another process, as SciPy 1.17 brings it down on some damaged files."""
    from scipy import io

    return {"listed": io.whosmat(facts["path"])}, None


def load(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Load one array, and see whether what lies beside it can be written back."""
    from scipy import io

    key = facts["key"]
    stored = io.loadmat(facts["path"], variable_names=[key])[key]
    if np.iscomplexobj(stored):
        raise IntensityError(
            f"{facts['path']} ({printable_name(key)}): holds complex values; expected real ones; take their "
            "magnitude first"
        )
    if facts["beside"]:
        others = _variables(facts["path"])
        others.pop(key, None)
        try:
            io.savemat(BytesIO(), others, long_field_names=True)
        except Exception as error:  # objects and function handles, above all
            raise FormatError(
                f"{facts['path']}: holds a variable that can't be written back; expected numbers, text, "
                "cells and structures; save the image by itself"
            ) from error
    return {}, stored


def _variables(path: str) -> dict[str, Any]:
    from scipy import io

    return {key: value for key, value in io.loadmat(path).items() if not key.startswith("__")}


def build(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Return the bytes of a file with another array in the place of one."""
    from scipy import io

    data = np.frombuffer(payload, np.dtype(facts["dtype"])).reshape(facts["shape"], order="F")
    others = _variables(facts["path"]) if facts["path"] else {}
    made = BytesIO()
    # Fields of structures may have names of 63 characters since MATLAB 7.
    io.savemat(made, {**others, facts["key"]: data}, do_compression=True, long_field_names=True)
    return {}, np.frombuffer(made.getbuffer(), np.uint8)


def _write(out: Outgoing, path: Path) -> None:
    """As version 7, under its name and with the variables that lay beside it."""
    rebuild(f"{__name__}:build", out, path, "F")


FORMAT = Format("matlab", "MATLAB", (".mat",), _recognise, _read, _write, _KEEPS)

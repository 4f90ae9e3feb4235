"""NRRD, attached (.nrrd) or with a detached header (.nhdr, only read), by pynrrd.

References
----------
NRRD file format, https://teem.sourceforge.net/nrrd/format.html (fields are named as there).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from diffdenoise.errors import FormatError, IntensityError, ShapeError
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.header import (
    check_axes,
    check_sizes,
    in_order,
    no_numbers,
    placing,
    second_file,
)
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.unpack import Unpacked
from diffdenoise.types import Affine, Array

_KEEPS = "all header fields, space directions and origin, type, encoding"
#: Kinds of axes that hold several values of one voxel, beside lists of volumes.
_OF_A_VOXEL = ("color", "vector", "matrix", "complex", "quaternion", "tensor", "normal", "point")
#: Bytes of the types, which have several names each: "unsigned short int", "ushort", "uint16_t".
_ITEM_BYTES = {"char": 1, "int8": 1, "short": 2, "int16": 2, "int": 4, "int32": 4, "float": 4}
_ITEM_BYTES |= {"longlong": 8, "long long": 8, "int64": 8, "double": 8}
_PACKED = {"gzip": "gzip", "gz": "gzip", "bzip2": "bz2", "bz2": "bz2"}
_IN_WORDS = ("ascii", "text", "txt")
#: Lines, and bytes, that may lie before the voxels.
_MOST_SKIPPED = 2**20
#: Fields that pynrrd works out for itself, and those that were true of a detached file alone.
_MADE_ANEW = ("type", "sizes", "dimension", "data file", "datafile", "byte skip", "line skip", "byteskip")
#: Signs that turn a space's axes to right, anterior, superior.
_TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
}
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}


@dataclass(frozen=True)
class _Source:
    """The axis of the file that lists volumes, and its header's fields."""

    list_axis: int | None
    fields: dict[str, Any] = field(compare=False)


def _recognise(head: bytes) -> bool:
    return head.startswith(b"NRRD000")


def _read(path: Path) -> Scan:
    """An axis that lists volumes is moved last."""
    import nrrd

    with path.open("rb") as stream:
        header = nrrd.read_header(stream)
        sizes = [int(size) for size in header["sizes"]]
        kinds = [str(kind).lower() for kind in header.get("kinds", [])]
        many = [kind for kind in kinds if any(word in kind for word in _OF_A_VOXEL)]
        if many:
            raise IntensityError(
                f"{path}: holds several values a voxel ({many[0]}); expected one; split it first"
            )
        lists = [axis for axis, kind in enumerate(kinds) if kind in ("list", "time")]
        check_axes(sizes, path)
        if len(lists) > 1:
            raise ShapeError(f"{path}: lists volumes along {len(lists)} axes; expected one; split it first")
        item = _item_bytes(header, path)
        check_sizes(sizes, path)
        named = header.get("data file", header.get("datafile"))
        voxels = path if named is None else second_file(path, str(named))
        kind = _PACKED.get(str(header.get("encoding", "raw")).lower())
        stated = math.prod(sizes) * item
        # Numbers in words: a digit and a space each, at least.
        least = 2 * math.prod(sizes) - 1 if header.get("encoding", "raw").lower() in _IN_WORDS else stated
        refuse_oversized(str(path), least, voxels.stat().st_size, compressed=kind is not None)
        if kind is None:
            stored = nrrd.read_data(header, stream, str(path))
        elif voxels is path:
            stored = _unpacked(header, stream, kind, path)
        else:
            with voxels.open("rb") as beside:
                stored = _unpacked(header, beside, kind, path)
    list_axis = lists[0] if lists else (3 if len(sizes) == 4 else None)
    data = stored if list_axis is None else np.moveaxis(stored, list_axis, -1)
    affine = _affine(header, [axis for axis in range(len(sizes)) if axis != list_axis], path)
    if affine is None:
        spacings = np.asarray(header.get("spacings", []), np.float64)
        if np.isinf(spacings).any():
            raise no_numbers("spacings", path)
        spacing = [float(each) for each in spacings if not math.isnan(each)]
    else:
        spacing = [float(each) for each in np.linalg.norm(affine[:3, :3], axis=0)]
    wanted = min(data.ndim, 3)
    known = len(spacing) == wanted and min(spacing, default=0) > 0
    return Scan(
        data,
        spacing_mm=tuple(spacing) if known else None,
        affine=affine,
        header=_Source(list_axis, header),
    )


def _unpacked(header: Any, stream: BinaryIO, kind: str, path: Path) -> Array:
    """Compressed voxels, of which no more is unpacked than the header states; pynrrd unpacks all there is."""
    lines = int(header.get("line skip", header.get("lineskip", 0)))
    skipped = int(header.get("byte skip", header.get("byteskip", 0)))
    # -1: the voxels lie at the end; of what is compressed, nothing else is there.
    skipped = 0 if skipped == -1 else skipped
    if not 0 <= lines <= _MOST_SKIPPED or not 0 <= skipped <= _MOST_SKIPPED:
        raise FormatError(
            f"{path}: skips {lines} lines and {skipped} bytes; expected few; get a complete copy"
        )
    for _ in range(lines):
        stream.readline(_MOST_SKIPPED)
    sizes = [int(size) for size in header["sizes"]]
    order = ">" if str(header.get("endian", "little")).lower() == "big" else "<"
    item = _item_bytes(header, path)
    words = str(header["type"]).lower()
    letter = "f" if words in ("float", "double") else "u" if words.startswith("u") else "i"
    packed = Unpacked(stream, kind, str(path))
    packed.array(skipped)
    content = packed.array(math.prod(sizes) * item)
    stored = in_order(content, np.dtype(f"{order}{letter}{item}"), sizes, path)
    if packed.read(1):
        raise FormatError(
            f"{path}: is damaged: its voxels unpack to more than the {math.prod(sizes) * item:,} bytes that "
            "its header states; get a complete copy"
        )
    return stored


def _item_bytes(header: Any, path: Path) -> int:
    """Bytes of a stored number."""
    words = str(header["type"]).lower().replace("unsigned", "").replace("signed", "").strip()
    name = words.removesuffix("_t").removeprefix("u").removesuffix(" int")
    if name not in _ITEM_BYTES:
        raise FormatError(f"{path}: holds values of type {words}; expected numbers; convert it")
    return _ITEM_BYTES[name]


def _affine(header: Any, axes: list[int], path: Path) -> Affine | None:
    """Voxels to mm in RAS, from `space directions` and `space origin`."""
    directions, origin = header.get("space directions"), header.get("space origin")
    # "none", of an axis that lies in no space, is read as numbers that are all NaN.
    rows = [
        np.asarray(row, np.float64) for row in ([] if directions is None else directions) if row is not None
    ]
    if any(np.isinf(row).any() or 0 < np.isnan(row).sum() < row.size for row in rows):
        raise no_numbers("space directions", path)
    space = str(header.get("space", "")).lower()
    signs = _TO_RAS.get(_SHORT.get(space, space).removesuffix("-time"))
    if directions is None or signs is None or len(axes) != 3:
        return None
    columns = [
        np.full(3, np.nan) if directions[axis] is None else np.asarray(directions[axis], np.float64)
        for axis in axes
    ]
    if any(column.shape != (3,) or not np.isfinite(column).all() for column in columns):
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.stack(columns, axis=1)
    if origin is not None and not np.isfinite(origin).all():
        raise no_numbers("space origin", path)
    if origin is not None:
        affine[:3, 3] = origin
    return placing(np.diag([*signs, 1.0]) @ affine)


def _write(out: Outgoing, path: Path) -> None:
    """As .nrrd, with the header that it came with."""
    import nrrd

    scan, data, source = out.scan, out.values, out.source(_Source)
    header: dict[str, Any] = {}
    if source is not None:
        header = {key: value for key, value in source.fields.items() if key not in _MADE_ANEW}
        if source.list_axis is not None:
            data = np.moveaxis(data, -1, source.list_axis)
    elif scan.affine is not None and data.ndim >= 3:
        rest = [[math.nan] * 3] * (data.ndim - 3)
        header = {
            "space": "right-anterior-superior",
            "space directions": np.array([*scan.affine[:3, :3].T, *rest]),
            "space origin": scan.affine[:3, 3],
            "kinds": [*["domain"] * 3, *["list"] * (data.ndim - 3)],
        }
    elif scan.spacing_mm is not None:
        header = {"spacings": [*scan.spacing_mm, *[math.nan] * (data.ndim - len(scan.spacing_mm))]}
    nrrd.write(str(path), np.ascontiguousarray(data.T).T, header)


FORMAT = Format("nrrd", "NRRD", (".nrrd",), _recognise, _read, _write, _KEEPS)
# Voxels beside a header can't be replaced in one step with it.
DETACHED = Format(
    "nhdr",
    "NRRD with a detached header",
    (".nhdr",),
    _recognise,
    _read,
    None,
    "as NRRD",
    written_as=FORMAT,
)

"""MetaImage: .mha in one file, or .mhd with its voxels in another (only read; written as .mha).

References
----------
MetaIO, https://itk.org/Wiki/ITK/MetaIO/Documentation (fields are named as there).
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.header import (
    check_axes,
    check_finite,
    check_sizes,
    in_order,
    placing,
    second_file,
)
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.unpack import Unpacked, read_plain
from diffdenoise.types import Affine

_KEEPS = "all header fields, orientation, offset and spacing, type, byte order, compression"
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    # 4 bytes wherever it was written (MetaIO, metaTypes.h).
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
#: The header ends with the line that says where the voxels are.
_LAST_FIELD = "ElementDataFile"
#: Tracked ultrasound has about 900 bytes of header for each frame; a line is a field.
_MOST_HEADER_BYTES, _MOST_LINE_BYTES = 64 * 2**20, 2**20
#: What is true of a file's bytes alone.
_OF_THE_FILE = {"CompressedDataSize", "HeaderSize", "ElementByteOrderMSB", _LAST_FIELD}
#: MetaIO counts in LPS, an affine here in RAS.
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class _Source:
    """Header lines in order, and what was told by them."""

    fields: tuple[tuple[str, str], ...]
    compressed: bool
    byteorder: str


def _recognise(head: bytes) -> bool:
    return head.lstrip()[:10] == b"ObjectType" or head.lstrip()[:5] == b"NDims"


def _read(path: Path) -> Scan:
    with path.open("rb") as stream:
        fields = _header(stream, path)
        start = stream.tell()
    shape, dtype = _layout(fields, path)
    compressed = fields.get("CompressedData", "False").lower() == "true"
    place = fields[_LAST_FIELD]
    file = path if place.upper() == "LOCAL" else second_file(path, place)
    start = start if file is path else 0
    stated, held = math.prod(shape) * dtype.itemsize, file.stat().st_size - start
    refuse_oversized(str(path), stated, held, compressed=compressed)
    with file.open("rb") as stream:
        stream.seek(start)
        if compressed:
            content = Unpacked(stream, "zlib", str(path)).array(stated)
        else:
            skipped = int(fields.get("HeaderSize", 0))
            stream.seek(start + (max(0, held - stated) if skipped == -1 else max(0, skipped)))
            content = read_plain(stream, stated)
    affine, spacing = _geometry(fields, len(shape), path)
    return Scan(
        in_order(content, dtype, shape, path),
        spacing_mm=spacing,
        affine=affine,
        header=_Source(
            tuple((key, value) for key, value in fields.items() if key not in _OF_THE_FILE),
            compressed,
            dtype.byteorder,
        ),
    )


def _header(stream: BinaryIO, path: Path) -> dict[str, str]:
    """Read the fields of the header; the stream is then at its end."""
    fields: dict[str, str] = {}
    while _LAST_FIELD not in fields:
        raw = stream.readline(_MOST_LINE_BYTES)
        if not raw.endswith(b"\n") or stream.tell() > _MOST_HEADER_BYTES:
            raise FormatError(
                f"{path}: its header has no end in {_MOST_HEADER_BYTES // 2**20} MiB; expected a line "
                f"{_LAST_FIELD}; get a complete copy"
            )
        line = raw.decode("latin-1").strip()
        key, equals, value = line.partition("=")
        if line and not equals:
            raise FormatError(
                f"{path}: its header is damaged; expected lines of key = value; get a complete copy"
            )
        fields[key.strip()] = value.strip()
    return fields


def _layout(fields: dict[str, str], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and stored dtype."""
    shape = tuple(int(size) for size in fields["DimSize"].split())
    check_axes(shape, path)
    stated = int(fields.get("NDims", len(shape)))
    if len(shape) != stated:
        raise ShapeError(f"{path}: has {len(shape)} axes, and {stated} by its NDims; correct its header")
    check_sizes(shape, path)
    if int(fields.get("ElementNumberOfChannels", 1)) != 1:
        raise IntensityError(f"{path}: holds several values a voxel; expected one; split it first")
    kind = fields.get("ElementType", "")
    if kind not in _TYPES or fields.get("BinaryData", "True").lower() != "true":
        raise FormatError(
            f"{path}: holds values of a type that is not read; expected binary numbers; convert it"
        )
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
    return shape, np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")


def _geometry(
    fields: dict[str, str], axes: int, path: Path
) -> tuple[Affine | None, tuple[float, ...] | None]:
    """Affine in RAS and voxel sizes, of the axes in space."""
    count = min(axes, 3)
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), axes)
    if spacing is None:
        return None, None
    check_finite(spacing[:count], "ElementSpacing", path)
    if min(spacing[:count]) <= 0:
        return None, None
    turn = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), axes * axes)
    offset = _numbers(fields, ("Offset", "Position", "Origin"), axes)
    if axes < 3 or offset is None:
        return None, tuple(spacing[:count])
    # A row of the matrix is the direction of an axis.
    directions = np.eye(axes) if turn is None else np.array(turn).reshape(axes, axes)
    affine = np.eye(4)
    affine[:3, :3] = directions[:3, :3].T * np.array(spacing[:3])
    affine[:3, 3] = offset[:3]
    check_finite(affine[:3, :3], "TransformMatrix", path)
    check_finite(affine, "Offset", path)
    return placing(_TO_RAS @ affine), tuple(spacing[:count])


def _numbers(fields: dict[str, str], names: tuple[str, ...], count: int) -> list[float] | None:
    """The numbers of the first field that is there."""
    words = next((fields[name].split() for name in names if name in fields), None)
    return None if words is None or len(words) != count else [float(word) for word in words]


def _write(out: Outgoing, path: Path) -> None:
    """As .mha, with the header that it came with."""
    source = out.source(_Source)
    order: Literal["<", ">"] = "<" if source is None or source.byteorder != ">" else ">"
    names = {code: name for name, code in _TYPES.items() if name not in ("MET_LONG", "MET_ULONG")}
    name = names.get(f"{out.dtype.kind}{out.dtype.itemsize}")
    if name is None:
        raise OutputError(f"{path}: MetaImage cannot store {out.dtype}; ask for float32")
    fields = dict(source.fields) if source is not None else _new_fields(out.scan)
    compressed = source.compressed if source is not None else True
    content = out.values.astype(out.dtype.newbyteorder(order)).tobytes(order="F")
    if compressed:
        content = zlib.compress(content)
    fields["BinaryDataByteOrderMSB"] = str(order == ">")
    fields["CompressedData"] = str(compressed)
    if compressed:
        fields["CompressedDataSize"] = str(len(content))
    fields |= {"ElementType": name}
    text = "".join(f"{key} = {value}\n" for key, value in fields.items() if key)
    path.write_bytes(text.encode("latin-1") + f"{_LAST_FIELD} = LOCAL\n".encode() + content)


def _new_fields(scan: Scan) -> dict[str, str]:
    """Header of a scan that came from elsewhere."""
    axes = scan.ndim
    sizes = scan.spacing_mm or (1.0,) * min(axes, 3)
    fields = {"ObjectType": "Image", "NDims": str(axes), "BinaryData": "True"}
    if scan.affine is not None and axes > 2:
        lps = _TO_RAS @ scan.affine
        sizes = tuple(float(size) for size in np.linalg.norm(lps[:3, :3], axis=0))
        turn = np.eye(axes)
        turn[:3, :3] = (lps[:3, :3] / np.array(sizes)).T
        fields["TransformMatrix"] = " ".join(f"{each:.17g}" for each in turn.ravel())
        fields["Offset"] = " ".join(f"{each:.17g}" for each in [*lps[:3, 3], *[0.0] * (axes - 3)])
    fields["ElementSpacing"] = " ".join(f"{each:.17g}" for each in [*sizes, *[1.0] * (axes - len(sizes))])
    fields["DimSize"] = " ".join(str(size) for size in scan.shape)
    return fields


FORMAT = Format("metaimage", "MetaImage", (".mhd", ".mha"), _recognise, _read, _write, _KEEPS)

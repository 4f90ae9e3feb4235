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
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.common import placing
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.unpack import Unpacked, read_plain
from diffdenoise.types import Affine, Array

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


def read(path: Path) -> Scan:
    """Read a .mha or .mhd file.

    Parameters
    ----------
    path : path
        An existing file.

    Raises
    ------
    FormatError
        If it is damaged, states more than it can hold, or names voxels outside of its folder.
    ShapeError, IntensityError
        If it isn't one real number a voxel in up to four axes.
    """
    with path.open("rb") as stream:
        fields = _header(stream, path)
        start = stream.tell()
    shape, dtype = _layout(fields, path)
    compressed = fields.get("CompressedData", "False").lower() == "true"
    place = fields[_LAST_FIELD]
    file = path if place.upper() == "LOCAL" else _second_file(path, place)
    start = start if file is path else 0
    count = math.prod(shape)
    stated, held = count * dtype.itemsize, file.stat().st_size - start
    refuse_oversized(str(path), stated, held, compressed=compressed)
    with file.open("rb") as stream:
        stream.seek(start)
        if compressed:
            content = Unpacked(stream, "zlib", str(path)).array(stated)
        else:
            skipped = int(fields.get("HeaderSize", 0))
            stream.seek(start + (max(0, held - stated) if skipped == -1 else max(0, skipped)))
            content = read_plain(stream, stated)
    if len(content) < stated:
        raise FormatError(
            f"{path}: is cut short: {len(content):,} of {stated:,} bytes are there; get a complete copy"
        )
    stored = content.view(dtype).reshape(shape, order="F")
    affine, spacing = _geometry(fields, len(shape), path)
    return Scan(
        data=native(stored),
        format="metaimage",
        stored_dtype=dtype,
        spacing_mm=spacing,
        affine=affine,
        header=_Source(
            tuple((key, value) for key, value in fields.items() if key not in _OF_THE_FILE),
            compressed,
            dtype.byteorder,
        ),
        name=str(path),
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
    if not 2 <= len(shape) <= 4 or len(shape) != int(fields.get("NDims", len(shape))):
        raise ShapeError(f"{path}: has {len(shape)} axes {shape}; expected 2 to 4; split it first")
    if min(shape) < 1:
        raise FormatError(
            f"{path}: is damaged: its header states a size of {min(shape)}; get a complete copy"
        )
    if int(fields.get("ElementNumberOfChannels", 1)) != 1:
        raise IntensityError(f"{path}: holds several values a voxel; expected one; split it first")
    kind = fields.get("ElementType", "")
    if kind not in _TYPES or fields.get("BinaryData", "True").lower() != "true":
        raise FormatError(
            f"{path}: holds values of a type that is not read; expected binary numbers; convert it"
        )
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
    return shape, np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")


def _second_file(path: Path, name: str) -> Path:
    """The file of the voxels; it must lie in the header's folder, or below."""
    if name.upper().startswith("LIST") or "%" in name:
        raise FormatError(f"{path}: has its voxels in several files; expected one; join them first")
    file = path.parent / name
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise FormatError(f"{path}: names voxels outside of its folder; move them beside it")
    if not file.is_file():
        raise FormatError(f"{path}: its second file, {name}, is missing; get both")
    return file


def _geometry(
    fields: dict[str, str], axes: int, path: Path
) -> tuple[Affine | None, tuple[float, ...] | None]:
    """Affine in RAS and voxel sizes, of the axes in space."""
    count = min(axes, 3)
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), axes)
    if spacing is not None and not all(math.isfinite(size) for size in spacing[:count]):
        raise FormatError(
            f"{path}: its ElementSpacing holds NaN or infinity; expected numbers; correct its header"
        )
    known = spacing is not None and min(spacing[:count]) > 0
    if spacing is None or not known:
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
    if not np.isfinite(affine).all():
        field = "TransformMatrix" if not np.isfinite(affine[:3, :3]).all() else "Offset"
        raise FormatError(f"{path}: its {field} holds NaN or infinity; expected numbers; correct its header")
    return placing(_TO_RAS @ affine), tuple(spacing[:count])


def _numbers(fields: dict[str, str], names: tuple[str, ...], count: int) -> list[float] | None:
    """The numbers of the first field that is there."""
    words = next((fields[name].split() for name in names if name in fields), None)
    return None if words is None or len(words) != count else [float(word) for word in words]


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a scan as .mha, with the header that it came with.

    Parameters
    ----------
    scan : Scan
        Rounded and clipped if its stored dtype is an integer.
    path : path
        Where to write.
    float32 : bool
        Store float32 instead.

    Raises
    ------
    OutputError
        If MetaImage has no name for the dtype.
    """
    source = scan.header if isinstance(scan.header, _Source) else None
    order: Literal["<", ">"] = "<" if source is None or source.byteorder != ">" else ">"
    dtype = np.dtype(np.float32) if float32 else scan.stored_dtype
    names = {code: name for name, code in _TYPES.items() if name not in ("MET_LONG", "MET_ULONG")}
    name = names.get(f"{dtype.kind}{dtype.itemsize}")
    if name is None:
        raise OutputError(f"{path}: MetaImage cannot store {dtype}; ask for float32")
    fields = dict(source.fields) if source is not None else _new_fields(scan)
    compressed = source.compressed if source is not None else True
    content = _bytes(to_stored(scan.data, dtype), dtype.newbyteorder(order))
    if compressed:
        content = zlib.compress(content)
    fields["BinaryDataByteOrderMSB"] = str(order == ">")
    fields["CompressedData"] = str(compressed)
    if compressed:
        fields["CompressedDataSize"] = str(len(content))
    fields |= {"ElementType": name}
    text = "".join(f"{key} = {value}\n" for key, value in fields.items() if key)
    path.write_bytes(text.encode("latin-1") + f"{_LAST_FIELD} = LOCAL\n".encode() + content)


def _bytes(values: Array, dtype: np.dtype[Any]) -> bytes:
    return values.astype(dtype).tobytes(order="F")


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


FORMAT = Format("metaimage", "MetaImage", (".mhd", ".mha"), _recognise, read, write, _KEEPS)

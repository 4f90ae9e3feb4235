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

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.common import placing
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
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


def read(path: Path) -> Scan:
    """Read a .nrrd or .nhdr file.

    Parameters
    ----------
    path : path
        An existing file.

    Returns
    -------
    Scan
        An axis that lists volumes is moved last.

    Raises
    ------
    FormatError
        If it is damaged, states more than it can hold, or names voxels outside of its folder.
    ShapeError, IntensityError
        If it isn't one real number a voxel in up to four axes.
    """
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
        if not 2 <= len(sizes) <= 4 or len(lists) > 1:
            raise ShapeError(f"{path}: has {len(sizes)} axes {tuple(sizes)}; expected 2 to 4; split it first")
        item = _item_bytes(header, path)
        if min(sizes) < 1:
            raise FormatError(
                f"{path}: is damaged: its header states a size of {min(sizes)}; get a complete copy"
            )
        voxels = next(iter(_data_files(header, path)), path)
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
    data = native(stored if list_axis is None else np.moveaxis(stored, list_axis, -1))
    affine = _affine(header, [axis for axis in range(len(sizes)) if axis != list_axis], path)
    if affine is None:
        spacings = np.asarray(header.get("spacings", []), np.float64)
        if np.isinf(spacings).any():
            raise _no_numbers(path, "spacings")
        spacing = [float(each) for each in spacings if not math.isnan(each)]
    else:
        spacing = [float(each) for each in np.linalg.norm(affine[:3, :3], axis=0)]
    wanted = min(data.ndim, 3)
    known = len(spacing) == wanted and min(spacing, default=0) > 0
    return Scan(
        data=data,
        format="nrrd",
        stored_dtype=stored.dtype,
        spacing_mm=tuple(spacing) if known else None,
        affine=affine,
        header=_Source(list_axis, header),
        name=str(path),
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
    if len(content) < math.prod(sizes) * item:
        raise FormatError(
            f"{path}: is cut short: {len(content):,} of {math.prod(sizes) * item:,} bytes are there; get a "
            "complete copy"
        )
    if packed.read(1):
        raise FormatError(
            f"{path}: is damaged: its voxels unpack to more than the {math.prod(sizes) * item:,} bytes that "
            "its header states; get a complete copy"
        )
    return content.view(f"{order}{letter}{item}").reshape(sizes, order="F")


def _item_bytes(header: Any, path: Path) -> int:
    """Bytes of a stored number."""
    words = str(header["type"]).lower().replace("unsigned", "").replace("signed", "").strip()
    name = words.removesuffix("_t").removeprefix("u").removesuffix(" int")
    if name not in _ITEM_BYTES:
        raise FormatError(f"{path}: holds values of type {words}; expected numbers; convert it")
    return _ITEM_BYTES[name]


def _data_files(header: Any, path: Path) -> list[Path]:
    """Files of a detached header's voxels; they must lie in its folder, or below."""
    named = header.get("data file", header.get("datafile"))
    if named is None:
        return []
    words = str(named)
    if words.upper().startswith("LIST") or "%" in words:
        raise FormatError(f"{path}: has its voxels in several files; expected one; join them first")
    file = path.parent / words
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise FormatError(f"{path}: names voxels outside of its folder; move them beside it")
    if not file.is_file():
        raise FormatError(f"{path}: its second file, {words}, is missing; get both")
    return [file]


def _affine(header: Any, axes: list[int], path: Path) -> Affine | None:
    """Voxels to mm in RAS, from `space directions` and `space origin`."""
    directions, origin = header.get("space directions"), header.get("space origin")
    # "none", of an axis that lies in no space, is read as numbers that are all NaN.
    rows = [
        np.asarray(row, np.float64) for row in ([] if directions is None else directions) if row is not None
    ]
    if any(np.isinf(row).any() or 0 < np.isnan(row).sum() < row.size for row in rows):
        raise _no_numbers(path, "space directions")
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
        raise _no_numbers(path, "space origin")
    if origin is not None:
        affine[:3, 3] = origin
    return placing(np.diag([*signs, 1.0]) @ affine)


def _no_numbers(path: Path, field: str) -> FormatError:
    return FormatError(
        f"{path}: its {field} hold NaN or infinity; expected numbers, or none; correct its header"
    )


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a scan as .nrrd, with the header that it came with.

    Parameters
    ----------
    scan : Scan
        Rounded and clipped if its stored dtype is an integer.
    path : path
        Where to write.
    float32 : bool
        Store float32 instead.
    """
    import nrrd

    dtype = np.dtype(np.float32) if float32 else scan.stored_dtype
    data = to_stored(scan.data, dtype)
    header: dict[str, Any] = {}
    if isinstance(scan.header, _Source):
        list_axis = scan.header.list_axis
        # What pynrrd works out for itself, and what was true of a detached file alone.
        made_anew = (
            "type",
            "sizes",
            "dimension",
            "data file",
            "datafile",
            "byte skip",
            "line skip",
            "byteskip",
        )
        header = {key: value for key, value in scan.header.fields.items() if key not in made_anew}
        if list_axis is not None:
            data = np.moveaxis(data, -1, list_axis)
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


def write_nothing(scan: Scan, path: Path, *, float32: bool) -> None:
    """Refuse: voxels beside a header can't be replaced in one step with it."""
    raise OutputError(f"{path}: detached headers are only read; write .nrrd")


FORMAT = Format("nrrd", "NRRD", (".nrrd",), _recognise, read, write, _KEEPS)
DETACHED = Format(
    "nhdr",
    "NRRD with a detached header",
    (".nhdr",),
    _recognise,
    read,
    write_nothing,
    "as NRRD",
    written_as="nrrd",
)

"""Where the image is in a Zarr store, what its axes are, and whether its arrays can be trusted.

References
----------
OME-NGFF 0.5 (and 0.1 to 0.4), https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdenoise.errors import FormatError
from diffdenoise.scan.formats.header import check_real
from diffdenoise.scan.formats.named_arrays import has_sides, not_one_image
from diffdenoise.scan.limits import LEAST_BYTES, most_unpacked, refuse_unpacked
from diffdenoise.scan.pixels import DEFLATE_SHRINKS

#: Axes of images before NGFF 0.3, which doesn't list them.
_EARLY_AXES = ("t", "c", "z", "y", "x")
#: NGFF leaves the names of axes free, but fixes these types; plain arrays have names alone.
_AXIS_OF = {"time": "t", "channel": "c"}
#: Lengths that NGFF names, in mm.
_UNIT_MM = {"meter": 1e3, "centimeter": 10.0, "millimeter": 1.0, "micrometer": 1e-3, "nanometer": 1e-6}
#: Codecs that only compress or rearrange; others may run code that the file brings (pickle).
_CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "bytes", "transpose", "crc32c", "crc32"),
    *("sharding_indexed", "shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "adler32"),
}
#: Compressed chunks may state a little more than they must hold.
_CHUNK_SLACK = 2**16


@dataclass(frozen=True)
class Image:
    """An image in a store.

    Attributes
    ----------
    group : str
        Its group; "" for the store itself.
    levels : tuple of str
        Its arrays in the group, the finest first; "" where the store itself is one.
    axes : tuple of str
        "t", "c", "z", "y", "x"; of plain arrays their own names, or numbers.
    spacing_mm : tuple of float
        Size of a voxel of the finest level along each axis; 0 where it isn't known.
    """

    group: str
    levels: tuple[str, ...]
    axes: tuple[str, ...]
    spacing_mm: tuple[float, ...]

    def paths(self) -> tuple[str, ...]:
        """Return the levels' paths in the store."""
        return tuple("/".join(part for part in (self.group, level) if part) for level in self.levels)


def find_image(root: Any, path: Path) -> Image:
    """Return the one image of a store.

    Parameters
    ----------
    root : zarr.Group or zarr.Array
        The store, open.
    path : path
        For messages.

    Raises
    ------
    FormatError
        If it holds none, or several.
    """
    if not hasattr(root, "members"):
        return _plain("", root)
    arrays: dict[str, Any] = {}
    images: list[tuple[str, Any]] = _multiscales("", root)
    for name, member in root.members(max_depth=None):
        if name == "labels" or name.startswith("labels/") or "/labels/" in name or name.endswith("/labels"):
            continue
        if hasattr(member, "members"):
            images += _multiscales(name, member)
        else:
            arrays[name] = member
    if len(images) == 1:
        ((group, image),) = images
        axes = image.get("axes") or _EARLY_AXES
        levels = tuple(str(level["path"]) for level in image["datasets"])
        return Image(group, levels, tuple(_axis(each) for each in axes), _spacing(image, axes))
    likely = [name for name, array in arrays.items() if has_sides(array.shape)]
    if images or len(likely) != 1:
        names = [name or "the store itself" for name, _ in images]
        raise not_one_image(path, names, "images") if images else not_one_image(path, likely)
    return _plain(likely[0], arrays[likely[0]])


def _plain(name: str, array: Any) -> Image:
    """The image that an array is by itself."""
    given = getattr(array.metadata, "dimension_names", None) or [None] * array.ndim
    axes = tuple(_axis(each) if each else str(number) for number, each in enumerate(given))
    return Image("", (name,), axes, (0.0,) * len(axes))


def _axis(given: Any) -> str:
    """Name of an axis: a word, or what NGFF says of it."""
    if isinstance(given, Mapping):
        return _AXIS_OF.get(str(given.get("type")), str(given["name"]).lower())
    word = str(given).lower()
    return _AXIS_OF.get(word, word)


def _multiscales(name: str, group: Any) -> list[tuple[str, Any]]:
    """The images that a group says it is, each with the group's name."""
    attributes = group.attrs.asdict()
    found = attributes.get("ome", attributes)
    listed = found.get("multiscales") if isinstance(found, Mapping) else None
    return [(name, each) for each in listed] if isinstance(listed, Sequence) else []


def _spacing(image: Any, axes: Sequence[Any]) -> tuple[float, ...]:
    """Size of a voxel of the finest level along each axis, mm; 0 where the unit isn't known."""
    sizes = [_UNIT_MM.get(str(axis.get("unit")), 0.0) if isinstance(axis, Mapping) else 0.0 for axis in axes]
    applied = [
        *image["datasets"][0].get("coordinateTransformations", []),
        *image.get("coordinateTransformations", []),
    ]
    for each in applied:
        if each.get("type") == "scale":
            sizes = [size * float(scale) for size, scale in zip(sizes, each["scale"], strict=True)]
    return tuple(size if 0 < size < math.inf else 0.0 for size in sizes)


def refuse_strange_files(path: Path) -> None:
    """Raise `FormatError` if a store holds anything but folders and files, before any of it is opened.

    A link may lead to a file that nobody meant to give or to a device that never ends; a pipe waits for ever.
    Only links to files of the store itself are followed.
    """
    root = path.resolve()
    left = [root]
    while left:
        for entry in os.scandir(left.pop()):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                left.append(Path(entry.path))
            elif stat.S_ISLNK(mode):
                target = Path(entry.path).resolve()
                if not target.is_relative_to(root) or not target.is_file():
                    raise FormatError(
                        f"{path}: holds a link that leads out of it, or to no file; expected files of its "
                        "own; put a copy in the link's place"
                    )
            elif not stat.S_ISREG(mode):
                raise FormatError(f"{path}: holds a pipe, device or socket; expected files; remove it")


def check_levels(arrays: Sequence[Any], names: Sequence[str], axes: Sequence[str], path: Path) -> int:
    """Raise an error for what is no image, could run code or exhaust the memory; before any chunk is read.

    Parameters
    ----------
    arrays : sequence
        What lies at the image's levels, the finest first.
    names, axes : sequence of str
        Of the levels, and of the axes.
    path : path
        For messages.

    Returns
    -------
    int
        Bytes that are stored of the finest level.

    Raises
    ------
    FormatError, IntensityError
        Accordingly.
    """
    finest, of_finest = arrays[0], 0
    for array in arrays:
        if hasattr(array, "members") or array.ndim != len(axes) or len(set(names)) < len(names):
            raise FormatError(f"{path}: is damaged: its levels aren't arrays of the axes that it names")
        if array.dtype.kind not in "iufc":
            raise FormatError(f"{path}: holds no numbers; expected integers or floats; convert it")
        check_real(array.dtype, path)
        if any(own > most for own, most in zip(array.shape, finest.shape, strict=True)):
            raise FormatError(f"{path}: is damaged: a coarser level is larger than the finest")
        strange = sorted(set(_codecs(array.metadata.to_dict())) - _CODECS)
        if strange:
            name = strange[0] if re.fullmatch(r"[a-z0-9_.-]{1,40}", strange[0]) else "of another name"
            raise FormatError(f"{path}: its codec {name} is not read; expected zstd, blosc, gzip or the like")
        chunk = array.dtype.itemsize * math.prod(array.shards or array.chunks)
        stated = max(chunk, array.dtype.itemsize * math.prod(array.shape))
        held = int(array.nbytes_stored())
        # Blank chunks may be left out: a small store may state more than it holds.
        if stated > max(LEAST_BYTES, DEFLATE_SHRINKS * held):
            raise FormatError(
                f"{path}: states {stated:,} bytes of voxels and holds {held:,}; it is damaged, or mostly "
                "blank: crop it first"
            )
        refuse_unpacked(str(path), stated, most_unpacked(held))
        of_finest = held if array is finest else of_finest
    _check_chunks(finest, path)
    return of_finest


def _codecs(metadata: Any) -> Iterator[str]:
    """Names of all codecs in an array's metadata, nested ones too."""
    for key in ("compressor", "filters", "codecs", "index_codecs"):
        found = metadata.get(key) or ()
        for codec in [found] if isinstance(found, Mapping) else found:
            yield str(codec.get("id") or codec.get("name")).removeprefix("numcodecs.")
            yield from _codecs(codec.get("configuration") or {})


def _check_chunks(array: Any, path: Path) -> None:
    """Raise `FormatError` if a chunk states that it unpacks to more than a chunk is.

    Of zstd, blosc and lz4, whose chunks say so, for a clear message; what others unpack to, and what lies
    inside of shards, is limited in the process that decodes them.
    """
    if array.shards is not None:
        return
    folder = path / array.path
    most = array.dtype.itemsize * math.prod(array.chunks) + _CHUNK_SLACK
    last = [name for name in _codecs(array.metadata.to_dict()) if name in _STATED]
    for file in folder.rglob("*") if last else ():
        if not file.is_file() or file.name.startswith(".z") or file.name == "zarr.json":
            continue
        with file.open("rb") as stream:
            stated = _STATED[last[-1]](stream.read(18))
        if stated > most:
            raise FormatError(
                f"{path}: is damaged: a chunk unpacks to more than its size; get a complete copy"
            )


def _zstd_size(head: bytes) -> int:
    """Frame_Content_Size of a zstd frame (RFC 8878, 3.1.1.1); 0 where it isn't stated."""
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return 0
    flags = head[4]
    single = flags >> 5 & 1
    width = (single, 2, 4, 8)[flags >> 6]
    start = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def _blosc_size(head: bytes) -> int:
    """Field `nbytes` of a Blosc 1 header."""
    return int.from_bytes(head[4:8], "little")


def _lz4_size(head: bytes) -> int:
    """The size that numcodecs puts before an LZ4 block."""
    return int.from_bytes(head[:4], "little")


_STATED = {"zstd": _zstd_size, "blosc": _blosc_size, "lz4": _lz4_size}

"""OME-Zarr images and plain Zarr arrays, of both formats 2 and 3; a folder each, by zarr-python.

References
----------
OME-NGFF 0.5 (and 0.1 to 0.4), https://ngff.openmicroscopy.org; Zarr core specification 3.0, https://zarr-specs.readthedocs.io.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffdenoise.errors import FormatError, IntensityError, ShapeError
from diffdenoise.scan.folder import STORE
from diffdenoise.scan.format import Format
from diffdenoise.scan.pixels import MOST_SHRINKAGE, native, to_stored
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

if TYPE_CHECKING:
    from zarr import Array as ZarrArray
    from zarr import Group

_KEEPS = (
    "type, chunks, shards, compression, attributes, resolution levels (made anew from the result); labels "
    "and other arrays aren't copied"
)
#: Axes of images before NGFF 0.3, which doesn't list them.
_EARLY_AXES = ("t", "c", "z", "y", "x")
#: Lengths that NGFF names, in mm.
_UNIT_MM = {"meter": 1e3, "centimeter": 10.0, "millimeter": 1.0, "micrometer": 1e-3, "nanometer": 1e-6}
#: Codecs that only compress or rearrange; others may run code that the file brings (pickle).
_CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "bytes", "transpose", "crc32c", "crc32"),
    *("sharding_indexed", "shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "adler32"),
}
#: Stores may leave empty chunks out, so small ones may state more than they hold; up to this many bytes.
_LEAST_BOMB_BYTES = 256 * 2**20
_LEAST_SIDE = 8


@dataclass(frozen=True)
class _Source:
    """Where the image is: its group and levels, and what order and shape its axes have there."""

    file: Path = field(compare=False)
    group: str
    levels: tuple[str, ...]
    axes: tuple[str, ...]


def _recognise(head: bytes) -> bool:
    """Nothing: it is a folder."""
    return False


def _import_zarr(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise FormatError(
            f"{path}: Zarr needs a package that is not installed: pip install 'diffdenoise[zarr]'"
        ) from error
    return zarr


def read(path: Path) -> Scan:
    """Read the finest level of an OME-Zarr image, or the only array of another Zarr store.

    Parameters
    ----------
    path : path
        A folder.

    Returns
    -------
    Scan
        Axes (z, y, x) and, last, t, those of length 1 left out.

    Raises
    ------
    FormatError
        If it is damaged, holds no image or several, or a codec that isn't known to be safe.
    ShapeError, IntensityError
        If it isn't one real number a voxel in up to four axes: several channels, say.
    """
    zarr = _import_zarr(path)
    with quiet("zarr"):
        root = zarr.open(str(path), mode="r")
        if isinstance(root, zarr.Array):
            source, scales = _Source(path, "", ("",), _names(root)), None
            array: Any = root
        else:
            source, scales = _find(zarr, root, path)
            array = root["/".join(part for part in (source.group, source.levels[0]) if part)]
        _check(array, path)
        stored = np.asarray(array[...])
    if len(source.axes) != stored.ndim:
        raise FormatError(f"{path}: is damaged: it names {len(source.axes)} axes but has {stored.ndim}")
    if dict(zip(source.axes, stored.shape, strict=True)).get("c", 1) > 1:
        raise ShapeError(f"{path}: holds several channels; expected one; split it first")
    order = _order(source.axes, stored.shape)
    if not 2 <= len(order) <= 4:
        raise ShapeError(f"{path}: has {len(order)} axes {stored.shape}; expected 2 to 4; split it first")
    spacing = None if scales is None else tuple(scales[axis] for axis in order[:3])
    # The axes of length 1 go to the end, where they vanish.
    rest = [axis for axis in range(stored.ndim) if axis not in order]
    return Scan(
        data=native(stored.transpose(*order, *rest).reshape([stored.shape[axis] for axis in order])),
        format="zarr",
        stored_dtype=stored.dtype,
        spacing_mm=spacing if spacing is not None and all(spacing) else None,
        slice_axis=0 if len(order) > 2 and source.axes[order[0]] in ("z", "t") else None,
        header=source,
        name=str(path),
    )


def _names(array: ZarrArray[Any]) -> tuple[str, ...]:
    """Names of a plain array's axes; numbers where it gives none."""
    given = getattr(array.metadata, "dimension_names", None) or [None] * array.ndim
    return tuple(name or str(number) for number, name in enumerate(given))


def _find(zarr: Any, root: Group, path: Path) -> tuple[_Source, list[float] | None]:
    """The image in a store, and the size of its voxels along all of its axes, mm; 0 where it isn't known."""
    groups: dict[str, Any] = {"": root}
    arrays: dict[str, ZarrArray[Any]] = {}
    for name, member in root.members(max_depth=None):
        if name == "labels" or name.startswith("labels/") or "/labels/" in name:
            continue
        if isinstance(member, zarr.Array):
            arrays[name] = member
        else:
            groups[name] = member
    images = {name: found for name, group in groups.items() if (found := _multiscales(group)) is not None}
    if len(images) == 1:
        ((name, image),) = images.items()
        levels = tuple(str(level["path"]) for level in image["datasets"])
        axes = image.get("axes") or _EARLY_AXES
        names = tuple(str(axis["name"] if isinstance(axis, Mapping) else axis).lower() for axis in axes)
        return _Source(path, name, levels, names), _scales(image, axes)
    likely = [name for name, array in arrays.items() if sorted((0, 0, *array.shape))[-2] >= _LEAST_SIDE]
    if images or len(likely) != 1:
        what = "images" if images else "arrays that may be images"
        raise FormatError(
            f"{path}: holds {len(images or likely)} {what} ({', '.join(images or likely)}); expected one; "
            "save the one to denoise in a store of its own"
        )
    return _Source(path, "", (likely[0],), _names(arrays[likely[0]])), None


def _multiscales(group: Group) -> Any:
    """What a group says of the image that it is; None if it is none."""
    attributes = group.attrs.asdict()
    found = attributes.get("ome", attributes)
    listed = found.get("multiscales") if isinstance(found, Mapping) else None
    return listed[0] if isinstance(listed, Sequence) and listed else None


def _scales(image: Any, axes: Sequence[Any]) -> list[float]:
    """Size of a voxel of the finest level along each axis, mm; 0 where the unit isn't known."""
    units = [_UNIT_MM.get(str(axis.get("unit")), 0.0) if isinstance(axis, Mapping) else 0.0 for axis in axes]
    applied = [
        *image["datasets"][0].get("coordinateTransformations", []),
        *image.get("coordinateTransformations", []),
    ]
    for each in applied:
        if each.get("type") == "scale":
            units = [unit * float(scale) for unit, scale in zip(units, each["scale"], strict=True)]
    return [unit if 0 < unit < math.inf else 0.0 for unit in units]


def _order(axes: Sequence[str], shape: Sequence[int]) -> list[int]:
    """Which axes are kept, in the order of a scan: time last, where there are slices too."""
    long = [axis for axis, length in enumerate(shape) if length > 1 or axes[axis] in ("y", "x")]
    if len(long) == 4 and "t" in axes:
        long.sort(key=lambda axis: axes[axis] == "t")
    return long


def _check(array: ZarrArray[Any], path: Path) -> None:
    """Raise an error for what is no image, could run code or exhaust the memory; before any chunk is read."""
    if array.dtype.kind == "c":
        raise IntensityError(f"{path}: holds complex numbers; expected real ones; take the magnitude")
    if array.dtype.kind not in "iuf":
        raise FormatError(f"{path}: holds values of type {array.dtype}; expected numbers; convert it")
    strange = sorted(set(_codecs(array.metadata.to_dict())) - _CODECS)
    if strange:
        raise FormatError(
            f"{path}: its codec {strange[0]} is not read; expected zstd, blosc, gzip or the like"
        )
    stated = array.dtype.itemsize * max(math.prod(array.shape), math.prod(array.shards or array.chunks))
    held = int(array.nbytes_stored())
    if stated > max(_LEAST_BOMB_BYTES, MOST_SHRINKAGE * held):
        raise FormatError(
            f"{path}: is damaged: it states {stated:,} bytes of voxels, more than its {held:,} bytes can hold"
        )


def _codecs(metadata: Any) -> Iterator[str]:
    """Names of all codecs in an array's metadata, nested ones too."""
    for key in ("compressor", "filters", "codecs", "index_codecs"):
        found = metadata.get(key) or ()
        for codec in [found] if isinstance(found, Mapping) else found:
            yield str(codec.get("id") or codec.get("name")).removeprefix("numcodecs.")
            yield from _codecs(codec.get("configuration") or {})


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a scan as a Zarr store: laid out as the one that it came from, or as a plain array.

    Parameters
    ----------
    scan : Scan
        Rounded and clipped if its stored dtype is an integer.
    path : path
        Where to write; nothing must be there.
    float32 : bool
        Store float32 instead.
    """
    zarr = _import_zarr(path)
    data = to_stored(scan.data, np.dtype(np.float32) if float32 else scan.stored_dtype)
    with quiet("zarr"):
        if not isinstance(scan.header, _Source):
            zarr.create_array(str(path), data=data, dimension_names=None)
            return
        place = scan.header
        source = zarr.open(str(place.file), mode="r")
        if isinstance(source, zarr.Array):
            _write_level(zarr, path, None, source, _as_stored(data, place.axes, source.shape))
            return
        options = {"zarr_format": source.metadata.zarr_format}
        target = zarr.open_group(str(path), mode="w", attributes=source.attrs.asdict(), **options)
        group = source
        if place.group:
            group = source[place.group]
            target = target.create_group(place.group, attributes=group.attrs.asdict())
        inside = f"{place.group}/" if place.group else ""
        level = None
        for name in place.levels:
            like = group[name]
            level = _as_stored(data, place.axes, like.shape) if level is None else _smaller(level, like.shape)
            _write_level(zarr, path, f"{inside}{name}", like, level)


def _as_stored(data: Array, axes: Sequence[str], shape: tuple[int, ...]) -> Array:
    """A scan's data with the axes that they have in the store."""
    return data.transpose(np.argsort(_order(axes, shape))).reshape(shape)


def _smaller(level: Array, shape: tuple[int, ...]) -> Array:
    """The next level: smoothed and sampled on fewer voxels, in the dtype of the one before."""
    if level.shape == shape:
        return level
    from skimage.transform import resize

    smoothed: Array = resize(level, shape, order=1, anti_aliasing=True, preserve_range=True)  # type: ignore[no-untyped-call]
    return to_stored(smoothed, level.dtype)


def _write_level(zarr: Any, path: Path, name: str | None, like: ZarrArray[Any], data: Array) -> None:
    """Write one array with the chunks, compression and attributes of another."""
    metadata: Any = like.metadata
    second = metadata.zarr_format == 2
    array = zarr.create_array(
        str(path),
        name=name,
        shape=data.shape,
        dtype=data.dtype,
        chunks=like.chunks,
        shards=like.shards,
        # A filter is made for its dtype.
        filters=like.filters if like.filters and data.dtype == like.dtype else None,
        compressors=like.compressors or None,
        fill_value=like.fill_value,
        order=like.order if second else None,
        zarr_format=metadata.zarr_format,
        attributes=like.attrs.asdict(),
        dimension_names=None if second else metadata.dimension_names,
        chunk_key_encoding=(
            {"name": "v2", "separator": metadata.dimension_separator}
            if second
            else metadata.chunk_key_encoding
        ),
    )
    array[...] = data


FORMAT = Format("zarr", "Zarr", (STORE,), _recognise, read, write, _KEEPS, is_folder=True)

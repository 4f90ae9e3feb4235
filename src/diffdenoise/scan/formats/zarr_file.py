"""OME-Zarr images and plain Zarr arrays, of both formats 2 and 3; a folder each, by zarr-python.

References
----------
Zarr core specification 3.0, https://zarr-specs.readthedocs.io.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from diffdenoise.errors import ShapeError
from diffdenoise.scan.folder import STORE
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.chunked import Chunked
from diffdenoise.scan.formats.named_arrays import import_extra
from diffdenoise.scan.formats.zarr_store import Image, check_levels, find_image, refuse_strange_files
from diffdenoise.scan.pixels import to_stored
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Lazy, stack_shapes
from diffdenoise.types import Array

_KEEPS = (
    "type, chunks, shards, compression, attributes, resolution levels (made anew from the result); labels "
    "and other arrays aren't copied"
)
#: Filters that keep every value; others round, or wrap what lies outside of the source's range.
_EXACT_FILTERS = ("delta", "shuffle", "transpose")


@dataclass(frozen=True)
class _Source:
    """The image, its levels (arrays, for what they are beside their values) and its groups' attributes."""

    image: Image
    arrays: tuple[Any, ...] = field(compare=False, repr=False)
    attributes: dict[str, dict[str, Any]] = field(repr=False)


def _recognise(head: bytes) -> bool:
    """Nothing: it is a folder."""
    return False


def _read(path: Path) -> Scan:
    """The finest level, or the only array: (z, y, x) and, last, t; axes of length 1 are left out."""
    zarr = import_extra("zarr", path, "Zarr", "zarr")
    refuse_strange_files(path)
    with quiet("zarr"):
        root = zarr.open(str(path), mode="r")
        image = find_image(root, path)
        if isinstance(root, zarr.Array):
            arrays, attributes = (root,), {}
        else:
            paths = image.paths()
            arrays = tuple(root[each] for each in paths)
            groups = {parent.as_posix() for each in paths for parent in PurePosixPath(each).parents}
            attributes = {
                name: (root if name == "." else root[name]).attrs.asdict() for name in sorted(groups)
            }
        held = check_levels(arrays, image.levels, image.axes, path)
    finest = arrays[0]
    if dict(zip(image.axes, finest.shape, strict=True)).get("c", 1) > 1:
        raise ShapeError(f"{path}: holds several channels; expected one; split it first")
    order = _order(image.axes, finest.shape)
    spacing = tuple(image.spacing_mm[axis] for axis in order[:3])
    array = Chunked(
        function=f"{__name__}:load",
        facts={"path": str(path.absolute()), "name": "" if isinstance(root, zarr.Array) else paths[0]},
        path=path,
        shape=finest.shape,
        dtype=np.dtype(finest.dtype),
        chunk=finest.shards or finest.chunks,
        order=order,
        held=held,
    )
    blank = array.blank()
    scan = Scan(
        blank,
        spacing_mm=spacing if all(spacing) else None,
        slice_axis=0 if len(order) > 2 and image.axes[order[0]] in ("z", "t") else None,
        header=_Source(image, arrays, attributes),
    )
    return array.fill(scan)


def load(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Read a part of an array; in another process, as codecs are C code that unpacks whatever a chunk has."""
    import zarr
    from numcodecs import blosc  # type: ignore[import-untyped, unused-ignore]

    # Each thread would take address space, which is what is limited.
    blosc.use_threads = False
    with quiet("zarr"), zarr.config.set({"threading.max_workers": 1, "async.concurrency": 1}):
        root: Any = zarr.open(facts["path"], mode="r")
        select = tuple(slice(first, last) for first, last in facts["select"])
        return {}, np.asarray((root[facts["name"]] if facts["name"] else root)[select])


def _order(axes: Sequence[str], shape: Sequence[int]) -> list[int]:
    """Which axes are kept, in the order of a scan: time last, where there are slices too."""
    long = [axis for axis, length in enumerate(shape) if length > 1 or axes[axis] in ("y", "x")]
    if len(long) == 4 and "t" in axes:
        long.sort(key=lambda axis: axes[axis] == "t")
    return long


def _write(out: Outgoing, path: Path) -> None:
    """Laid out as the store that it came from, or as a plain array."""
    zarr = import_extra("zarr", path, "Zarr", "zarr")
    scan, dtype, source = out.scan, out.dtype, out.source(_Source)
    with quiet("zarr"):
        if source is None:
            zarr.create_array(str(path), data=out.values)
            return
        image, arrays = source.image, source.arrays
        for name, attributes in source.attributes.items():
            zarr.open_group(
                str(path),
                path=None if name == "." else name,
                mode="w",
                attributes=attributes,
                zarr_format=arrays[0].metadata.zarr_format,
            )
        order = _order(image.axes, arrays[0].shape)
        if len(arrays) == 1:
            target = _create_level(zarr, path, image.paths()[0] or None, arrays[0], dtype)
            _write_blocks(target, scan, order, dtype)
            return
        # The scan's data with the axes that they have in the store.
        level = out.values.transpose(np.argsort(order)).reshape(arrays[0].shape)
        for name, like in zip(image.paths(), arrays, strict=True):
            level = _smaller(level, like.shape)
            _create_level(zarr, path, name or None, like, dtype)[...] = level


def _write_blocks(target: Any, scan: Scan, order: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Write a scan's values by blocks of whole chunks, as many slices at a time as a chunk has."""
    voxels, chunk = scan.voxels, target.shards or target.chunks
    axis = voxels.axis if isinstance(voxels, Lazy) else None if scan.ndim == 2 else 0
    for volume, (count, _, _) in enumerate(stack_shapes(scan.shape, axis)):
        step = 1 if axis is None else int(chunk[order[axis]])
        for first in range(0, count, step):
            last = min(first + step, count)
            slab = to_stored(voxels.slab(axis, volume, first, last), dtype)
            select = [slice(None)] * len(target.shape)
            block = slab[0]
            if axis is not None:
                select[order[axis]] = slice(first, last)
                block = np.moveaxis(slab, 0, axis)
            if scan.ndim == 4:
                select[order[3]] = slice(volume, volume + 1)
                block = block[..., np.newaxis]
            sizes = [len(range(*one.indices(size))) for one, size in zip(select, target.shape, strict=True)]
            target[tuple(select)] = block.transpose(np.argsort(order)).reshape(sizes)


def _smaller(level: Array, shape: tuple[int, ...]) -> Array:
    """The next level: smoothed and sampled on fewer voxels, in the dtype of the one before."""
    if level.shape == shape:
        return level
    from scipy.ndimage import gaussian_filter, zoom

    ratios = np.array(level.shape) / np.array(shape)
    # What the coarser grid can't hold is taken off first: half of what a voxel grows by.
    smoothed = gaussian_filter(level.astype(np.float64), np.maximum(0, (ratios - 1) / 2), mode="mirror")
    sampled: Array = zoom(smoothed, 1 / ratios, order=1, mode="mirror", grid_mode=True)
    return to_stored(sampled, level.dtype)


def _create_level(zarr: Any, path: Path, name: str | None, like: Any, dtype: np.dtype[Any]) -> Any:
    """Make an array with the shape, chunks, compression and attributes of another."""
    metadata = like.metadata
    second = metadata.zarr_format == 2
    same = dtype == like.dtype
    exact = all(name in _EXACT_FILTERS for name in _filters(like))
    return zarr.create_array(
        str(path),
        name=name,
        shape=like.shape,
        dtype=dtype,
        chunks=like.chunks,
        shards=like.shards,
        filters=like.filters if like.filters and same and exact else None,
        compressors=like.compressors or None,
        fill_value=like.fill_value,
        order=like.order if second else None,
        zarr_format=metadata.zarr_format,
        attributes=like.attrs.asdict(),
        dimension_names=None if second else metadata.dimension_names,
        serializer=like.serializer if same and not second else "auto",
        chunk_key_encoding=(
            {"name": "v2", "separator": metadata.dimension_separator}
            if second
            else metadata.chunk_key_encoding
        ),
    )


def _filters(array: Any) -> Iterator[str]:
    """Names of an array's filters."""
    for each in array.filters:
        described = each.get_config() if hasattr(each, "get_config") else each.to_dict()
        yield str(described.get("id") or described.get("name")).removeprefix("numcodecs.")


FORMAT = Format("zarr", "Zarr", (STORE,), _recognise, _read, _write, _KEEPS)

"""One array of an HDF5 file: fastMRI reconstructions, ISMRMRD images, or the only image there is; by h5py.

References
----------
fastMRI data sets, https://fastmri.med.nyu.edu; ISMRM Raw Data Format, https://ismrmrd.readthedocs.io.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, OutputError, ShapeError
from diffdenoise.scan.blocks import BlockVoxels, Range
from diffdenoise.scan.child import UndecodableError, run_in_child
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.common import LEAST_SIDE, import_extra, not_one_image
from diffdenoise.scan.limits import most_unpacked
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.survey import axis_of, look_through
from diffdenoise.scan.voxels import LAZY_FROM_BYTES
from diffdenoise.types import Array

_KEEPS = "the array's place, shape, type and attributes; everything else but complex arrays (k-space)"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Arrays of fastMRI files, the best first: (slices, height, width).
_FASTMRI = ("reconstruction_rss", "reconstruction_esc", "reconstruction")
#: Bytes that an HDF5 file takes beside its values, however few these are.
_OWN_BYTES = 2**20


@dataclass(frozen=True)
class _Source:
    """Where the array is, and the shape that it has there."""

    file: Path = field(compare=False)
    key: str
    shape: tuple[int, ...]


def _recognise(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def import_h5py(path: Path) -> Any:
    """Return the package that a file needs, or raise `FormatError` saying how to install it."""
    return import_extra("h5py", path, "HDF5", "hdf5")


def read(path: Path) -> Scan:
    """Read the image in an HDF5 file.

    Parameters
    ----------
    path : path
        An existing file.

    Returns
    -------
    Scan
        Axes of length 1 are left out; of fastMRI and ISMRMRD the first axis is that of the slices.

    Raises
    ------
    FormatError
        If there is no image or several, or it is kept outside of the file.
    ShapeError
        If it has more than four axes.
    """
    import_h5py(path)
    facts = {"path": str(path)}
    found, _ = run_in_child(f"{__name__}:look", facts, name=str(path), stated=0, held=path.stat().st_size)
    stated, held = int(found["stated"]), int(found["held"])
    refuse_oversized(str(path), stated, held, compressed=bool(found["compressed"]))
    key, shape = str(found["key"]), tuple(int(size) for size in found["shape"])
    part = _Part(path.absolute(), str(path), found)
    if len(part.shape) > 4:
        raise ShapeError(f"{path}: has {len(part.shape)} axes {part.shape}; expected 2 to 4; split it first")
    sliced = key in _FASTMRI or key.rpartition("/")[0].rpartition("/")[2].startswith("image_")
    stored = np.dtype(str(found["dtype"]))
    scan = Scan(
        np.broadcast_to(np.zeros((), stored.newbyteorder("=")), part.shape),
        format="hdf5",
        stored_dtype=stored,
        slice_axis=0 if sliced and len(part.shape) == 3 else None,
        header=_Source(path, key, shape),
        name=str(path),
    )
    if stated < LAZY_FROM_BYTES:
        return scan.with_data(part.load([(0, size) for size in part.shape]))
    scan = scan.with_data(part.voxels(axis_of(scan)))
    # Damaged chunks show when they are read.
    look_through(scan)
    return scan


class _Part:
    """Reads parts of an array, given and returned by the axes of a scan: those longer than 1."""

    def __init__(self, path: Path, title: str, found: dict[str, Any]) -> None:
        self._path, self._title, self._found = path, title, found
        self._kept = [axis for axis, size in enumerate(found["shape"]) if size != 1]
        self.shape = tuple(int(found["shape"][axis]) for axis in self._kept)

    def voxels(self, axis: int | None) -> BlockVoxels:
        """The array, to be read by whole chunks across an axis of the scan."""
        # Without chunks, any part is as good as another.
        chunks = self._found["chunks"] or self._found["shape"]
        thickness = 1 if axis is None else int(chunks[self._kept[axis]])
        dtype = np.dtype(str(self._found["dtype"])).newbyteorder("=")
        return BlockVoxels(self.shape, dtype, axis, thickness, self.load)

    def load(self, ranges: Sequence[Range]) -> Array:
        """Return values of a range along each axis of the scan."""
        select = [(0, 1)] * len(self._found["shape"])
        for axis, given in zip(self._kept, ranges, strict=True):
            select[axis] = given
        itemsize = np.dtype(str(self._found["dtype"])).itemsize
        asked = math.prod(last - first for first, last in select)
        stated = max(asked, math.prod(self._found["chunks"] or (0,))) * itemsize
        facts = {"path": str(self._path), "key": self._found["key"], "select": select}
        held = int(self._found["held"])
        try:
            _, stored = run_in_child(f"{__name__}:load", facts, name=self._title, stated=stated, held=held)
        except UndecodableError:
            raise FormatError(
                f"{self._title}: is damaged, or was changed since it was opened; get a complete copy"
            ) from None
        if stored is None:
            raise not_one_image(self._path, [])
        return native(stored.reshape([last - first for first, last in ranges]))


def look(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], None]:
    """Find the image; in another process, as damaged files bring libhdf5 down."""
    path = Path(facts["path"])
    h5py = import_h5py(path)
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}

        # Hard links alone are visited: none leads out of the file.
        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and _is_image(item):
                found[name] = item

        file.visititems(visit)
        key = next((name for name in _FASTMRI if name in found), None)
        if key is None:
            if len(found) != 1:
                raise not_one_image(path, found)
            key = next(iter(found))
        array = found[key]
        if array.is_virtual or array.external:
            raise FormatError(f"{path}: keeps its voxels in other files; expected them inside; repack it")
        chunk = math.prod(array.chunks or ())
        return {
            "key": key,
            "shape": array.shape,
            "dtype": array.dtype.str,
            "chunks": array.chunks,
            # A chunk is unpacked whole, however little of it the array takes.
            "stated": max(math.prod(array.shape), chunk if array.chunks else 0) * array.dtype.itemsize,
            "held": array.id.get_storage_size(),
            "compressed": array.id.get_create_plist().get_nfilters() > 0,
        }, None


def load(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Load a part of the image."""
    select = tuple(slice(first, last) for first, last in facts["select"])
    with import_h5py(Path(facts["path"])).File(facts["path"], "r") as file:
        return {}, file[facts["key"]][select]


def _is_image(array: Any) -> bool:
    """Whether an array may be an image: real numbers, two sides that are long enough."""
    sides = sorted(array.shape)
    return array.dtype.kind in "iuf" and len(sides) >= 2 and sides[-2] >= LEAST_SIDE


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a scan as .h5, with all that the source held but its complex arrays.

    Parameters
    ----------
    scan : Scan
        Rounded and clipped if its stored dtype is an integer.
    path : path
        Where to write.
    float32 : bool
        Store float32 instead.
    """
    import_h5py(path)
    source = scan.header if isinstance(scan.header, _Source) else None
    if source is not None and not source.file.is_file():
        raise OutputError(f"{path}: {source.file} is gone; what lies beside the image comes from it")
    data = to_stored(scan.data, np.dtype(np.float32) if float32 else scan.stored_dtype)
    facts = {
        "path": "" if source is None else str(source.file),
        "key": "image" if source is None else source.key,
        "shape": data.shape if source is None else source.shape,
        "dtype": data.dtype.str,
    }
    most = _OWN_BYTES + 2 * data.nbytes + (0 if source is None else most_unpacked(source.file.stat().st_size))
    _, made = run_in_child(f"{__name__}:build", facts, data.tobytes(), name=str(path), stated=most, held=most)
    if made is None:
        raise OutputError(f"{path}: was not made; write another format")
    path.write_bytes(made.tobytes())


def build(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Return the bytes of a file with another array in the place of one."""
    h5py = import_h5py(Path(facts["path"]))
    data = np.frombuffer(payload, np.dtype(facts["dtype"])).reshape(facts["shape"])
    with h5py.File("made.h5", "w", driver="core", backing_store=False) as target:
        if facts["path"]:
            with h5py.File(facts["path"], "r") as source:
                _copy(source, target, facts["key"], data)
        else:
            target.create_dataset(facts["key"], data=data, compression="gzip")
        target.flush()
        return {}, np.frombuffer(target.id.get_file_image(), np.uint8)


def _copy(source: Any, target: Any, key: str, data: Array) -> None:
    """Copy groups, attributes and all arrays but complex ones; `data` takes its place."""
    target.attrs.update(source.attrs)

    def copy(name: str, item: Any) -> None:
        if not hasattr(item, "dtype"):
            target.require_group(name).attrs.update(item.attrs)
        elif name == key:
            options = {"chunks": item.chunks, "compression": item.compression}
            target.create_dataset(name, data=data, **options).attrs.update(item.attrs)
        elif item.dtype.kind != "c":
            source.copy(item, target, name)

    source.visititems(copy)


FORMAT = Format("hdf5", "HDF5", (".h5", ".hdf5"), _recognise, read, write, _KEEPS)

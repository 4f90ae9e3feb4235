"""One array of an HDF5 file: fastMRI reconstructions, ISMRMRD images, or the only image there is; by h5py.

References
----------
fastMRI data sets, https://fastmri.med.nyu.edu; ISMRM Raw Data Format, https://ismrmrd.readthedocs.io.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError
from diffdenoise.scan.child import run_in_child
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.chunked import Chunked
from diffdenoise.scan.formats.named_arrays import Place, has_sides, import_extra, not_one_image, rebuild
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

_KEEPS = "the array's place, shape, type and attributes; everything else but complex arrays (k-space)"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Arrays of fastMRI files, the best first: (slices, height, width).
_FASTMRI = ("reconstruction_rss", "reconstruction_esc", "reconstruction")


def _recognise(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def import_h5py(path: Path) -> Any:
    """Return the package that a file needs, or raise `FormatError` saying how to install it."""
    return import_extra("h5py", path, "HDF5", "hdf5")


def _read(path: Path) -> Scan:
    """Axes of length 1 are left out; of fastMRI and ISMRMRD the first axis is that of the slices."""
    import_h5py(path)
    facts = {"path": str(path)}
    found, _ = run_in_child(f"{__name__}:look", facts, name=str(path), stated=0, held=path.stat().st_size)
    held, key, chunk = int(found["held"]), str(found["key"]), found["chunks"]
    refuse_oversized(str(path), int(found["stated"]), held, compressed=bool(found["compressed"]))
    shape = tuple(int(size) for size in found["shape"])
    array = Chunked(
        function=f"{__name__}:load",
        facts={"path": str(path.absolute()), "key": key},
        path=path,
        shape=shape,
        dtype=np.dtype(str(found["dtype"])),
        chunk=None if chunk is None else tuple(int(size) for size in chunk),
        order=[axis for axis, size in enumerate(shape) if size != 1],
        held=held,
    )
    blank = array.blank()
    sliced = key in _FASTMRI or key.rpartition("/")[0].rpartition("/")[2].startswith("image_")
    axis = 0 if sliced and blank.ndim == 3 else None
    return array.fill(Scan(blank, slice_axis=axis, header=Place(key, shape, path)))


def look(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], None]:
    """Find the image; in another process, as damaged files bring libhdf5 down."""
    path = Path(facts["path"])
    h5py = import_h5py(path)
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}

        # Hard links alone are visited: none leads out of the file.
        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and has_sides(item.shape):
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


def _write(out: Outgoing, path: Path) -> None:
    """With all that the source held but its complex arrays."""
    import_h5py(path)
    rebuild(f"{__name__}:build", out, path)


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


FORMAT = Format("hdf5", "HDF5", (".h5", ".hdf5"), _recognise, _read, _write, _KEEPS)

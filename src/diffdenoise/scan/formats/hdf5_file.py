"""One array of an HDF5 file: fastMRI reconstructions, ISMRMRD images, or the only image there is; by h5py.

References
----------
fastMRI data sets, https://fastmri.med.nyu.edu; ISMRM Raw Data Format, https://ismrmrd.readthedocs.io.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, OutputError, ShapeError
from diffdenoise.scan.child import run_in_child
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.common import LEAST_SIDE, import_extra, not_one_image
from diffdenoise.scan.limits import most_unpacked
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.scan import Scan
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
    key = str(found["key"])
    _, stored = run_in_child(
        f"{__name__}:load", {**facts, "key": key}, name=str(path), stated=stated, held=held
    )
    if stored is None:
        raise not_one_image(path, [])
    squeezed = stored.squeeze()
    if squeezed.ndim > 4:
        raise ShapeError(
            f"{path}: has {squeezed.ndim} axes {squeezed.shape}; expected 2 to 4; split it first"
        )
    sliced = key in _FASTMRI or key.rpartition("/")[0].rpartition("/")[2].startswith("image_")
    return Scan(
        data=native(squeezed),
        format="hdf5",
        stored_dtype=stored.dtype,
        slice_axis=0 if sliced and squeezed.ndim == 3 else None,
        header=_Source(path, key, stored.shape),
        name=str(path),
    )


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
            # A chunk is unpacked whole, however little of it the array takes.
            "stated": max(math.prod(array.shape), chunk if array.chunks else 0) * array.dtype.itemsize,
            "held": array.id.get_storage_size(),
            "compressed": array.id.get_create_plist().get_nfilters() > 0,
        }, None


def load(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Load the image."""
    with import_h5py(Path(facts["path"])).File(facts["path"], "r") as file:
        return {}, file[facts["key"]][()]


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

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

from diffdenoise.errors import FormatError, ShapeError
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.common import LEAST_SIDE, import_extra, not_one_image
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

_KEEPS = "the array's place, shape, type and attributes; everything else but complex arrays (k-space)"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Arrays of fastMRI files, the best first: (slices, height, width).
_FASTMRI = ("reconstruction_rss", "reconstruction_esc", "reconstruction")


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
        stated = math.prod(array.shape) * array.dtype.itemsize
        refuse_oversized(
            str(path), stated, array.id.get_storage_size(), compressed=array.compression is not None
        )
        stored = array[()]
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
    h5py = import_h5py(path)
    data = to_stored(scan.data, np.dtype(np.float32) if float32 else scan.stored_dtype)
    # In memory first: on a full disk libhdf5 takes the whole process down.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as target:
        if isinstance(scan.header, _Source):
            with h5py.File(scan.header.file, "r") as source:
                _copy(source, target, scan.header, data)
        else:
            target.create_dataset("image", data=data, compression="gzip")
        target.flush()
        content: bytes = target.id.get_file_image()
    path.write_bytes(content)


def _copy(source: Any, target: Any, place: _Source, data: Array) -> None:
    """Copy groups, attributes and all arrays but complex ones; `data` takes its place."""
    target.attrs.update(source.attrs)

    def copy(name: str, item: Any) -> None:
        if not hasattr(item, "dtype"):
            target.require_group(name).attrs.update(item.attrs)
        elif name == place.key:
            options = {"chunks": item.chunks, "compression": item.compression}
            target.create_dataset(name, data=data.reshape(place.shape), **options).attrs.update(item.attrs)
        elif item.dtype.kind != "c":
            source.copy(item, target, name)

    source.visititems(copy)


FORMAT = Format("hdf5", "HDF5", (".h5", ".hdf5"), _recognise, read, write, _KEEPS)

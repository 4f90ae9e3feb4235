"""Analyze and NIfTI pairs, MINC, Philips PAR/REC and AFNI, by nibabel.

They are written as NIfTI: nibabel has no writer for them, or their headers say too little of orientation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, InputError
from diffdenoise.scan.child import run_in_child
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.hdf5_file import SIGNATURE as HDF5_SIGNATURE
from diffdenoise.scan.formats.hdf5_file import import_h5py
from diffdenoise.scan.formats.header import (
    check_axes,
    check_finite,
    check_real,
    check_sizes,
    placing,
    without_last_ones,
)
from diffdenoise.scan.formats.nifti import FORMAT as NIFTI
from diffdenoise.scan.limits import most_unpacked, refuse_unpacked
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Affine, Array

_NETCDF = b"CDF\x01"
#: Suffixes of a header file, and of the file beside it that holds the voxels; upper case or lower.
_PAIRS = {".hdr": ".img", ".par": ".rec", ".head": ".brik"}
#: Fields that place the voxels.
_PLACED_BY = {
    ".hdr": "pixdim, srow, quatern or qoffset",
    ".mnc": "step, start or direction_cosines",
    ".par": "off centre, angulation or spacing",
    ".head": "ORIGIN or DELTA",
}


def _read(path: Path, name: str) -> Scan:
    """Real values: float64 where the file scales its numbers."""
    if name == "minc":
        # netCDF and HDF5 are read by C code and by headers that say where everything lies.
        if _is_hdf5(path):
            import_h5py(path)
        work, facts, held = f"{__name__}:load", {"path": str(path)}, path.stat().st_size
        found, _ = run_in_child(work, {**facts, "look": True}, name=str(path), stated=0, held=held)
        stated = _most_real_bytes(found["shape"], found["stored"])
        found, data = run_in_child(work, facts, name=str(path), stated=stated, held=held)
    else:
        found, data = _load(path, name)
    if data is None:
        raise FormatError(f"{path}: is damaged: it holds no voxels; get a complete copy")
    stored = np.dtype(found["stored"])
    affine = _placed(found["affine"], path)
    if name == "minc" and data.ndim == 4:
        # Time comes first there, and the affine is that of the other axes.
        data = np.moveaxis(data, 0, 3)
    spacing = () if affine is None else np.linalg.norm(affine[:3, :3], axis=0)[: min(data.ndim, 3)]
    scaled = data.dtype.kind == "f" and stored.kind != "f"
    return Scan(
        data,
        stored_dtype=np.dtype(np.float32) if scaled else stored.newbyteorder("="),
        spacing_mm=tuple(float(size) for size in spacing) if len(spacing) else None,
        affine=affine,
        # Of MINC and AFNI no axis is said to be that of the slices; PAR/REC sorts them last.
        slice_axis=2 if name == "par" and data.ndim > 2 else None,
    )


def load(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array | None]:
    """Read a MINC file; or look only what it is, without its voxels."""
    return _load(Path(facts["path"]), "minc", look=bool(facts.get("look")))


def _load(path: Path, name: str, *, look: bool = False) -> tuple[dict[str, Any], Array | None]:
    """Return what nibabel says of a file, and its real values."""
    import nibabel as nib

    files = _files(path)
    with quiet("nibabel.global"):
        # PAR/REC: slices and volumes by their labels, not in the order of the file.
        options = {"strict_sort": True} if name == "par" else {}
        image: Any = nib.load(files[0], **options)
        shape, stored = tuple(int(size) for size in image.shape), np.dtype(image.get_data_dtype())
        check_real(stored, path)
        check_sizes(shape, path)
        stated = math.prod(shape) * stored.itemsize
        held = sum(file.stat().st_size for file in files)
        compressed = _is_compressed(path) or _is_hdf5(path)
        refuse_oversized(str(path), stated, held, compressed=compressed)
        if compressed:
            refuse_unpacked(str(path), _most_real_bytes(shape, stored.str), 2 * most_unpacked(held))
        affine = None if image.affine is None else np.array(image.affine, np.float64).tolist()
        found = {"shape": shape, "stored": stored.str, "affine": affine}
        if look:
            return found, None
        shape = without_last_ones(shape, most=3)
        check_axes(shape, path)
        return found, np.asanyarray(image.dataobj).reshape(shape)


def _most_real_bytes(shape: Sequence[int], stored: str) -> int:
    """Bytes of the real values, which are float64 where the file scales its numbers."""
    return math.prod(int(size) for size in shape) * max(8, np.dtype(stored).itemsize)


def _placed(listed: Any, path: Path) -> Affine | None:
    """Where the voxels lie; None where the header doesn't tell."""
    if listed is None:
        return None
    affine = np.array(listed, np.float64)
    check_finite(affine, _PLACED_BY.get(path.suffix.lower(), "geometry"), path)
    return placing(affine)


def _files(path: Path) -> list[Path]:
    """The file that holds the header, and that of the voxels if they are two."""
    other = _PAIRS.get(path.suffix.lower())
    if other is None:
        return [path]
    names = [other, other.upper(), f"{other}.gz", f"{other.upper()}.gz"]
    found = next((file for name in names if (file := path.with_suffix(name)).is_file()), None)
    if found is None:
        raise InputError(f"{path}: its second file, {path.with_suffix(other).name}, is missing; get both")
    return [path, found]


def header_of_pair(path: Path) -> Path:
    """Return the header file that lies beside a file of voxels (.img, .rec, .brik.gz); others as they are."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    headers = [header for header, voxels in _PAIRS.items() if voxels == plain.suffix.lower()]
    beside = (plain.with_suffix(suffix) for header in headers for suffix in (header, header.upper()))
    return next((header for header in beside if header.is_file()), path)


def _is_compressed(path: Path) -> bool:
    return any(file.suffix.lower() == ".gz" for file in _files(path))


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def _is_pair(head: bytes) -> bool:
    # The size of the header, of 348 or 540 bytes, in either byte order; a single file says "n+1" or "n+2".
    sizes = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    return bool(sizes & {348, 540}) and head[344:347] != b"n+1" and head[4:7] != b"n+2"


def _format(name: str, title: str, suffixes: tuple[str, ...], recognise: Callable[[bytes], bool]) -> Format:
    reader = partial(_read, name=name)
    return Format(name, title, suffixes, recognise, reader, None, "voxel sizes and affine", written_as=NIFTI)


FORMATS = (
    _format("analyze", "Analyze or NIfTI pair", (".hdr",), _is_pair),
    _format("minc", "MINC", (".mnc",), lambda head: head.startswith((_NETCDF, HDF5_SIGNATURE))),
    _format("par", "Philips PAR/REC", (".par",), lambda head: head[:1] in (b"#", b"\r", b"\n")),
    _format("afni", "AFNI", (".head",), lambda head: b"type" in head[:200]),
)

"""NIfTI-1 and NIfTI-2, plain or gzip-compressed, by nibabel; nothing of the header is lost.

References
----------
NIfTI-1 data format, https://nifti.nimh.nih.gov/nifti-1 (header fields are named as there).
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.format import Format
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

_GZIP = b"\x1f\x8b"
_MM_PER_UNIT = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}
#: Bytes decompressed at a time, so that memory grows with what the file really holds.
_CHUNK = 16 * 2**20


@dataclass(frozen=True)
class _Source:
    """The header as read, and the scaling of its integers (nibabel keeps that apart)."""

    header: Any
    slope: float
    inter: float


def _nibabel() -> Any:
    """Import nibabel when it is needed, untyped: its annotations cover only part of it."""
    import nibabel

    return nibabel


def _recognise(head: bytes) -> bool:
    """Whether the bytes are gzip, or a single-file NIfTI header ("n+1" at 344, "n+2" at 4)."""
    return head[:2] == _GZIP or head[344:347] == b"n+1" or head[4:7] == b"n+2"


def _check_header(header: Any, name: str, file_bytes: int, *, compressed: bool) -> int:
    """Return where the voxels end in bytes; refuse what is not one real number a voxel."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if dtype.kind == "V":
        raise IntensityError(f"{name}: is a colour (RGB) image; expected one value a voxel")
    if dtype.kind == "c":
        raise IntensityError(f"{name}: holds complex numbers; expected real ones; take the magnitude")
    if any(size < 0 for size in shape):
        raise FormatError(f"{name}: is damaged: its header states a negative size; get a complete copy")
    stated = math.prod(int(size) for size in shape) * int(dtype.itemsize)
    refuse_oversized(name, stated, file_bytes, compressed=compressed)
    return int(header.get_data_offset()) + stated


def _read_bytes(stream: Any, count: int) -> bytes:
    """Read up to `count` bytes in pieces."""
    pieces, left = [], count
    while left > 0 and (piece := stream.read(min(left, _CHUNK))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def read(path: Path) -> Scan:
    """Read a .nii or .nii.gz file.

    Parameters
    ----------
    path : path
        An existing file.

    Returns
    -------
    Scan
        `data` is float64 real values if the header has a slope or intercept, else as stored.

    Raises
    ------
    FormatError
        If the file is shorter than its header says, or misnamed.
    ShapeError
        If it has more than four axes longer than 1.
    IntensityError
        If it holds RGB or complex values.
    """
    nib = _nibabel()

    name, file_bytes = str(path), path.stat().st_size
    compressed = path.name.lower().endswith(".gz")
    with path.open("rb") as raw, quiet("nibabel.global"):
        if (raw.read(2) == _GZIP) != compressed:
            found, right = ("is not", ".nii") if compressed else ("is", ".nii.gz")
            raise FormatError(f"{name}: {found} gzip-compressed, unlike its suffix; rename it to {right}")
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if compressed else raw
        head = _read_bytes(stream, 540)  # size of the larger header, NIfTI-2
        kind: Any = nib.Nifti2Image if head[4:7] == b"n+2" else nib.Nifti1Image
        if not _recognise(head) or head[:2] == _GZIP:
            raise FormatError(f"{name}: does not hold a NIfTI image; expected .nii content; convert it")
        # The extensions are left for later: here only sizes are wanted.
        header = kind.header_class(head[: kind.header_class.sizeof_hdr])
        end = _check_header(header, name, file_bytes, compressed=compressed)
        content = head + _read_bytes(stream, end - len(head))
        if len(content) < end:
            raise FormatError(
                f"{name}: is cut short: {len(content):,} of {end:,} bytes are there; get a complete copy"
            )
        stream.read(1)  # at its end, gzip compares the checksum
        return from_nibabel(kind.from_bytes(content), name=name)


def from_nibabel(image: Any, name: str = "image") -> Scan:
    """Return the scan in a nibabel image.

    Parameters
    ----------
    image : nibabel Nifti1Image or Nifti2Image
        From a file or from memory; not changed.
    name : str
        For messages.

    Raises
    ------
    FormatError
        If it is another kind of nibabel image.
    ShapeError
        If it has more than four axes longer than 1.
    IntensityError
        If it holds RGB or complex values.
    """
    nib = _nibabel()

    if not isinstance(image, nib.Nifti1Pair):  # the base of all NIfTI classes, 1 and 2
        raise FormatError(f"{name}: is a {type(image).__name__}; expected a NIfTI image; convert it")
    header, stored = image.header.copy(), image.get_data_dtype()
    shape = image.shape
    _check_header(header, name, 2**63, compressed=False)
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 4:
        raise ShapeError(f"{name}: has {len(shape)} axes {shape}; expected 2 to 4; split it first")

    proxy = image.dataobj
    slope, inter = 1.0, 0.0
    if nib.is_proxy(proxy):
        slope, inter = float(proxy.slope), float(proxy.inter)
        data = np.asarray(proxy.get_unscaled())
        if (slope, inter) != (1.0, 0.0):
            data = data.astype(np.float64) * slope + inter
    else:
        data = np.asarray(proxy)
    data = native(data.reshape(shape))

    # nibabel gives the zooms of the axes that there are, time last.
    to_mm = _MM_PER_UNIT[header.get_xyzt_units()[0]]
    spacing = tuple(float(zoom) * to_mm for zoom in header.get_zooms()[: min(len(shape), 3)])
    known = len(spacing) > 0 and all(math.isfinite(size) and size > 0 for size in spacing)
    slice_dim = header.get_dim_info()[2]
    return Scan(
        data=data,
        format="nifti",
        stored_dtype=stored,
        spacing_mm=spacing if known else None,
        affine=None if image.affine is None else np.array(image.affine, dtype=np.float64),
        slice_axis=slice_dim if slice_dim is not None and slice_dim < min(len(shape), 3) else None,
        header=_Source(header, slope, inter),
        name=name,
    )


def to_nibabel(scan: Scan) -> Any:
    """Return the scan as a nibabel image in memory, holding real values.

    Parameters
    ----------
    scan : Scan
        Of any format; one that was not NIfTI gets a new NIfTI-1 header.

    Returns
    -------
    nibabel Nifti1Image or Nifti2Image
        Rounded and clipped to an integer dtype if the scan has one and no slope.
    """
    source: _Source | None = scan.header if isinstance(scan.header, _Source) else None
    scaled = source is not None and (source.slope, source.inter) != (1.0, 0.0)
    data = scan.data if scaled else to_stored(scan.data, scan.stored_dtype)
    return _image(scan, data, scan.stored_dtype, source)


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a scan as .nii or .nii.gz, with the header, slope and byte order that it came with.

    Parameters
    ----------
    scan : Scan
        Real values; stored as (value - intercept) / slope, rounded and clipped to the stored dtype.
    path : path
        Where to write; .gz compresses.
    float32 : bool
        Store float32 with slope 1 instead.

    Raises
    ------
    OutputError
        If NIfTI has no code for the dtype.
    """
    source: _Source | None = scan.header if isinstance(scan.header, _Source) else None
    dtype = np.dtype(np.float32) if float32 else scan.stored_dtype
    slope, inter = 1.0, 0.0
    # A scan that was given another dtype since (simulated noise) has no use for the old scaling.
    if source is not None and not float32 and dtype == source.header.get_data_dtype():
        slope, inter = source.slope, source.inter
    values = scan.data
    if (slope, inter) != (1.0, 0.0):
        values = (values.astype(np.float64) - inter) / slope
    with quiet("nibabel.global"):
        image = _image(scan, to_stored(values, dtype), dtype, source)
        # An explicit slope makes nibabel store the values as they are.
        image.header.set_slope_inter(slope, inter)
        image.to_filename(path)


def _image(scan: Scan, data: Array, dtype: np.dtype[Any], source: _Source | None) -> Any:
    """Return a nibabel image of `data` with the source's header, its dtype set to `dtype`."""
    from nibabel.spatialimages import HeaderDataError

    nib = _nibabel()

    if source is None:
        header: Any = nib.Nifti1Header()
        if scan.spacing_mm is not None:
            header.set_data_shape(data.shape)
            zooms = [*scan.spacing_mm, 1.0][: data.ndim]
            header.set_zooms(zooms)
            header.set_xyzt_units("mm")
    else:
        header = source.header.copy()
        data = data.reshape(header.get_data_shape())  # with the trailing axes of length 1
    try:
        header.set_data_dtype(dtype)
    except HeaderDataError as error:
        raise OutputError(
            f"NIfTI cannot store {dtype}; expected an integer or float of up to 64 bits; ask for float32"
        ) from error
    kind: Any = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    return kind(data, scan.affine, header=header, dtype=dtype)


_KEEPS = "version, header, extensions, affine, slope and intercept, byte order, type"
FORMAT = Format("nifti", "NIfTI", (".nii", ".nii.gz"), _recognise, read, write, _KEEPS)

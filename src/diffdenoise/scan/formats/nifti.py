"""NIfTI-1 and NIfTI-2, plain or gzip-compressed, by nibabel; nothing of the header is lost.

References
----------
NIfTI-1 data format, https://nifti.nimh.nih.gov/nifti-1 (header fields are named as there).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError, OutputError
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.header import (
    check_axes,
    check_real,
    check_sizes,
    check_whole,
    is_flat,
    without_last_ones,
)
from diffdenoise.scan.formats.nifti_geometry import affine_of, spacing_of, usable
from diffdenoise.scan.limits import most_unpacked, refuse_unpacked
from diffdenoise.scan.pixels import native, refuse_oversized, to_stored
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.raw import RawVoxels
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.survey import look_through
from diffdenoise.scan.unpack import Unpacked, read_plain
from diffdenoise.scan.voxels import LAZY_FROM_BYTES, Held, Voxels, scaled, slabs_as
from diffdenoise.types import Affine, Array

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Source:
    """The header as read, and the scaling of its integers (nibabel keeps that apart)."""

    header: Any
    slope: float
    inter: float
    #: Slope and intercept as they stand in a file: perhaps 0, or no numbers.
    stated: tuple[float, float] | None = None


def _nibabel() -> Any:
    """Import nibabel when it is needed, untyped: its annotations cover only part of it."""
    import nibabel

    return nibabel


def _recognise(head: bytes) -> bool:
    """Whether the bytes are gzip, or a single-file NIfTI header ("n+1" at 344, "n+2" at 4)."""
    return head[:2] == _GZIP or head[344:347] == b"n+1" or head[4:7] == b"n+2"


def _check_header(header: Any, name: str, file_bytes: int, *, compressed: bool) -> tuple[int, int]:
    """Return where the voxels begin and end in bytes; refuse what is not one real number a voxel."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    check_real(dtype, name)
    check_sizes(shape, name)
    stated = math.prod(int(size) for size in shape) * int(dtype.itemsize)
    start = int(header.get_data_offset())
    refuse_oversized(name, start + stated, file_bytes, compressed=compressed)
    if compressed and header["scl_slope"] not in (0, 1):
        # Scaled values are float64.
        refuse_unpacked(name, stated // dtype.itemsize * 8, most_unpacked(file_bytes))
    return start, start + stated


def _read(path: Path) -> Scan:
    """Values are float64 real ones if the header has a slope or intercept, else as stored."""
    name, file_bytes = str(path), path.stat().st_size
    compressed = path.name.lower().endswith(".gz")
    with path.open("rb") as raw, quiet("nibabel.global"):
        if (raw.read(2) == _GZIP) != compressed:
            found, right = ("is not", ".nii") if compressed else ("is", ".nii.gz")
            raise FormatError(f"{name}: {found} gzip-compressed, unlike its suffix; rename it to {right}")
        raw.seek(0)
        packed = Unpacked(raw, "gzip", name) if compressed else None
        take = packed.array if packed is not None else partial(read_plain, raw)
        kind, head = _take_head(take, name)
        # The extensions are left for later: here only sizes are wanted.
        header = kind.header_class(head[: kind.header_class.sizeof_hdr])
        start, end = _check_header(header, name, file_bytes, compressed=compressed)
        if start < len(head):
            raise FormatError(f"{name}: is damaged: its vox_offset is {start}; get a complete copy")
        before = head + take(start - len(head)).tobytes()
        dtype, shape = header.get_data_dtype(), _four_axes(header.get_data_shape(), name)
        is_large = end - start >= LAZY_FROM_BYTES
        if is_large:
            stored: Voxels = RawVoxels(path, start, shape, dtype, packed=compressed)
            check_whole(end if compressed else file_bytes, end, name)
        else:
            content = take(end - start)
            check_whole(len(before) + len(content), end, name)
            if packed is not None:
                packed.check_end()
            stored = Held(native(content.view(dtype).reshape(shape, order="F")))
        header = kind.header_class.from_fileobj(io.BytesIO(before))
        # nibabel makes voxel sizes that were never set 1; they are to be written back as they were.
        unset = kind.header_class(head, check=False)["pixdim"][1:] == 0
        header["pixdim"][1:][unset] = 0
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    # Fields that hold no number count as 0 in NIfTI's own library (FIXED_FLOAT); a slope of 0 scales nothing.
    stated = (slope, inter)
    if not math.isfinite(slope) or slope == 0:
        slope, inter = 1.0, 0.0
    source = _Source(header, slope, inter if math.isfinite(inter) else 0.0, stated)
    used = usable(header, name)
    scan = _scan(stored, source, affine_of(used), used, name)
    if is_large and compressed:
        # Only its end tells whether it is whole; what is learned on the way is remembered.
        look_through(scan)
    return scan


def _take_head(take: Callable[[int], NDArray[np.uint8]], name: str) -> tuple[Any, bytes]:
    """Read the header, without extensions; return nibabel's class for it too."""
    nib = _nibabel()
    head = take(348).tobytes()
    is_second = head[4:7] == b"n+2"
    if is_second:
        head += take(540 - 348).tobytes()
    if not _recognise(head) or head[:2] == _GZIP:
        raise FormatError(f"{name}: does not hold a NIfTI image; expected .nii content; convert it")
    return nib.Nifti2Image if is_second else nib.Nifti1Image, head


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
        If it is another kind of nibabel image, or its orientation holds no numbers.
    ShapeError
        If it has more than four axes longer than 1.
    IntensityError
        If it holds RGB or complex values.
    """
    nib = _nibabel()

    if not isinstance(image, nib.Nifti1Pair):  # the base of all NIfTI classes, 1 and 2
        raise FormatError(f"{name}: is a {type(image).__name__}; expected a NIfTI image; convert it")
    if image.affine is not None and not np.isfinite(image.affine).all():
        raise FormatError(f"{name}: its affine holds NaN or infinity; expected numbers; set it anew")
    if image.affine is not None and not is_flat(image.affine[:3, :3]):
        # With its header true of its affine, as it would be saved.
        image = type(image)(image.dataobj, image.affine, image.header)
    header = image.header.copy()
    _check_header(header, name, 2**63, compressed=False)
    proxy, source = image.dataobj, _Source(header, 1.0, 0.0)
    if nib.is_proxy(proxy):
        source = _Source(header, float(proxy.slope), float(proxy.inter))
    stored = np.asarray(proxy.get_unscaled() if nib.is_proxy(proxy) else proxy)
    used = usable(header, name)
    stored = native(stored.reshape(_four_axes(image.shape, name), order="A"))
    return _scan(Held(stored), source, affine_of(used), used, name)


def _four_axes(stated: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The shape without axes of length 1 after the fourth."""
    shape = without_last_ones(stated, most=4)
    check_axes(shape, name)
    return shape


def _scan(stored: Voxels, source: _Source, affine: Affine | None, used: Any, name: str) -> Scan:
    """Return the scan of stored values and of a header that says where they lie."""
    shape, header = stored.shape, source.header
    # nibabel holds the scaling of an image in memory apart from its header.
    header["scl_slope"] = header["scl_inter"] = np.nan
    plain = (source.slope, source.inter) == (1.0, 0.0)
    slice_dim = header.get_dim_info()[2]
    return Scan(
        stored if plain else scaled(stored, source.slope, source.inter),
        format="nifti",
        stored_dtype=header.get_data_dtype(),
        spacing_mm=spacing_of(used, min(len(shape), 3), affine),
        affine=affine,
        slice_axis=slice_dim if slice_dim is not None and slice_dim < min(len(shape), 3) else None,
        header=source,
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
    if source is not None:
        # nibabel refuses, or works with, what is kept as it is in a file.
        source = replace(source, header=usable(source.header, scan.name))
    return _image(scan, data, scan.stored_dtype, source, scan.affine)


def _write(out: Outgoing, path: Path) -> None:
    """With the header, slope and byte order that it came with; stored are (values - intercept) / slope."""
    scan, dtype, source = out.scan, out.dtype, out.source(_Source)
    slope, inter = 1.0, 0.0
    # A scan that was given another dtype since (simulated noise) has no use for the old scaling.
    unchanged = source is not None and dtype == source.header.get_data_dtype()
    if source is not None and unchanged:
        slope, inter = source.slope, source.inter

    def stored_of(values: Array) -> Array:
        if (slope, inter) != (1.0, 0.0):
            values = (values.astype(np.float64) - inter) / slope
        return to_stored(values, dtype)

    with quiet("nibabel.global"):
        own = None if source is None else affine_of(usable(source.header, scan.name))
        kept = own is scan.affine or (
            own is not None and scan.affine is not None and np.array_equal(own, scan.affine)
        )
        # Without an affine of its own, nibabel leaves the header's fields as they are.
        # Its values are written below: they needn't be in memory.
        nothing = np.broadcast_to(np.zeros((), dtype), scan.shape)
        image = _image(scan, nothing, dtype, source, None if kept else scan.affine)
        # An explicit slope makes nibabel store the values as they are.
        image.header.set_slope_inter(slope, inter)
        if source is not None and source.stated is not None and unchanged:
            image.header["scl_slope"], image.header["scl_inter"] = source.stated
        if source is not None and kept:
            image.header["pixdim"] = source.header["pixdim"]
        _save(image, path, slabs_as(scan.voxels, None if scan.ndim == 2 else 2, dtype, stored_of))


def _save(image: Any, path: Path, slabs: Iterable[Array]) -> None:
    """Write a nibabel image's header, then slabs (slices, first axis, second axis) of stored values."""
    from nibabel import openers, volumeutils

    image.update_header()
    header = image.header
    dtype = header.get_data_dtype()
    # nibabel's annotations cover only part of it.
    opener, seek_tell = cast(Any, openers.ImageOpener), cast(Any, volumeutils.seek_tell)
    with opener(path, "wb") as stream:
        header.write_to(stream)
        seek_tell(stream, header.get_data_offset(), write0=True)
        for slab in slabs:
            # The first axis is the fastest.
            stream.write(np.ascontiguousarray(slab.transpose(0, 2, 1), dtype).tobytes())


def _image(
    scan: Scan, data: Array, dtype: np.dtype[Any], source: _Source | None, affine: Affine | None
) -> Any:
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
    return kind(data, affine, header=header, dtype=dtype)


_KEEPS = "version, header, extensions, affine, slope and intercept, byte order, type"
FORMAT = Format("nifti", "NIfTI", (".nii", ".nii.gz"), _recognise, _read, _write, _KEEPS)

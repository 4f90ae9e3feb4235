"""FreeSurfer MGH, plain or compressed (.mgz): the header by nibabel, and the tags that follow the voxels.

References
----------
MGH format, https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat (fields are named as there).
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import FormatError, OutputError
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.formats.header import check_finite, check_sizes, in_order, placing
from diffdenoise.scan.pixels import refuse_oversized
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.unpack import Unpacked, read_plain

_GZIP = b"\x1f\x8b"
#: Where the voxels begin; the fields before take fewer bytes.
_DATA_OFFSET = 284
#: Commands, colour tables and the like; more than this is no honest file's.
_MOST_TAG_BYTES = 64 * 2**20


@dataclass(frozen=True)
class _Source:
    """The header, and the tags after it, which no two programs know all of."""

    header: Any
    tags: bytes = field(repr=False)


def _recognise(head: bytes) -> bool:
    # Version 1, big-endian; or gzip-compressed.
    return head[:4] == b"\0\0\0\1" or head[:2] == _GZIP


def _read(path: Path) -> Scan:
    import nibabel as nib

    kind: Any = nib.MGHImage.header_class
    with path.open("rb") as raw:
        packed = Unpacked(raw, "gzip", str(path)) if raw.read(2) == _GZIP else None
        raw.seek(0)
        take = packed.array if packed is not None else partial(read_plain, raw)
        head = take(_DATA_OFFSET).tobytes()
        fields = head[: kind._hdrdtype.itemsize]
        # Its last fields lie after the voxels.
        header = kind(fields + bytes(kind._ftrdtype.itemsize))
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
        check_sizes(shape, path)
        stated = math.prod(int(size) for size in shape) * dtype.itemsize
        refuse_oversized(str(path), stated, path.stat().st_size, compressed=packed is not None)
        stored = in_order(take(stated), np.dtype(dtype).newbyteorder(">"), shape, path)
        footer = take(kind._ftrdtype.itemsize).tobytes()
        tags = take(min(_MOST_TAG_BYTES, path.stat().st_size * 1032) + 1).tobytes()
    if len(tags) > _MOST_TAG_BYTES:
        raise FormatError(f"{path}: has over {_MOST_TAG_BYTES:,} bytes after its voxels; get a complete copy")
    header = kind(fields + footer)
    for name in ("delta", "Mdc", "Pxyz_c"):
        check_finite(header[name], name, path)
    spacing = tuple(float(size) for size in header["delta"])
    return Scan(
        stored,
        stored_dtype=stored.dtype.newbyteorder("="),
        spacing_mm=spacing if min(spacing) > 0 else None,
        affine=placing(header.get_affine()),
        header=_Source(header, tags),
    )


def _write(out: Outgoing, path: Path) -> None:
    import nibabel as nib

    source = out.source(_Source)
    header = nib.MGHImage.header_class() if source is None else source.header.copy()  # type: ignore[no-untyped-call]
    try:
        header.set_data_dtype(out.dtype)
    except Exception as error:  # HeaderDataError, not exported by name
        raise OutputError(f"{path}: MGH cannot store {out.dtype}; ask for float32, or write NIfTI") from error
    image = nib.MGHImage(out.values, out.scan.affine, header)  # type: ignore[no-untyped-call]
    content = image.to_bytes() + (b"" if source is None else source.tags)
    # The date is left out, so that the same scan gives the same bytes.
    path.write_bytes(gzip.compress(content, mtime=0) if path.name.lower().endswith(".mgz") else content)


FORMAT = Format(
    "mgh", "MGH", (".mgh", ".mgz"), _recognise, _read, _write, "header, affine, type, tags after the voxels"
)

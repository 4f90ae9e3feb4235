"""TIFF: one grey image, or pages of one size as a volume, by tifffile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.child import run_in_child
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.pixels import colour_of, native, one_channel, refuse_oversized
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Array

# "II" or "MM", then 42 (TIFF 6.0, section 2) or 43 (BigTIFF).
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# PhotometricInterpretation, tag 262.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
# Compression (tag 259) that tifffile decodes without its codec package: none, Deflate, PackBits.
_OWN_COMPRESSIONS = (1, 8, 32946, 32773)
# dtypes that pillow, which reads the other compressions (LZW above all), keeps exact.
_PILLOW_DTYPES = (np.uint8, np.uint16, np.int16, np.float32)


@dataclass(frozen=True)
class _Source:
    """The tags that are written back."""

    photometric: int = _BLACK_IS_ZERO
    channels: int = 1
    byteorder: Literal[">", "<"] | None = None
    resolution: tuple[Any, Any] | None = None
    resolution_unit: int | None = None
    description: str | None = None


def _recognise(head: bytes) -> bool:
    return head.startswith(_SIGNATURES)


def _read(path: Path) -> Scan:
    """Grey (h, w), or pages (pages, h, w); also stored as RGB(A) whose channels are equal."""
    import tifffile

    # OME-XML may point to other files; the pages of this one are what was asked for.
    with quiet("tifffile") as log, tifffile.TiffFile(path, is_ome=False) as tiff:
        pages: list[Any] = [tiff.pages[index].aspage() for index in range(len(tiff.pages))]
        source = _check_pages(pages, path, tiff.byteorder)
        series = tiff.series[0]
        # "S" counts samples of a pixel. ImageJ's "C" counts pages, as tifffile labels plain stacks.
        if "S" in series.axes and source.channels == 1:
            raise IntensityError(f"{path}: has several samples a pixel; expected one; split the channels")
        axes = len(series.shape) - (source.channels > 1)
        if axes > 3:
            raise ShapeError(f"{path}: has {axes} axes; expected one image or one stack; convert to NIfTI")
        # TIFF has no mark for its end: tifffile logs a broken chain of pages and goes on without them.
        if any(record.levelno >= logging.ERROR for record in log):
            raise FormatError(f"{path}: is damaged; expected a whole TIFF file; get a complete copy")
        first = pages[0]
        own = first.compression in _OWN_COMPRESSIONS and first.predictor in (1, 2)
        # Pillow inverts white-is-zero images and rounds wider types: refused rather than changed.
        if not own and (first.photometric == _WHITE_IS_ZERO or first.dtype not in _PILLOW_DTYPES):
            raise FormatError(
                f"{path}: is {first.dtype} compressed as {first.compression.name}, which is not read; "
                "save it uncompressed"
            )
        if all(page.compression == 1 for page in pages):
            pixels: Array = series.asarray()
        else:
            facts = {"path": str(path), "own": own, "pages": len(pages), "shape": first.shape}
            facts |= {"dtype": first.dtype.str}
            stated, held = sum(int(page.nbytes) for page in pages), path.stat().st_size
            _, decoded = run_in_child(f"{__name__}:decode", facts, name=str(path), stated=stated, held=held)
            if decoded is None:
                raise FormatError(f"{path}: is damaged; expected {len(pages)} pages; get a complete copy")
            pixels = decoded
    data = native(pixels if source.channels == 1 else one_channel(pixels, str(path)))
    return Scan(data, slice_axis=0 if data.ndim == 3 else None, header=source)


def _check_pages(pages: list[Any], path: Path, byteorder: Literal[">", "<"]) -> _Source:
    """Refuse what is not equal grey pages that lie within the file; return the tags to keep."""
    first, file_bytes = pages[0], path.stat().st_size
    if any(not (page.imagewidth and page.imagelength) for page in pages):
        raise FormatError(f"{path}: is damaged; expected {len(pages)} pages with a size; get a complete copy")
    if len({(page.shape, page.dtype) for page in pages}) > 1:
        raise ShapeError(f"{path}: has pages of different sizes or types; expected one size; split it")
    channels = 1
    if first.photometric == _RGB and first.axes == "YXS" and first.dtype in (np.uint8, np.uint16):
        channels = first.samplesperpixel
    if first.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and channels not in (3, 4):
        raise IntensityError(
            f"{path}: is a colour or palette image; expected one grey channel; convert it to greyscale"
        )
    if first.dtype is None:
        raise FormatError(f"{path}: has an unknown pixel type; expected 8 or 16 bits, or float; convert it")
    # Pages that share what is stored of them would be more than the file can hold.
    stated, held = sum(int(page.nbytes) for page in pages), sum(sum(page.databytecounts) for page in pages)
    refuse_oversized(
        str(path), stated, min(held, file_bytes), compressed=any(page.compression != 1 for page in pages)
    )
    if held > file_bytes:
        raise FormatError(
            f"{path}: is damaged: its pages are stored in {held:,} bytes, more than the file's "
            f"{file_bytes:,}; get a complete copy"
        )
    for page in pages:
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if max(ends, default=0) > file_bytes:
            raise FormatError(f"{path}: is cut short: pixels lie past its end; get a complete copy")
    across, up, unit = (first.tags.get(code) for code in (282, 283, 296))
    resolution = _fraction(across), _fraction(up)
    description = first.description
    return _Source(
        photometric=int(first.photometric),
        channels=channels,
        byteorder=byteorder,
        resolution=None if None in resolution else resolution,
        resolution_unit=int(unit.value) if unit is not None else None,
        description=description if description and description.isascii() else None,
    )


def _fraction(tag: Any) -> tuple[int, int] | None:
    """A resolution's two numbers; None where they are no fraction, which could not be written."""
    try:
        above, below = (int(each) for each in tag.value)
    except (AttributeError, TypeError, ValueError):
        return None
    return (above, below) if below > 0 and above >= 0 else None


def decode(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Decode compressed pages; in another process: libtiff is C code, Deflate may unpack to anything."""
    path, shape = facts["path"], tuple(facts["shape"])
    if facts["own"]:
        import tifffile

        with quiet("tifffile"), tifffile.TiffFile(path, is_ome=False) as tiff:
            return {}, tiff.series[0].asarray()
    from PIL import Image, ImageSequence

    # What may be large is known: the header's sizes have set this process's limits.
    Image.MAX_IMAGE_PIXELS = None
    with quiet("PIL"), Image.open(path, formats=["TIFF"]) as image:
        pixels = [np.array(frame) for frame in ImageSequence.Iterator(image)]
    if len(pixels) != facts["pages"] or any(frame.shape != shape for frame in pixels):
        raise FormatError(f"{path}: is damaged; expected {facts['pages']} pages of {shape}; save it again")
    stack = np.stack(pixels) if len(pixels) > 1 else pixels[0]
    return {}, stack.astype(np.dtype(facts["dtype"]))


def _write(out: Outgoing, path: Path) -> None:
    """As uncompressed pages, one a slice along the first axis."""
    import tifffile

    if out.scan.ndim > 3:
        raise OutputError(f"TIFF cannot store {out.scan.ndim} axes; expected 2 or 3; write NIfTI")
    source, pixels = out.source(_Source) or _Source(), out.values
    description = source.description
    if description is not None and "<OME" in description and pixels.dtype != out.scan.stored_dtype:
        description = None  # its XML states the old pixel type
    photometric = source.photometric
    if source.channels > 1 and not np.issubdtype(pixels.dtype, np.floating):
        pixels = colour_of(pixels, source.channels)
    elif source.channels > 1:
        photometric = _BLACK_IS_ZERO
    with quiet("tifffile"):
        tifffile.imwrite(
            path,
            pixels,
            photometric=photometric,
            extrasamples=("unassalpha",) if source.channels == 4 and photometric == _RGB else None,
            byteorder=source.byteorder,
            resolution=source.resolution,
            resolutionunit=source.resolution_unit,
            description=description,
            software=False,
            metadata=None,
        )


_KEEPS = "pages, type, byte order, channels and photometry, description, resolution"
FORMAT = Format("tiff", "TIFF", (".tif", ".tiff"), _recognise, _read, _write, _KEEPS)

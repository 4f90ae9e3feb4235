"""PNG, 8 and 16 bits of grey, by pillow; grey stored as RGB goes back as RGB."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdenoise.errors import IntensityError, OutputError, ShapeError
from diffdenoise.scan.format import Format
from diffdenoise.scan.pixels import colour_of, native, one_channel, refuse_oversized, to_stored
from diffdenoise.scan.quiet import quiet
from diffdenoise.scan.scan import Scan

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour types of the IHDR chunk (PNG specification, 11.2.2) and their samples a pixel.
_GREY, _RGB, _RGBA = 0, 2, 6
_SAMPLES = {_GREY: 1, _RGB: 3, 3: 1, 4: 2, _RGBA: 4}


@dataclass(frozen=True)
class _Source:
    """Channels (1, 3 or 4) and dots per inch of the file."""

    channels: int = 1
    dpi: tuple[float, float] | None = None


def _recognise(head: bytes) -> bool:
    return head.startswith(_SIGNATURE)


def read(path: Path) -> Scan:
    """Read a greyscale PNG, or an RGB(A) one whose channels are equal.

    Parameters
    ----------
    path : path
        An existing file.

    Returns
    -------
    Scan
        (h, w), uint8 or uint16.

    Raises
    ------
    IntensityError
        If it has colours, a palette or transparency.
    ShapeError
        If it is animated.
    """
    from PIL import Image

    content = path.read_bytes()
    head = content[:33]
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    bits, colour_type = head[24], head[25]
    stated = width * height * _SAMPLES[colour_type] * bits // 8
    refuse_oversized(str(path), stated, len(content), compressed=True)
    # Pillow reads 16-bit colour as 8-bit: refused rather than degraded.
    if colour_type not in _SAMPLES.keys() - {3, 4} or (bits == 16 and colour_type != _GREY):
        raise IntensityError(
            f"{path}: is a colour, palette or alpha PNG of {bits} bits; expected grey of 8 or 16 bits; "
            "convert it to greyscale"
        )
    # From memory: pillow takes a damaged chunk's length at its word when it reads from a file.
    with quiet("PIL"), Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise ShapeError(f"{path}: is animated; expected one picture; save its frames apart")
        pixels = np.asarray(image)
        dpi = image.info.get("dpi")
    channels = _SAMPLES[colour_type]
    data = native(pixels if channels == 1 else one_channel(pixels, str(path)))
    if bits == 16 and data.dtype != np.uint16:  # pillow gave int32 until version 11
        data = data.astype(np.uint16)
    return Scan(
        data=data, format="png", stored_dtype=data.dtype, header=_Source(channels, dpi), name=str(path)
    )


def write(scan: Scan, path: Path, *, float32: bool) -> None:
    """Write a two-dimensional scan as PNG, rounded and clipped to its stored dtype.

    Parameters
    ----------
    scan : Scan
        Its stored dtype is uint8 or uint16.
    path : path
        Where to write.
    float32 : bool
        Refused: PNG holds integers only.

    Raises
    ------
    OutputError
        If it is a volume or PNG has no such dtype.
    """
    from PIL import Image

    if float32 or scan.stored_dtype not in (np.uint8, np.uint16):
        dtype = "float32" if float32 else str(scan.stored_dtype)
        raise OutputError(f"PNG cannot store {dtype}; expected uint8 or uint16; write TIFF or NPY")
    if scan.ndim != 2:
        raise OutputError(f"PNG cannot store {scan.ndim} axes; expected 2; write TIFF or NIfTI")
    source = scan.header if isinstance(scan.header, _Source) else _Source()
    pixels = to_stored(scan.data, scan.stored_dtype)
    if source.channels > 1:
        pixels = colour_of(pixels, source.channels)
    options = {} if source.dpi is None else {"dpi": source.dpi}
    Image.fromarray(pixels).save(path, format="PNG", **options)


_KEEPS = "bits, grey as one or more channels, resolution"
FORMAT = Format("png", "PNG", (".png",), _recognise, read, write, _KEEPS, holds_float=False)

"""PNG, 8 and 16 bits of grey, by pillow; grey stored as RGB goes back as RGB."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdenoise.errors import IntensityError, OutputError, ShapeError
from diffdenoise.scan.format import Format, Outgoing
from diffdenoise.scan.pixels import colour_of, one_channel, refuse_oversized
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


def _read(path: Path) -> Scan:
    """Grey of 8 or 16 bits, (h, w); also stored as RGB(A) whose channels are equal."""
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
    data = pixels if channels == 1 else one_channel(pixels, str(path))
    if bits == 16 and data.dtype != np.uint16:  # pillow gave int32 until version 11
        data = data.astype(np.uint16)
    return Scan(data, header=_Source(channels, dpi))


def _write(out: Outgoing, path: Path) -> None:
    from PIL import Image

    if out.dtype not in (np.uint8, np.uint16):
        raise OutputError(f"PNG cannot store {out.dtype}; expected uint8 or uint16; write TIFF or NPY")
    if out.scan.ndim != 2:
        raise OutputError(f"PNG cannot store {out.scan.ndim} axes; expected 2; write TIFF or NIfTI")
    source = out.source(_Source) or _Source()
    pixels = out.values
    if source.channels > 1:
        pixels = colour_of(pixels, source.channels)
    options = {} if source.dpi is None else {"dpi": source.dpi}
    Image.fromarray(pixels).save(path, format="PNG", **options)


_KEEPS = "bits, grey as one or more channels, resolution"
FORMAT = Format("png", "PNG", (".png",), _recognise, _read, _write, _KEEPS, holds_float=False)

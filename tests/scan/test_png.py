from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from diffdenoise.errors import FormatError, IntensityError, OutputError, ShapeError
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.write import write_scan

from .files import make, values

COLOUR = values((9, 11, 3), np.uint8)
GREY = values((9, 11), np.uint8)


@pytest.mark.parametrize(
    ("case", "mode"),
    [("png-8", "L"), ("png-16", "I;16"), ("png-grey-as-rgb", "RGB"), ("png-grey-as-rgba", "RGBA")],
)
def test_the_file_keeps_its_form_and_resolution(case, mode, tmp_path):
    path = make(case, tmp_path)
    scan = read_scan(path)
    write_scan(scan.with_data(scan.data // 2), path, overwrite=True)
    with Image.open(path) as image:
        assert image.mode == mode
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.02)  # PNG counts whole pixels a metre


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.fromarray(COLOUR), "is a colour image"),
        (Image.fromarray(np.dstack([COLOUR, GREY])), "is a colour image"),
        (Image.fromarray(np.dstack([GREY, GREY, GREY, GREY])), "transparent"),
        (Image.fromarray(np.dstack([GREY, GREY])), "colour, palette or alpha"),
        (Image.fromarray(COLOUR).quantize(8), "colour, palette or alpha"),
    ],
)
def test_colour_is_refused(image, reason, tmp_path):
    image.save(tmp_path / "a.png")
    with pytest.raises(IntensityError, match=f"{reason}.*expected.*grey"):
        read_scan(tmp_path / "a.png")


def _png(width, height, bits, colour_type, pixels=b""):
    """A PNG of stated size with any pixel data, checksums right."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = zlib.compress(pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_sixteen_bit_colour_is_refused_rather_than_degraded(tmp_path):
    (tmp_path / "a.png").write_bytes(_png(9, 9, 16, 2, bytes(9 * (1 + 9 * 6))))
    with pytest.raises(IntensityError, match="16 bits"):
        read_scan(tmp_path / "a.png")


@pytest.mark.parametrize("side", [2**31 - 1, 60000, 0])
def test_an_absurd_size_is_refused(side, tmp_path):
    (tmp_path / "a.png").write_bytes(_png(side, side, 8, 0))
    with pytest.raises(FormatError, match="damaged"):
        read_scan(tmp_path / "a.png")


def test_an_animation_is_refused(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(ShapeError, match="animated"):
        read_scan(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (values((9, 11), np.float32), "float32"),
        (values((9, 11), np.int16), "int16"),
        (values((9, 11, 4), np.uint8), "3 axes"),
    ],
)
def test_arrays_that_png_cannot_hold_are_refused(data, reason, tmp_path):
    with pytest.raises(OutputError, match=reason):
        write_scan(from_array(data), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []

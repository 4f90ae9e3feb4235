"""What compressed frames say of themselves, compared with the data set's header before anything is decoded.

References
----------
JPEG: ITU-T T.81, B.2.2 (frame header). JPEG-LS: ITU-T T.87, C.2.2. JPEG 2000: ITU-T T.800, A.5.1 (SIZ).
RLE: DICOM PS3.5, G.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from diffdenoise.errors import FormatError

_SOI, _SOS, _EOI = 0xD8, 0xDA, 0xD9
#: Frame headers: SOF0 to SOF15 without the tables and the reserved one among them, and JPEG-LS's SOF55.
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
#: Markers that stand alone, without a length: TEM, RSTm, SOI.
_ALONE = {0x01, *range(0xD0, 0xD9)}
_J2K = b"\xff\x4f\xff\x51"
_RLE = "1.2.840.10008.1.2.5"
#: Segments that a header can't be behind.
_MOST_SEGMENTS = 100_000


@dataclass(frozen=True)
class Stated:
    """What a codestream says that it holds.

    Attributes
    ----------
    rows, columns : int
        0 where it says so further on, or nowhere.
    samples : int
        A pixel.
    bits : int
        A sample.
    """

    rows: int
    columns: int
    samples: int
    bits: int


def check_codestreams(dataset: Any, name: str) -> int:
    """Compare all frames of a compressed data set with its header.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With encapsulated pixel data.
    name : str
        For messages.

    Returns
    -------
    int
        Most bits of a sample in any frame; 0 if none says so.

    Raises
    ------
    FormatError
        If a frame is of another size, or there are fewer than stated.
    """
    from pydicom.encaps import generate_frames

    rows, columns = int(dataset.Rows), int(dataset.Columns)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated = int(dataset.BitsAllocated)
    count = int(dataset.get("NumberOfFrames") or 1)
    table = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    options: dict[str, Any] = {"extended_offsets": table} if all(table) else {}
    bits = 0
    try:
        frames = generate_frames(dataset.PixelData, number_of_frames=count, **options)
        for _, frame in zip(range(count), frames, strict=False):
            if dataset.file_meta.TransferSyntaxUID == _RLE:
                _check_rle(frame, rows * columns, columns, samples * allocated // 8, name)
                continue
            for found in stated_by(frame):
                bits = max(bits, found.bits)
                if found.rows not in (0, rows) or found.columns not in (0, columns):
                    raise FormatError(
                        f"{name}: is damaged: a compressed frame is of {found.columns}x{found.rows} pixels, "
                        f"but the header states {columns}x{rows}; get a complete copy"
                    )
                if found.samples != samples or found.bits > allocated:
                    raise FormatError(
                        f"{name}: is damaged: a compressed frame has {found.samples} samples a pixel of "
                        f"{found.bits} bits, but the header states {samples} in {allocated}; get a complete "
                        "copy"
                    )
    except FormatError:
        raise
    except Exception:  # what pydicom raises for damaged items
        raise FormatError(f"{name}: its pixel data are damaged or cut short; get a complete copy") from None
    return bits


def stated_by(frame: bytes) -> Iterator[Stated]:
    """Yield what each header in a frame says; nothing for a frame that is of no kind known here."""
    if frame[:2] == b"\xff\xd8":
        yield from _jpeg(frame)
    elif (start := 0 if frame.startswith(_J2K) else frame.find(_J2K, 0, 4096)) >= 0:
        yield from _jpeg_2000(frame[start : start + 64])


def _check_rle(frame: bytes, pixels: int, slack: int, planes: int, name: str) -> None:
    """Raise `FormatError` if a frame hasn't one segment for each byte of a pixel, or one is of other length.

    Decoders cut off what is more, which would be another image.
    """
    count = int.from_bytes(frame[:4], "little")
    if count != planes:
        raise FormatError(
            f"{name}: is damaged: a compressed frame has {count} segments, but the header states {planes}; "
            "get a complete copy"
        )
    starts = [int.from_bytes(frame[4 * number : 4 * number + 4], "little") for number in range(1, count + 1)]
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        length = _unpacked_length(frame[start:end])
        if not pixels <= length <= pixels + slack:
            raise FormatError(
                f"{name}: is damaged: a compressed frame is of {length:,} pixels, but the header states "
                f"{pixels:,}; get a complete copy"
            )


def _unpacked_length(segment: bytes) -> int:
    """Bytes that a segment unpacks to (PS3.5, G.3.1)."""
    place, length, last = 0, 0, len(segment) - 1
    while place < last:
        first = segment[place]
        if first < 128:
            length += first + 1
            place += first + 2
        elif first > 128:
            length += 257 - first
            place += 2
        else:
            place += 1
    return length


def _jpeg(frame: bytes) -> Iterator[Stated]:
    """All frame headers before the first scan: a decoder may go by any of them."""
    place = 2
    for _ in range(_MOST_SEGMENTS):
        start = frame.find(b"\xff", place)
        if start < 0 or start + 1 >= len(frame):
            return
        marker = frame[start + 1]
        place = start + 1
        if marker in (0x00, 0xFF):
            continue
        if marker in (_SOS, _EOI):
            return
        if marker in _ALONE:
            place = start + 2
            continue
        body = frame[start + 4 : start + 10]
        if marker in _FRAME_HEADERS and len(body) == 6:
            lines, columns = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            yield Stated(lines, columns, body[5], body[0])
        place = start + 2 + max(2, int.from_bytes(frame[start + 2 : start + 4], "big"))


def _jpeg_2000(head: bytes) -> Iterator[Stated]:
    """The SIZ marker segment: size and offset of the grid, then of its tiles, components and their bits."""
    if len(head) < 43:
        return
    # After SOC, SIZ, its length and capabilities.
    right, bottom, left, top = (int.from_bytes(head[at : at + 4], "big") for at in (8, 12, 16, 20))
    samples, bits = int.from_bytes(head[40:42], "big"), (head[42] & 0x7F) + 1
    yield Stated(max(0, bottom - top), max(0, right - left), samples, bits)

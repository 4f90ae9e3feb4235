"""JPEG Extended with 12 bits, by GDCM: a plugin for pydicom, none of whose own reads it (as of 3.0)."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

TWELVE_BIT_SYNTAX = "1.2.840.10008.1.2.4.51"
#: What pydicom asks a plugin for.
DECODER_DEPENDENCIES = {TWELVE_BIT_SYNTAX: ("gdcm>=3.0.24",)}


def is_available(uid: str) -> bool:
    """Whether frames of this transfer syntax can be decoded."""
    return uid == TWELVE_BIT_SYNTAX and importlib.util.find_spec("gdcm") is not None


def decode_frame(src: bytes, runner: Any) -> bytes:
    """Decode one frame.

    Parameters
    ----------
    src : bytes
        The frame as it is in the file.
    runner : pydicom.pixels.decoders.base.DecodeRunner
        Knows the image's size and bits.

    Returns
    -------
    bytes
        16-bit little-endian pixels.

    Raises
    ------
    ValueError
        If it is not of 12 bits in 16, or damaged.
    """
    import gdcm  # type: ignore[import-not-found, import-untyped, unused-ignore]

    if runner.bits_allocated != 16 or runner.samples_per_pixel != 1:
        raise ValueError("not a greyscale image in 16 bits")
    piece = gdcm.Fragment()
    piece.SetByteStringValue(src)
    pieces = gdcm.SequenceOfFragments.New()
    pieces.AddFragment(piece)
    pixels = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixels.SetValue(pieces.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    stored = runner.bits_stored
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, stored, stored - 1, runner.pixel_representation))
    image.SetDataElement(pixels)
    # GDCM's bytes come as a str.
    decoded: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    if len(decoded) != 2 * runner.rows * runner.columns:
        raise ValueError("damaged")
    return decoded


@cache
def register() -> None:
    """Make pydicom use this plugin, where GDCM is installed."""
    from pydicom.pixels.decoders.base import get_decoder

    if is_available(TWELVE_BIT_SYNTAX):
        get_decoder(TWELVE_BIT_SYNTAX).add_plugin("diffdenoise", (__name__, "decode_frame"))

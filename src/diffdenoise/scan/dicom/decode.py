"""Decode compressed pixel data; run in another process, as damaged files bring decoders in C down."""

from __future__ import annotations

from typing import Any

from diffdenoise.scan.dicom.jpeg_extended import register
from diffdenoise.scan.dicom.parse import quiet_pydicom
from diffdenoise.types import Array

#: Elements of the Image Pixel module (PS3.3, C.7.6.3) that decoders go by.
ELEMENTS = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
    "PhotometricInterpretation",
)
#: Where frames begin, and how long they are; bytes.
TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
FUNCTION = f"{__name__}:decode"


def decode(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Array]:
    """Decode all frames.

    Parameters
    ----------
    facts : dict
        `ELEMENTS` that the data set has, `TABLES` in hexadecimal digits, and "syntax".
    payload : bytearray
        Encapsulated pixel data.

    Returns
    -------
    facts : dict
        Nothing.
    array
        Stored values with all bits as they are.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID

    made: Any = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(str(facts["syntax"]))
    register()
    with quiet_pydicom():
        for keyword in ELEMENTS:
            if keyword in facts:
                setattr(made, keyword, facts[keyword])
        for keyword in TABLES:
            if keyword in facts:
                setattr(made, keyword, bytes.fromhex(facts[keyword]))
        made.PixelData = bytes(payload)
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
        return {}, pixel_array(made, raw=True, correct_unused_bits=False)

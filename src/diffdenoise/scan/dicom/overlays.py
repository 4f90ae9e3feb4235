"""Overlays kept in the unused high bits of the pixels, an old way (PS3.5, 8.1.2, retired)."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdenoise.scan.dicom.parse import number_of
from diffdenoise.scan.dicom.pixels import raw_values

#: Groups of overlays: 6000 to 601E, the even ones.
_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _BITS_ALLOCATED, _BIT_POSITION, _DATA = 0x0010, 0x0100, 0x0102, 0x3000


def keep_overlays(dataset: Any, name: str) -> None:
    """Move overlays out of the pixels' bits to elements of their own, which new pixels leave as they are.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Still with the source's pixels; changed in place.
    name : str
        For messages.
    """
    raw = None
    for group in _GROUPS:
        if (group, _ROWS) not in dataset or (group, _DATA) in dataset:
            continue
        position = int(dataset[group, _BIT_POSITION].value) if (group, _BIT_POSITION) in dataset else 0
        if not 0 < position < int(number_of(dataset, "BitsAllocated") or 0):
            continue
        raw = raw_values(dataset, name) if raw is None else raw
        bits = (raw.view(f"u{raw.dtype.itemsize}") >> position) & 1
        packed = np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()
        dataset.add_new((group, _DATA), "OW", packed + bytes(len(packed) % 2))
        dataset[group, _BIT_POSITION].value = 0
        dataset[group, _BITS_ALLOCATED].value = 1

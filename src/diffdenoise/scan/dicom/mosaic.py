"""Siemens mosaics: the slices of a volume side by side in one image.

References
----------
nibabel, "Siemens mosaic format", https://nipy.org/nibabel/dicom/dicom_mosaic.html.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdenoise.scan.dicom.parse import words_of
from diffdenoise.scan.quiet import quiet

_LEAST_SIDE = 8


@dataclass(frozen=True)
class Mosaic:
    """How slices lie in an image.

    Attributes
    ----------
    count : int
        Slices; what is left of the last row of tiles is blank.
    side : int
        Tiles along a row, and along a column.
    normal : three floats
        Direction from slice to slice, of length 1, in DICOM's axes.
    """

    count: int
    side: int
    normal: tuple[float, ...]

    def positions(
        self,
        position: tuple[float, ...],
        orientation: tuple[float, ...],
        size_mm: tuple[float, float],
        step_mm: float,
    ) -> list[tuple[float, ...]]:
        """Return the position of each slice.

        Parameters
        ----------
        position, orientation : tuple of float
            As the header states them: such that a slice of the mosaic's size would have the slice's centre.
        size_mm : (down, right)
            Of the mosaic.
        step_mm : float
            From slice to slice.
        """
        right, down = np.array(orientation[:3]), np.array(orientation[3:])
        blank = (1 - 1 / self.side) / 2
        first = np.array(position) + blank * (size_mm[1] * right + size_mm[0] * down)
        return [
            tuple(float(each) for each in first + number * step_mm * np.array(self.normal))
            for number in range(self.count)
        ]


def mosaic_of(dataset: Any, rows: int, columns: int) -> Mosaic | None:
    """Return how slices lie in an image; None if it is no mosaic, or lacks the private elements that say so.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With or without pixels.
    rows, columns : int
        Of the image.
    """
    if "MOSAIC" not in words_of(dataset, "ImageType"):
        return None
    with quiet("nibabel.global"):
        from nibabel.nicom import csareader

        try:
            described = csareader.get_csa_header(dataset, "image")  # type: ignore[no-untyped-call]
            count = int(csareader.get_n_mosaic(described))  # type: ignore[no-untyped-call]
            stated = csareader.get_slice_normal(described)  # type: ignore[no-untyped-call]
            normal = np.array(stated, np.float64)
        except Exception:  # private elements that are missing or damaged make nibabel raise all sorts
            return None
    side = math.ceil(math.sqrt(max(count, 0)))
    if count < 2 or rows % side or columns % side or min(rows, columns) // side < _LEAST_SIDE:
        return None
    if normal.shape != (3,) or not abs(np.linalg.norm(normal) - 1) < 1e-2:
        return None
    return Mosaic(count, side, tuple(float(each) for each in normal))

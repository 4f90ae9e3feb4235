"""What a scan is: voxel values, geometry, and the source header they came with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.types import Affine, Array


@dataclass(frozen=True, repr=False)
class Scan:
    """One image, volume or time series as read from one file.

    Attributes
    ----------
    data : array, (h, w), (x, y, z) or (x, y, z, t)
        Real values (stored value x slope + intercept), axes in file order. Keeps the stored dtype
        where the file applies no slope.
    format : str
        Name of the format in the registry ("nifti", "png", "tiff", "numpy", "array").
    stored_dtype : numpy.dtype
        dtype of the values in the file, the one to write back.
    spacing_mm : tuple of float or None
        Voxel size along each spatial axis of `data` in millimetres; None where the file has none.
    affine : float64 (4, 4) or None
        Voxel indices to millimetres; None where the file has none.
    in_plane : float64 (3, 2) or None
        Directions in RAS, of length 1, of the two axes of `data` that slices lie in, in the order of these
        axes: for drawing slices upright where there is no affine, as for a single image or where slices are
        missing. None where the file doesn't say; only DICOM does.
    slice_axis : int or None
        Axis along which 2-D slices were acquired or stacked, if the file itself says so.
    header : object
        The format's own header, opaque to everything but the format that read it.
    name : str
        File name as the user gave it, relative to the folder that was given; for messages and for
        naming outputs.
    outside : bool array, shape of `data`, or None
        Voxels that the user wants left as they are: they come back bit for bit and are not learned from.
    """

    data: Array
    format: str
    stored_dtype: np.dtype[Any]
    spacing_mm: tuple[float, ...] | None = None
    affine: Affine | None = None
    slice_axis: int | None = None
    in_plane: Affine | None = None
    header: Any = field(default=None, repr=False, compare=False)
    name: str = ""
    outside: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """One line, without values and header."""
        spacing = self.spacing_mm and f"{' x '.join(f'{side:.4g}' for side in self.spacing_mm)} mm"
        shape = " x ".join(map(str, self.data.shape))
        parts = (self.format, shape, str(self.stored_dtype), spacing, self._directions())
        return f"Scan({self.name!r}, {', '.join(part for part in parts if part)})"

    def _directions(self) -> str | None:
        """The directions that the axes run to, such as RAS."""
        if self.affine is None or not np.isfinite(self.affine).all():
            return None
        from nibabel.orientations import aff2axcodes

        return "".join(code or "?" for code in aff2axcodes(self.affine))  # type: ignore[no-untyped-call]

    def with_data(self, data: Array) -> Scan:
        """Return the same scan with other voxel values of the same shape."""
        return replace(self, data=data)

"""What a scan is: voxel values, geometry, and the source header they came with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.voxels import Voxels, as_voxels
from diffdenoise.types import Affine, Array


@dataclass(frozen=True, repr=False, init=False)
class Scan:
    """One image, volume or time series as read from one file.

    Parameters
    ----------
    data : array or Voxels, (h, w), (x, y, z) or (x, y, z, t)
        Real values (stored value x slope + intercept), axes in file order. Keeps the stored dtype
        where the file applies no slope.
    outside : bool array or Voxels, shape of `data`, or None
        Voxels that the user wants left as they are: they come back bit for bit and are not learned from.
    **facts
        The attributes below, by name or in their order.

    Attributes
    ----------
    voxels : Voxels
        The values, which may still be in the file.
    format : str
        Name of the format in the registry ("nifti", "png", "tiff", "numpy", "array").
    stored_dtype : numpy.dtype
        dtype of the values in the file, the one to write back.
    spacing_mm : tuple of float or None
        Voxel size along each spatial axis of `data` in millimetres; None where the file has none.
    affine : float64 (4, 4) or None
        Voxel indices to millimetres; None where the file has none.
    slice_axis : int or None
        Axis along which 2-D slices were acquired or stacked, if the file itself says so.
    in_plane : float64 (3, 2) or None
        Directions in RAS, of length 1, of the two axes of `data` that slices lie in, in the order of these
        axes: for drawing slices upright where there is no affine, as for a single image or where slices are
        missing. None where the file doesn't say; only DICOM does.
    header : object
        The format's own header, opaque to everything but the format that read it.
    name : str
        File name as the user gave it, relative to the folder that was given; for messages and for
        naming outputs.
    hidden : Voxels or None
        What `outside` is, perhaps still in the file.
    """

    voxels: Voxels
    format: str
    stored_dtype: np.dtype[Any]
    spacing_mm: tuple[float, ...] | None = None
    affine: Affine | None = None
    slice_axis: int | None = None
    in_plane: Affine | None = None
    header: Any = field(default=None, repr=False, compare=False)
    name: str = ""
    hidden: Voxels | None = field(default=None, repr=False, compare=False)

    def __init__(
        self,
        data: Array | Voxels | None = None,
        format: str = "array",  # noqa: A002 (the attribute's name)
        stored_dtype: np.dtype[Any] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
        affine: Affine | None = None,
        slice_axis: int | None = None,
        in_plane: Affine | None = None,
        header: Any = None,
        name: str = "",
        outside: NDArray[np.bool_] | Voxels | None = None,
        *,
        voxels: Voxels | None = None,
        hidden: Voxels | None = None,
    ) -> None:
        # `replace` gives what there was by the attributes' names, beside what is new.
        given = voxels if data is None else as_voxels(data)
        if given is None:
            raise TypeError("a scan without values: give data")
        values = {
            "voxels": given,
            "format": format,
            "stored_dtype": given.dtype if stored_dtype is None else stored_dtype,
            "spacing_mm": spacing_mm,
            "affine": affine,
            "slice_axis": slice_axis,
            "in_plane": in_plane,
            "header": header,
            "name": name,
            "hidden": hidden if outside is None else as_voxels(outside),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    @property
    def data(self) -> Array:
        """All values in one array; those of a file that wasn't read yet are read now, and kept."""
        return self.voxels.whole()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `data`."""
        return self.voxels.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.voxels.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of `data`."""
        return self.voxels.dtype

    @property
    def outside(self) -> NDArray[np.bool_] | None:
        """Voxels that are to be left as they are, in one array."""
        return None if self.hidden is None else self.hidden.whole().astype(bool, copy=False)

    def __repr__(self) -> str:
        """One line, without values and header."""
        spacing = self.spacing_mm and f"{' x '.join(f'{side:.4g}' for side in self.spacing_mm)} mm"
        shape = " x ".join(map(str, self.shape))
        parts = (self.format, shape, str(self.stored_dtype), spacing, self._directions())
        return f"Scan({self.name!r}, {', '.join(part for part in parts if part)})"

    def _directions(self) -> str | None:
        """The directions that the axes run to, such as RAS."""
        if self.affine is None or not np.isfinite(self.affine).all():
            return None
        from nibabel.orientations import aff2axcodes

        return "".join(code or "?" for code in aff2axcodes(self.affine))  # type: ignore[no-untyped-call]

    def with_data(self, data: Array | Voxels) -> Scan:
        """Return the same scan with other voxel values of the same shape."""
        return replace(self, voxels=as_voxels(data))

    def with_outside(self, outside: NDArray[np.bool_] | Voxels | None) -> Scan:
        """Return the same scan with other voxels to be left as they are."""
        return replace(self, hidden=None if outside is None else as_voxels(outside))

"""Images in memory as scans, and results back as the same kind of image.

Of the libraries asked here none is imported: an image of theirs exists only where they are loaded already.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import IntensityError, ShapeError
from diffdenoise.scan.formats.nifti import from_nibabel, to_nibabel
from diffdenoise.scan.pixels import native, to_stored
from diffdenoise.scan.read import from_array
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Affine
from diffdenoise.work.result import Result

#: ITK's directions (left, back, up) in those of an affine (right, front, up).
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Axes in space and time.
_MOST_AXES = 4


@dataclass(frozen=True)
class Kind:
    """An image as a scan, and the way back.

    Attributes
    ----------
    scan : Scan
        The image's real values and geometry.
    back : callable
        Takes a scan of the same shape to an image like the one given: its kind, geometry and dtype
        (`Scan.stored_dtype`).
    """

    scan: Scan
    back: Callable[[Scan], Any]


def kind_of(image: Any, name: str | None = None) -> Kind:
    """Return an image in memory as a scan.

    Parameters
    ----------
    image : Scan, Result, numpy array, or nibabel, torch, SimpleITK, ITK or ANTs image
        One grey value a voxel. Leading axes of length 1 of a tensor (batch, channel) are left out and come
        back.
    name : str, optional
        For messages.

    Raises
    ------
    InputError
        If it is of another kind, or a scan can't hold it (colour, complex values, five axes).
    """
    if isinstance(image, Scan):
        return Kind(image, lambda scan: scan)
    if isinstance(image, Result):
        return Kind(image.scan, lambda scan: scan)
    if isinstance(image, np.ndarray):
        return Kind(from_array(image, name or "array"), lambda scan: to_stored(scan.data, scan.stored_dtype))
    if _is(image, "nibabel.spatialimages", "SpatialImage"):
        return Kind(from_nibabel(image, name or "image"), to_nibabel)
    if _is(image, "torch", "Tensor"):
        return _tensor(image, name or "tensor")
    if _is(image, "SimpleITK", "Image"):
        return _simpleitk(image, name or "image")
    library = type(image).__module__.split(".")[0]
    if library == "itk" and hasattr(image, "GetLargestPossibleRegion"):
        return _itk(image, name or "image")
    if library == "ants" and hasattr(image, "new_image_like"):
        return _ants(image, name or "image")
    raise IntensityError(
        f"{name or 'image'}: is a {type(image).__name__}; expected a path, a NumPy array, a torch tensor, or "
        "a nibabel, SimpleITK, ITK or ANTs image; convert it, such as with numpy.asarray"
    )


def is_path(image: Any) -> bool:
    """Whether it names a file or folder."""
    return isinstance(image, str | os.PathLike)


def _is(image: Any, module: str, name: str) -> bool:
    """Whether it is of a class of a library that is loaded."""
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and isinstance(image, found)


def _tensor(tensor: Any, name: str) -> Kind:
    """A torch tensor: its device, dtype and class (MONAI's MetaTensor too) come back, without gradient."""
    torch = sys.modules["torch"]
    values = tensor.detach()
    if values.layout != torch.strided or values.is_quantized:
        raise IntensityError(f"{name}: is sparse or quantised; expected a dense tensor; use to_dense()")
    plain = values.as_subclass(torch.Tensor).resolve_conj().resolve_neg().cpu()
    # NumPy has no bfloat16, which float32 holds exactly.
    plain = plain.float() if plain.dtype == torch.bfloat16 else plain
    array = plain.numpy()
    shape = array.shape
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    affine = _affine_of(tensor, array.ndim)
    scan = Scan(
        data=native(array),
        format="array",
        stored_dtype=array.dtype,
        spacing_mm=None if affine is None else _spacing_of(affine),
        affine=affine,
        name=name,
    )

    def back(result: Scan) -> Any:
        kept = result.stored_dtype == scan.stored_dtype
        # A copy of the tensor, filled: it keeps what its class knows.
        target = (
            values.clone() if kept else values.to(torch.from_numpy(np.empty(0, result.stored_dtype)).dtype)
        )
        stored = np.ascontiguousarray(to_stored(result.data, result.stored_dtype).reshape(shape))
        target.copy_(torch.from_numpy(stored))
        return target

    return Kind(scan, back)


def _affine_of(image: Any, axes: int) -> Affine | None:
    """The affine that a tensor's class knows, of a volume or time series."""
    found = getattr(image, "affine", None)
    if found is None or axes < 3:
        return None
    affine = np.asarray(found, dtype=np.float64)
    good = affine.shape == (4, 4) and np.isfinite(affine).all() and np.linalg.det(affine[:3, :3]) != 0
    return affine if good else None


def _spacing_of(affine: Affine) -> tuple[float, ...]:
    return tuple(float(side) for side in np.linalg.norm(affine[:3, :3], axis=0))


def _simpleitk(image: Any, name: str) -> Kind:
    library = sys.modules["SimpleITK"]
    _refuse_channels(image.GetNumberOfComponentsPerPixel(), name)
    array = library.GetArrayFromImage(image)

    def back(result: Scan) -> Any:
        new = library.GetImageFromArray(_reversed(to_stored(result.data, result.stored_dtype)))
        new.CopyInformation(image)
        for key in image.GetMetaDataKeys():
            new.SetMetaData(key, image.GetMetaData(key))
        return new

    direction = np.reshape(image.GetDirection(), (array.ndim, array.ndim))
    return Kind(_lps_scan(array, image.GetSpacing(), image.GetOrigin(), direction, "simpleitk", name), back)


def _itk(image: Any, name: str) -> Kind:
    library = sys.modules["itk"]
    _refuse_channels(image.GetNumberOfComponentsPerPixel(), name)
    array = library.array_from_image(image)

    def back(result: Scan) -> Any:
        new = library.image_from_array(_reversed(to_stored(result.data, result.stored_dtype)))
        new.CopyInformation(image)
        new.SetMetaDataDictionary(image.GetMetaDataDictionary())
        return new

    direction = np.asarray(library.array_from_matrix(image.GetDirection()))
    spacing, origin = (list(values) for values in (image.GetSpacing(), image.GetOrigin()))
    return Kind(_lps_scan(array, spacing, origin, direction, "itk", name), back)


def _ants(image: Any, name: str) -> Kind:
    _refuse_channels(image.components, name)

    def back(result: Scan) -> Any:
        return image.new_image_like(_reversed(to_stored(result.data, result.stored_dtype)).T)

    # ANTs's arrays run x, y, z.
    array = np.asarray(image.numpy()).T
    direction = np.asarray(image.direction)
    return Kind(_lps_scan(array, image.spacing, image.origin, direction, "ants", name), back)


def _refuse_channels(count: int, name: str) -> None:
    if count != 1:
        raise IntensityError(f"{name}: has {count} values a voxel; expected one grey value; give one channel")


def _lps_scan(
    array: NDArray[Any], spacing: Any, origin: Any, direction: NDArray[np.float64], library: str, name: str
) -> Scan:
    """Scan of an array in ITK's order (time, z, y, x), with ITK's geometry (axes x, y, z, time)."""
    if not 2 <= array.ndim <= _MOST_AXES:
        raise ShapeError(f"{name}: has {array.ndim} axes; expected 2 to 4; split it")
    array, sides = native(array), [float(side) for side in spacing]
    if array.ndim == 2:
        # (rows, columns); a single image has no place in space.
        return Scan(array, library, array.dtype, (sides[1], sides[0]), name=name)
    affine = np.eye(4)
    affine[:3, :3] = direction[:3, :3] * sides[:3]
    affine[:3, 3] = list(origin)[:3]
    return Scan(array.T, library, array.dtype, tuple(sides[:3]), np.asarray(_LPS @ affine), name=name)


def _reversed(data: NDArray[Any]) -> NDArray[Any]:
    """A scan's values in ITK's order."""
    return np.ascontiguousarray(data.T if data.ndim > 2 else data)

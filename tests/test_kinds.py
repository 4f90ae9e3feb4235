"""Images of other libraries: their values and places as scans, and results back as their own kind."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffdenoise.errors import InputError, IntensityError, ShapeError
from diffdenoise.kinds import kind_of
from diffdenoise.noise.simulate import simulate
from tests.conftest import make_volume

#: x, y, z: sizes, voxel sizes in mm, and the place of the first voxel, left, back, up.
SHAPE, SPACING, ORIGIN = (14, 11, 9), (1.0, 2.0, 4.0), (5.0, 6.0, 7.0)
#: ITK's direction matrix: x runs back, y left, z down.
DIRECTION = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
#: The same as an affine to right, front, up: columns are the steps of x, y, z.
AFFINE = [[0, -2, 0, -5], [-1, 0, 0, -6], [0, 0, -4, 7], [0, 0, 0, 1]]


def volume() -> NDArray[np.int16]:
    return make_volume(SHAPE)


class _Image:
    """What SimpleITK, ITK and ANTs images have in common, of which the fakes below are made."""

    def __init__(self, array: NDArray[Any], components: int = 1) -> None:
        self.array = array  # x, y, z
        self.spacing, self.origin, self.direction = SPACING, ORIGIN, DIRECTION
        self.components = components
        self.said: dict[str, str] = {"modality": "MR"}

    def copy(self, source: _Image) -> None:
        self.spacing, self.origin, self.direction = source.spacing, source.origin, source.direction


class _SimpleItkImage(_Image):
    def GetSpacing(self) -> tuple[float, ...]:  # noqa: N802
        return self.spacing

    def GetOrigin(self) -> tuple[float, ...]:  # noqa: N802
        return self.origin

    def GetDirection(self) -> Any:  # noqa: N802
        return tuple(self.direction.ravel())

    def GetNumberOfComponentsPerPixel(self) -> int:  # noqa: N802
        return self.components

    def CopyInformation(self, source: _SimpleItkImage) -> None:  # noqa: N802
        self.copy(source)

    def GetMetaDataKeys(self) -> tuple[str, ...]:  # noqa: N802
        return tuple(self.said)

    def GetMetaData(self, key: str) -> str:  # noqa: N802
        return self.said[key]

    def SetMetaData(self, key: str, value: str) -> None:  # noqa: N802
        self.said[key] = value


class _ItkImage(_SimpleItkImage):
    def GetLargestPossibleRegion(self) -> None:  # noqa: N802
        """Tells an ITK image."""

    def GetDirection(self) -> Any:  # noqa: N802
        return self.direction

    def GetMetaDataDictionary(self) -> dict[str, str]:  # noqa: N802
        return self.said

    def SetMetaDataDictionary(self, said: dict[str, str]) -> None:  # noqa: N802
        self.said = said


class _AntsImage(_Image):
    def numpy(self) -> NDArray[Any]:
        return self.array

    def new_image_like(self, data: NDArray[Any]) -> _AntsImage:
        return _AntsImage(data)


_ItkImage.__module__ = "itk.itkImagePython"
_AntsImage.__module__ = "ants.core.ants_image"


def fake(monkeypatch: pytest.MonkeyPatch, library: str, components: int = 1) -> _Image:
    """An image of a library that looks installed."""

    def made(kind: type[_Image]) -> Any:
        def of_array(array: NDArray[Any]) -> _Image:
            new = kind(array.T)
            new.spacing, new.origin, new.direction, new.said = (1.0,) * 3, (0.0,) * 3, np.eye(3), {}
            return new

        return of_array

    module: Any = types.ModuleType(library)
    if library == "SimpleITK":
        module.Image = _SimpleItkImage
        module.GetArrayFromImage = lambda image: image.array.T
        module.GetImageFromArray = made(_SimpleItkImage)
    if library == "itk":
        module.array_from_image = lambda image: image.array.T
        module.image_from_array = made(_ItkImage)
        module.array_from_matrix = lambda matrix: matrix
    monkeypatch.setitem(sys.modules, library, module)
    kinds = {"SimpleITK": _SimpleItkImage, "itk": _ItkImage, "ants": _AntsImage}
    return kinds[library](volume(), components)


@pytest.mark.parametrize("library", ["SimpleITK", "itk", "ants"])
def test_an_image_is_a_scan_at_its_place_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    image = fake(monkeypatch, library)
    kind = kind_of(image)
    assert np.array_equal(kind.scan.data, volume())
    assert kind.scan.spacing_mm == SPACING
    assert np.array_equal(kind.scan.affine, AFFINE)
    back: Any = kind.back(kind.scan.with_data(volume() + 0.6))
    assert type(back) is type(image)
    assert np.array_equal(back.array, volume() + 1)
    assert back.array.dtype == np.int16
    assert (back.spacing, back.origin, back.said) == (SPACING, ORIGIN, {"modality": "MR"})
    assert np.array_equal(back.direction, DIRECTION)


@pytest.mark.parametrize("library", ["SimpleITK", "itk", "ants"])
def test_colour_is_refused(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    with pytest.raises(IntensityError, match="3 values a voxel"):
        kind_of(fake(monkeypatch, library, components=3))


def test_simpleitk_itself() -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(volume().T)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(DIRECTION.ravel())
    image.SetMetaData("modality", "MR")
    kind = kind_of(image)
    assert np.array_equal(kind.scan.data, volume())
    assert np.array_equal(kind.scan.affine, AFFINE)
    # SimpleITK itself says where a voxel lies: left, back, up.
    index = (3, 5, 2)
    place = kind.scan.affine @ [*index, 1]
    assert np.allclose(image.TransformIndexToPhysicalPoint(index), place[:3] * [-1, -1, 1])
    back = kind.back(kind.scan.with_data(volume() + 0.6))
    assert np.array_equal(sitk.GetArrayFromImage(back).T, volume() + 1)
    assert back.GetPixelID() == image.GetPixelID()
    assert back.GetSpacing() == SPACING
    assert back.GetOrigin() == ORIGIN
    assert back.GetDirection() == image.GetDirection()
    assert back.GetMetaData("modality") == "MR"
    single = kind_of(image[:, :, 4])
    assert np.array_equal(single.scan.data, volume()[:, :, 4].T)
    assert single.scan.spacing_mm == (2.0, 1.0)
    assert np.array_equal(sitk.GetArrayFromImage(single.back(single.scan)), volume()[:, :, 4].T)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.bfloat16, torch.float64])
def test_a_tensor_keeps_its_dtype_and_batch_axes(dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(volume() // 8).abs().to(dtype)[None, None]
    kind = kind_of(tensor)
    assert kind.scan.data.shape == SHAPE
    back = kind.back(kind.scan.with_data(kind.scan.data.astype(np.float64) + 1.0))
    assert back.dtype == dtype
    assert back.shape == (1, 1, *SHAPE)
    assert torch.equal(back, tensor + 1)
    # The tensor that was given is not written to.
    assert torch.equal(tensor, torch.from_numpy(volume() // 8).abs().to(dtype)[None, None])


def test_a_tensor_that_learns_comes_back_without_gradient() -> None:
    tensor = torch.from_numpy(volume()).float().requires_grad_()
    back = kind_of(tensor).back(kind_of(tensor).scan)
    assert not back.requires_grad
    assert torch.equal(back, tensor.detach())
    assert back.device == tensor.device


def test_a_sparse_tensor_is_refused() -> None:
    with pytest.raises(IntensityError, match="to_dense"):
        kind_of(torch.eye(9).to_sparse())


def test_what_a_tensor_class_knows_stays() -> None:
    class Meta(torch.Tensor):
        """A tensor with an affine, as MONAI's."""

        affine = torch.diag(torch.tensor([-1.0, 2.0, 4.0, 1.0]))

    tensor = torch.from_numpy(volume()).float().as_subclass(Meta)
    kind = kind_of(tensor)
    assert kind.scan.spacing_mm == SPACING
    assert np.array_equal(kind.scan.affine, np.diag([-1, 2, 4, 1]))
    assert isinstance(kind.back(kind.scan), Meta)


@pytest.mark.parametrize("dtype", [">i2", "<u2", "f2", ">f4", "f8", "i8"])
def test_an_array_keeps_its_dtype_and_byte_order(dtype: str) -> None:
    array = np.abs(volume()).astype(dtype)
    array.flags.writeable = False
    kind = kind_of(array)
    back = kind.back(kind.scan.with_data(array.astype(np.float64) + 1.0))
    assert back.dtype == np.dtype(dtype)
    assert np.array_equal(back, array + 1)


def test_simulated_noise_comes_back_as_floats_in_every_kind() -> None:
    for image in (volume(), torch.from_numpy(volume()), nibabel.Nifti1Image(volume(), np.eye(4))):
        kind = kind_of(image)
        back = kind.back(simulate(kind.scan, "gaussian", 60.0))
        assert type(back) is type(image)
        values = np.asanyarray(back.dataobj) if isinstance(back, nibabel.Nifti1Image) else np.asarray(back)
        assert values.dtype == np.float32
        assert (values - volume()).std() == pytest.approx(60, rel=0.1)


def test_what_is_no_image_is_refused_by_its_kind() -> None:
    masked = np.ma.masked_array(volume(), mask=volume() > 500)
    frame = type("DataFrame", (), {"__array__": lambda self: np.ones((9, 9))})()
    for image, word in [(masked, "masked array"), ({"a": 1}, "is a dict"), (frame, "is a DataFrame")]:
        with pytest.raises(InputError, match=word):
            kind_of(image)
    with pytest.raises(InputError, match="expected a NIfTI image"):
        kind_of(nibabel.MGHImage(volume().astype(np.float32), np.eye(4)))


def test_five_axes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    image = fake(monkeypatch, "SimpleITK")
    image.array = np.zeros((3, 3, 3, 3, 3))
    image.direction = np.eye(5)
    with pytest.raises(ShapeError, match="5 axes"):
        kind_of(image)


def test_a_scan_is_itself() -> None:
    scan = replace(kind_of(volume()).scan, name="mine")
    kind = kind_of(scan)
    assert kind.scan is scan
    assert kind.back(scan) is scan

"""One small file of every kind that is read, each made by its own library rather than by ours."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from scipy import io

#: Oblique, with numbers that float32 header fields can hold exactly.
AFFINE = np.array([[0.5, 0.125, 0, -12.5], [-0.125, 0.5, 0.25, 7.75], [0, -0.25, 3, 31.5], [0, 0, 0, 1]])


def values(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Values over the whole range of an integer dtype (or around zero), the extremes included."""
    rng = np.random.default_rng(5)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 100).astype(dtype)
    limits = np.iinfo(dtype)
    data = rng.integers(limits.min, limits.max, shape, endpoint=True, dtype=dtype.newbyteorder("="))
    data.flat[0], data.flat[1] = limits.min, limits.max
    return data.astype(dtype)


def nifti(
    shape: tuple[int, ...],
    dtype: Any,
    *,
    kind: Any = nib.Nifti1Image,
    endianness: str = "<",
    slope: float = 1.0,
    inter: float = 0.0,
) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        header = kind.header_class(endianness=endianness)
        header.set_data_dtype(np.dtype(dtype).newbyteorder(endianness))
        header.set_data_shape(shape)
        header.set_xyzt_units("mm", "sec")
        header["descrip"] = b"a description"
        header["intent_name"] = b"an intent"
        header["cal_max"] = 77
        header.set_dim_info(0, 1, 2 if len(shape) > 2 else None)
        image = kind(values(shape, dtype), AFFINE, header)
        image.set_sform(AFFINE, 1)
        image.set_qform(AFFINE, 4)
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept"))
        image.header.set_slope_inter(slope, inter)
        image.to_filename(path)

    return make


def zarr_array(shape: tuple[int, ...], dtype: Any, **options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        data = values(shape, dtype)
        zarr.create_array(path, data=data, attributes={"note": "kept"}, **options)

    return make


def ome_zarr(shape: tuple[int, ...], dtype: Any, version: str) -> Callable[[Path], None]:
    """Two levels of an image of axes t, c, z, y, x; the second has half as many voxels a side."""

    def make(path: Path) -> None:
        levels = [values(shape, dtype), values(shape, dtype)[..., ::2, ::2]]
        image = {
            "name": "a",
            "axes": [
                {"name": "t", "type": "time"},
                {"name": "c", "type": "channel"},
                *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
            ],
            "datasets": [
                {
                    "path": str(number),
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [1, 1, 3, 0.5 * 2**number, 0.75 * 2**number]}
                    ],
                }
                for number in range(2)
            ],
        }
        second = version == "0.4"
        described = {"multiscales": [{**image, "version": version}], "omero": {"channels": [{"label": "MR"}]}}
        group = zarr.create_group(
            path,
            zarr_format=2 if second else 3,
            attributes=described if second else {"ome": {**described, "version": version}},
        )
        for number, level in enumerate(levels):
            array = group.create_array(
                str(number),
                shape=level.shape,
                dtype=level.dtype,
                chunks=(1, 1, 1, 8, 8),
                chunk_key_encoding={"name": "v2" if second else "default", "separator": "/"},
                dimension_names=None if second else list("tczyx"),
            )
            array[...] = level

    return make


def png(shape: tuple[int, int], dtype: Any, channels: int = 1) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pixels = values(shape, dtype)
        if channels > 1:
            opaque = np.full_like(pixels, 255)
            pixels = np.stack([pixels, pixels, pixels, opaque][:channels], axis=-1)
        Image.fromarray(pixels).save(path, dpi=(150, 150))

    return make


def tiff(shape: tuple[int, ...], dtype: Any, **options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        settings = {"photometric": "minisblack", "metadata": None, **options}
        tifffile.imwrite(
            path,
            values(shape, dtype),
            description="plain words",
            resolution=(118.5, 118.5),
            resolutionunit="CENTIMETER",
            **settings,
        )

    return make


def tiff_rgb(path: Path) -> None:
    pixels = values((9, 11), np.uint8)
    tifffile.imwrite(path, np.stack([pixels] * 3, axis=-1), photometric="rgb", metadata=None)


def tiff_lzw(path: Path) -> None:
    pages = [Image.fromarray(page) for page in values((3, 9, 11), np.uint16)]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_lzw", dpi=(100, 100))


def nrrd_file(shape: tuple[int, ...], dtype: Any, encoding: str = "gzip") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        header: dict[str, Any] = {"encoding": encoding, "content": "some words", "measured by": "someone"}
        if len(shape) > 2:
            more = len(shape) - 3
            header["space"] = "left-posterior-superior"
            header["space directions"] = np.array([*AFFINE[:3, :3].T, *[[np.nan] * 3] * more])
            header["space origin"] = AFFINE[:3, 3]
            header["kinds"] = [*["domain"] * 3, *["list"] * more]
        nrrd.write(str(path), values(shape, dtype), header)

    return make


def mha(shape: tuple[int, ...], dtype: Any, *, compressed: bool = False) -> Callable[[Path], None]:
    """As ITK writes it: header lines, then the voxels, the first axis the fastest."""
    names = {"u1": "MET_UCHAR", "i2": "MET_SHORT", "f8": "MET_DOUBLE"}
    kind = np.dtype(dtype)

    def make(path: Path) -> None:
        content = values(shape, dtype).tobytes(order="F")
        turn = np.eye(len(shape))
        turn[:2, :2] = [[0.8, 0.6], [-0.6, 0.8]]
        fields = {
            "ObjectType": "Image",
            "NDims": len(shape),
            "BinaryData": True,
            "BinaryDataByteOrderMSB": kind.byteorder == ">",
            "CompressedData": compressed,
            "TransformMatrix": " ".join(str(each) for each in turn.ravel()),
            "Offset": " ".join(["-20.5", "10.25", "5", "0"][: len(shape)]),
            "ElementSpacing": " ".join(["0.5", "0.75", "3", "1"][: len(shape)]),
            "DimSize": " ".join(str(size) for size in shape),
            "Comment": "some words",
            "ElementType": names[kind.str[1:]],
            "ElementDataFile": "LOCAL",
        }
        text = "".join(f"{key} = {value}\n" for key, value in fields.items())
        path.write_bytes(text.encode() + (zlib.compress(content) if compressed else content))

    return make


def mat(shape: tuple[int, ...], dtype: Any) -> Callable[[Path], None]:
    beside = {"te": 0.03, "protocol": "some words"}
    return lambda path: io.savemat(path, {"volume": values(shape, dtype), **beside})


def hdf5(key: str, shape: tuple[int, ...], dtype: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file.attrs["acquisition"] = "T1"
            file.create_dataset(key, data=values(shape, dtype), compression="gzip").attrs["unit"] = "a.u."
            file["header"] = "<some><words/></some>"
            file["kspace"] = np.ones((3, 9, 11), np.complex64)

    return make


def mgh(shape: tuple[int, ...], dtype: Any) -> Callable[[Path], None]:
    return lambda path: nib.save(nib.MGHImage(values(shape, dtype), AFFINE), path)


def npy(shape: tuple[int, ...], dtype: Any, order: Any = "C") -> Callable[[Path], None]:
    return lambda path: np.save(path, np.asarray(values(shape, dtype), order=order))


def npz(key: str, save: Any = np.savez) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        save(path, **{key: values((9, 11, 4), np.int16)})

    return make


#: Name of the case: (file name, maker).
FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "nifti1-int16": ("a.nii", nifti((9, 11, 4), np.int16)),
    "nifti1-gz-uint8": ("a.nii.gz", nifti((9, 11, 4), np.uint8)),
    "nifti1-2d": ("a.nii", nifti((9, 11), np.uint16)),
    "nifti1-one-slice": ("a.nii.gz", nifti((9, 11, 1), np.int16)),
    "nifti1-leading-one": ("a.nii.gz", nifti((1, 9, 11), np.int16)),
    "nifti1-4d": ("a.nii.gz", nifti((9, 11, 3, 2), np.int16)),
    "nifti1-5d-of-ones": ("a.nii.gz", nifti((9, 11, 3, 2, 1), np.int16)),
    "nifti1-scaled": ("a.nii", nifti((9, 11, 4), np.int16, slope=0.37, inter=-1024.0)),
    "nifti1-scaled-tiny": ("a.nii", nifti((9, 11, 4), np.uint8, slope=1e-6, inter=1000.0)),
    "nifti1-big-endian": ("a.nii", nifti((9, 11, 4), np.int16, endianness=">")),
    "nifti1-float32": ("a.nii.gz", nifti((9, 11, 4), np.float32)),
    "nifti1-float64": ("a.nii", nifti((9, 11, 4), np.float64)),
    "nifti1-int64": ("a.nii", nifti((9, 11, 4), np.int64)),
    "nifti1-upper-case": ("A.NII.GZ", nifti((9, 11, 4), np.int16)),
    "nifti2-int32": ("a.nii", nifti((9, 11, 4), np.int32, kind=nib.Nifti2Image)),
    "nifti2-gz-big-endian": ("a.nii.gz", nifti((9, 11), np.float32, kind=nib.Nifti2Image, endianness=">")),
    "png-8": ("a.png", png((9, 11), np.uint8)),
    "png-16": ("a.PNG", png((9, 11), np.uint16)),
    "png-grey-as-rgb": ("a.png", png((9, 11), np.uint8, channels=3)),
    "png-grey-as-rgba": ("a.png", png((9, 11), np.uint8, channels=4)),
    "tiff-8": ("a.tif", tiff((9, 11), np.uint8)),
    "tiff-16": ("a.tiff", tiff((9, 11), np.uint16)),
    "tiff-int16": ("a.tif", tiff((9, 11), np.int16)),
    "tiff-float32": ("a.tif", tiff((9, 11), np.float32)),
    "tiff-float64": ("a.tif", tiff((9, 11), np.float64)),
    "tiff-pages": ("a.tif", tiff((3, 9, 11), np.uint16)),
    "tiff-pages-of-three": ("a.tif", tiff((8, 9, 3), np.uint8)),
    "tiff-big-endian": ("a.tif", tiff((3, 9, 11), np.uint16, byteorder=">")),
    "tiff-bigtiff": ("a.tif", tiff((3, 9, 11), np.uint16, bigtiff=True)),
    "tiff-deflate": ("a.tif", tiff((3, 9, 11), np.uint16, compression="zlib")),
    "tiff-white-is-zero": ("a.tif", tiff((9, 11), np.uint8, photometric="miniswhite")),
    "tiff-imagej": ("a.tif", lambda path: tifffile.imwrite(path, values((3, 9, 11), np.uint16), imagej=True)),
    "tiff-ome": ("a.ome.tif", lambda path: tifffile.imwrite(path, values((3, 9, 11), np.uint16), ome=True)),
    "tiff-lzw": ("a.tif", tiff_lzw),
    "tiff-grey-as-rgb": ("a.tif", tiff_rgb),
    "nrrd-int16": ("a.nrrd", nrrd_file((9, 11, 4), np.int16)),
    "nrrd-4d": ("a.nrrd", nrrd_file((9, 11, 3, 2), np.uint16)),
    "nrrd-2d": ("a.nrrd", nrrd_file((9, 11), np.uint8)),
    "nrrd-float32": ("a.nrrd", nrrd_file((9, 11, 4), np.float32, encoding="raw")),
    "mha-int16": ("a.mha", mha((9, 11, 4), np.int16)),
    "mha-big-endian": ("a.mha", mha((9, 11, 4), ">i2")),
    "mha-compressed": ("a.mha", mha((9, 11, 4), np.uint8, compressed=True)),
    "mha-4d": ("a.mha", mha((9, 11, 3, 2), np.int16)),
    "mha-float64": ("a.mha", mha((9, 11), np.float64)),
    "mat-int16": ("a.mat", mat((9, 11, 4), np.int16)),
    "mat-float64": ("a.mat", mat((9, 11), np.float64)),
    "hdf5-int16": ("a.h5", hdf5("image", (9, 11, 4), np.int16)),
    "hdf5-fastmri-float32": ("a.h5", hdf5("reconstruction_rss", (3, 9, 11), np.float32)),
    "hdf5-ismrmrd": ("a.h5", hdf5("dataset/image_0/data", (3, 1, 1, 9, 11), np.uint16)),
    "mgh-int16": ("a.mgh", mgh((9, 11, 4), np.int16)),
    "mgh-float32": ("a.mgz", mgh((9, 11, 4), np.float32)),
    "mgh-4d": ("a.mgz", mgh((9, 11, 3, 2), np.uint8)),
    "zarr-int16": ("a.zarr", zarr_array((9, 11, 4), np.int16)),
    "zarr-2-big-endian": ("a.zarr", zarr_array((9, 11), ">u2", zarr_format=2, chunks=(5, 5))),
    "zarr-sharded-float32": (
        "a.zarr",
        zarr_array((4, 10, 12), np.float32, chunks=(1, 5, 6), shards=(2, 10, 12), dimension_names="zyx"),
    ),
    "zarr-ome-0.4": ("a.ome.zarr", ome_zarr((1, 1, 3, 9, 11), np.uint16, version="0.4")),
    "zarr-ome-0.5-4d": ("a.ome.zarr", ome_zarr((2, 1, 3, 9, 11), np.int16, version="0.5")),
    "npy-int16": ("a.npy", npy((9, 11, 4), np.int16)),
    "npy-fortran": ("a.npy", npy((9, 11, 4), np.float64, "F")),
    "npy-big-endian": ("a.npy", npy((9, 11), ">f4")),
    "npy-float16": ("a.npy", npy((9, 11), np.float16)),
    "npy-uint64": ("a.npy", npy((9, 11), np.uint64)),
    "npy-4d": ("a.npy", npy((9, 11, 3, 2), np.int32)),
    "npz": ("a.npz", npz("volume")),
    "npz-awkward-key": ("a.npz", lambda path: _zip_of("file", path)),
    "npz-compressed": ("a.npz", npz("volume", np.savez_compressed)),
}


def _zip_of(key: str, path: Path) -> None:
    """An NPZ whose key np.savez takes for an argument of its own."""
    import zipfile

    with zipfile.ZipFile(path, "w") as archive, archive.open(f"{key}.npy", "w") as stream:
        np.lib.format.write_array(stream, values((9, 11), np.int16))


def make(case: str, folder: Path) -> Path:
    """Make one of `FILES` in a folder; return its path."""
    name, maker = FILES[case]
    path = folder / name
    maker(path)
    return path

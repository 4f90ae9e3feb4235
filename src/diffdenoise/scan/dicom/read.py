"""A DICOM series as a scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError, InputError, ShapeError, option
from diffdenoise.scan.dicom.frames import Frame
from diffdenoise.scan.dicom.series import Series, find_series
from diffdenoise.scan.dicom.voxels import SeriesVoxels, decode_file, frames_of, real_dtype, real_values
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import LAZY_FROM_BYTES, Voxels
from diffdenoise.types import Array


def read_series(series: Series, name: str) -> Scan:
    """Decode all frames of a series.

    Parameters
    ----------
    series : Series
        As found.
    name : str
        Of the scan, for messages.

    Returns
    -------
    Scan
        Real values (HU, SUV units and so on): stored value x RescaleSlope + RescaleIntercept. A single
        image is (rows, columns), a volume (columns, rows, slices), a time series (columns, rows, slices,
        volumes). Padding is given the least value of the image proper.

    Raises
    ------
    FormatError
        If a file is damaged or can't be decoded.
    InputError
        If a file can't be opened.
    """
    header, layout = series.header, series.layout
    frames = frames_of(series)
    volumes = len(layout.frames)
    shape: tuple[int, ...] = (header.columns, header.rows, len(layout.frames[0]), volumes)
    shape = (header.rows, header.columns) if series.is_flat else shape if volumes > 1 else shape[:3]
    outside: NDArray[np.bool_] | Voxels | None
    if math.prod(shape) * header.bits[0] // 8 >= LAZY_FROM_BYTES:
        data: Array | Voxels = (voxels := SeriesVoxels(series, shape))
        outside, stored_dtype = voxels.padding, voxels.stored_dtype
    else:
        data, outside, stored_dtype = _read_all(series, frames)
    spacing = layout.spacing_mm
    if spacing is not None and series.is_flat:
        # (rows, columns)
        spacing = spacing[1::-1]
    in_plane = layout.in_plane
    if in_plane is not None and series.is_flat:
        in_plane = in_plane[:, ::-1]
    return Scan(
        data=data,
        format="dicom",
        stored_dtype=stored_dtype,
        spacing_mm=spacing if spacing is None or len(spacing) == min(len(shape), 3) else None,
        affine=None if series.is_flat else layout.affine,
        slice_axis=None if series.is_flat else 2,
        in_plane=in_plane,
        header=series,
        name=name,
        outside=outside,
    )


def _read_all(
    series: Series, frames: Sequence[Frame]
) -> tuple[Array, NDArray[np.bool_] | None, np.dtype[Any]]:
    """All values, where they are padding (None: nowhere, or everywhere), and the first file's dtype."""
    data = np.empty((len(frames), series.header.rows, series.header.columns), real_dtype(series))
    padded = np.zeros(data.shape, bool)
    places: dict[int, list[int]] = {}
    for place, frame in enumerate(frames):
        places.setdefault(frame.file, []).append(place)
    stored_dtype = None
    for file, wanted in places.items():
        found = decode_file(series, file)
        stored_dtype = stored_dtype or found.values.dtype
        for place in wanted:
            data[place] = real_values(series, frames[place], found.values)
            if found.padding is not None:
                padded[place] = found.padding[series.header.place(frames[place].number)]
    has_padding = padded.any() and not padded.all()
    if has_padding:
        data[padded] = data[~padded].min()
    outside = _shaped(padded, series) if has_padding else None
    return _shaped(data, series), outside, stored_dtype or data.dtype


def _shaped(frames: NDArray[Any], series: Series) -> NDArray[Any]:
    """Values (frames, rows, columns) in the axes of a scan."""
    if series.is_flat:
        return np.asarray(frames[0])
    volumes = len(series.layout.frames)
    if volumes == 1:
        return frames.transpose(2, 1, 0)
    return frames.reshape(volumes, -1, *frames.shape[1:]).transpose(3, 2, 1, 0)


def read(path: Path) -> Scan:
    """Read one DICOM file, or a folder, DICOMDIR or zip that holds just one series.

    Raises
    ------
    InputError
        If there are several, or none.
    """
    study = find_series([path])
    if len(study.series) == 1:
        return read_series(study.series[0], path.name)
    if not study.series and not study.skipped:
        raise FormatError(f"{path}: is not DICOM or is damaged; get a complete copy")
    if not study.series:
        raise InputError(f"{path}: holds no DICOM image to denoise{passed_over(study.skipped)}")
    listed = "; ".join(series.title for series in study.series[:6])
    if len({series.header.series_uid for series in study.series}) == 1:
        raise ShapeError(
            f"{path}: holds {len(study.series)} volumes of one series ({listed}); expected one; denoise them "
            "into a folder, or convert them: diffdenoise convert"
        )
    raise ShapeError(
        f"{path}: holds {len(study.series)} series ({listed}); expected one; "
        + option("series", command="name one with", python="name the files of one")
    )


def passed_over(skipped: dict[str, int]) -> str:
    """Return " (passed over: 3 localiser, 1 colour image)", or nothing."""
    if not skipped:
        return ""
    return f" (passed over: {', '.join(f'{count} {reason}' for reason, count in sorted(skipped.items()))})"

"""A DICOM series as a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError, InputError, ShapeError
from diffdenoise.scan.dicom.lacking import state_what_is_missing
from diffdenoise.scan.dicom.padding import padding_of
from diffdenoise.scan.dicom.parse import parse, quiet_pydicom
from diffdenoise.scan.dicom.pixels import stored_values
from diffdenoise.scan.dicom.series import Series, find_series
from diffdenoise.scan.scan import Scan


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
    frames = [frame for volume in layout.frames for frame in volume]
    whole = series.holds_whole
    # 16 bits times a slope fit in float32's 24; 32 bits don't.
    dtype = np.dtype(np.int32 if whole else np.float32) if header.bits[0] < 32 else np.dtype(np.float64)
    data = np.empty((len(frames), header.rows, header.columns), dtype)
    padded = np.zeros(data.shape, bool)
    places: dict[int, list[int]] = {}
    for place, frame in enumerate(frames):
        places.setdefault(frame.file, []).append(place)
    stored_dtype = None
    for file, wanted in places.items():
        source = series.sources[file]
        try:
            with source.open() as stream, quiet_pydicom():
                dataset = parse(stream, source.name, pixels=True)
                state_what_is_missing(dataset)
                values = stored_values(dataset, source.name)
                padding = padding_of(dataset, values)
        except OSError as error:
            raise InputError(
                f"{source.name}: cannot be read ({error.strerror}); check its permissions"
            ) from None
        except (FormatError, MemoryError):
            raise
        except Exception:  # damaged elements are decoded when asked for; damaged zips when read
            raise FormatError(f"{source.name}: is a damaged DICOM file; get a complete copy") from None
        if values.shape[1:] != (header.rows * header.tiles, header.columns * header.tiles):
            raise FormatError(f"{source.name}: changed while it was read; try again")
        stored_dtype = stored_dtype or values.dtype
        for place in wanted:
            frame = frames[place]
            slope, intercept = np.array([frame.slope, frame.intercept]).astype(dtype)
            inside = header.place(frame.number)
            data[place] = values[inside] * slope + intercept
            if padding is not None:
                padded[place] = padding[inside]
    has_padding = padded.any() and not padded.all()
    if has_padding:
        data[padded] = data[~padded].min()
    shaped, outside = (_shaped(frames, series) for frames in (data, padded))
    spacing = layout.spacing_mm
    if spacing is not None and series.is_flat:
        # (rows, columns)
        spacing = spacing[1::-1]
    in_plane = layout.in_plane
    if in_plane is not None and series.is_flat:
        in_plane = in_plane[:, ::-1]
    return Scan(
        data=shaped,
        format="dicom",
        stored_dtype=stored_dtype or dtype,
        spacing_mm=spacing if spacing is None or len(spacing) == min(shaped.ndim, 3) else None,
        affine=None if series.is_flat else layout.affine,
        slice_axis=None if series.is_flat else 2,
        in_plane=in_plane,
        header=series,
        name=name,
        outside=outside if has_padding else None,
    )


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
        f"{path}: holds {len(study.series)} series ({listed}); expected one; name one with --series"
    )


def passed_over(skipped: dict[str, int]) -> str:
    """Return " (passed over: 3 localiser, 1 colour image)", or nothing."""
    if not skipped:
        return ""
    return f" (passed over: {', '.join(f'{count} {reason}' for reason, count in sorted(skipped.items()))})"

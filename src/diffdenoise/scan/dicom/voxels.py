"""The frames of a DICOM series as voxels, decoded file by file."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import FormatError, InputError
from diffdenoise.scan.dicom.frames import Frame
from diffdenoise.scan.dicom.lacking import state_what_is_missing
from diffdenoise.scan.dicom.padding import padding_of
from diffdenoise.scan.dicom.parse import parse, quiet_pydicom
from diffdenoise.scan.dicom.pixels import stored_values
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.survey import Looking, remember
from diffdenoise.scan.voxels import Lazy


class Decoded(NamedTuple):
    """Stored values of a file's frames (frames, rows, columns), and which are padding; None: none are."""

    values: NDArray[Any]
    padding: NDArray[np.bool_] | None


def frames_of(series: Series) -> list[Frame]:
    """All frames of a series, one volume after the other."""
    return [frame for volume in series.layout.frames for frame in volume]


def real_dtype(series: Series) -> np.dtype[Any]:
    """Type of the real values: 16 bits times a slope fit in float32's 24; 32 bits don't."""
    if series.header.bits[0] >= 32:
        return np.dtype(np.float64)
    return np.dtype(np.int32 if series.holds_whole else np.float32)


def decode_file(series: Series, file: int) -> Decoded:
    """Decode all frames of one file.

    Raises
    ------
    FormatError
        If it is damaged or can't be decoded.
    InputError
        If it can't be opened.
    """
    source, header = series.sources[file], series.header
    try:
        with source.open() as stream, quiet_pydicom():
            dataset = parse(stream, source.name, pixels=True)
            state_what_is_missing(dataset)
            values = stored_values(dataset, source.name)
            padding = padding_of(dataset, values)
    except OSError as error:
        raise InputError(f"{source.name}: cannot be read ({error.strerror}); check its permissions") from None
    except (FormatError, MemoryError):
        raise
    except Exception:  # damaged elements are decoded when asked for; damaged zips when read
        raise FormatError(f"{source.name}: is a damaged DICOM file; get a complete copy") from None
    if values.shape[1:] != (header.rows * header.tiles, header.columns * header.tiles):
        raise FormatError(f"{source.name}: changed while it was read; try again")
    return Decoded(values, padding)


def real_values(series: Series, frame: Frame, values: NDArray[Any]) -> NDArray[Any]:
    """Real values (rows, columns) of a frame, from the stored ones of its file."""
    slope, intercept = np.array([frame.slope, frame.intercept]).astype(real_dtype(series))
    return np.asarray(values[series.header.place(frame.number)] * slope + intercept, real_dtype(series))


class SeriesVoxels(Lazy):
    """Real values of a series; padding has the least value of the image proper.

    Every file is decoded once at the start, to see whether all can be, and what is padding; where frames
    lie in the files' order, `survey_of` is answered by the same pass.

    Attributes
    ----------
    stored_dtype : numpy.dtype
        Of the first file.
    padding : PaddingVoxels or None
        Where there is padding; None: nowhere, or everywhere.
    """

    def __init__(self, series: Series, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, real_dtype(series)
        self.axis = None if series.is_flat else 2
        self._series, self._frames = series, frames_of(series)
        self._of_volume = len(series.layout.frames[0])
        self._last: tuple[int, Decoded] | None = None
        self.padding: PaddingVoxels | None = None
        self._look()

    def _look(self) -> None:
        files = [frame.file for frame in self._frames]
        # Where a file's frames don't follow one another it would be decoded again for each: statistics,
        # which take slices in order, look later.
        in_order = sum(one != other for one, other in pairwise(files)) == len(set(files)) - 1
        looking = Looking(self, self.axis) if in_order else None
        bits: dict[int, NDArray[np.uint8]] = {}
        least: list[Any] = []
        empty: list[int] = []
        dtypes: dict[int, np.dtype[Any]] = {}
        for place in sorted(range(len(files)), key=lambda place: place if in_order else files[place]):
            found = self._decoded(files[place])
            dtypes[place] = found.values.dtype
            one = real_values(self._series, self._frames[place], found.values)
            inside = self._inside(place, found)
            if inside is not None:
                bits[place] = np.packbits(inside)
                if inside.all():
                    empty.append(place)
                    continue
                # A value of the image proper; the least of all is put there below.
                one[inside] = one[~inside].min()
            least.append(one.min())
            if looking is not None:
                self._show(looking, place, one, inside)
        self.stored_dtype = dtypes[min(dtypes)]
        if bits and least:
            self.padding = PaddingVoxels(self, bits, min(least))
        if looking is not None and least:
            self._finish(looking, empty, min(least))

    def _inside(self, place: int, found: Decoded) -> NDArray[np.bool_] | None:
        """Where a frame (rows, columns) is padded; None: nowhere."""
        if found.padding is None:
            return None
        inside = found.padding[self._series.header.place(self._frames[place].number)]
        return inside if inside.any() else None

    def _show(
        self, looking: Looking, place: int, one: NDArray[Any], inside: NDArray[np.bool_] | None
    ) -> None:
        """Let statistics look at a frame (rows, columns)."""
        left = None if inside is None else ~self._as_slab(inside)
        looking.add(*divmod(place, self._of_volume), self._as_slab(one), left)

    def _finish(self, looking: Looking, empty: list[int], least: Any) -> None:
        """Show frames that are padding alone, fill the slices that are kept, and remember what was told."""
        for place in empty:
            plane = (self._series.header.rows, self._series.header.columns)
            self._show(looking, place, np.full(plane, least, self.dtype), np.ones(plane, bool))
        if self.padding is not None:
            for (volume, number), kept in looking.kept.items():
                self.padding.fill(volume * self._of_volume + number, kept if self.axis is None else kept.T)
        remember(self, self.padding, looking.survey(self))

    def _as_slab(self, one: NDArray[Any]) -> NDArray[Any]:
        """A frame (rows, columns) as a slab of one slice."""
        return (one if self.axis is None else one.T)[np.newaxis]

    def _decoded(self, file: int) -> Decoded:
        """A file's values; those of the last one are kept, as a file may hold many frames."""
        if self._last is None or self._last[0] != file:
            self._last = None
            self._last = (file, decode_file(self._series, file))
        return self._last[1]

    def read(self, volume: int, first: int, last: int) -> NDArray[Any]:
        """Decode slices: (1, rows, columns) of an image, (slices, columns, rows) of a volume."""
        start = volume * self._of_volume
        found = []
        for place in range(start + first, start + last):
            frame = self._frames[place]
            one = real_values(self._series, frame, self._decoded(frame.file).values)
            if self.padding is not None:
                self.padding.fill(place, one)
            found.append(one)
        slab = np.stack(found)
        return slab if self.axis is None else slab.transpose(0, 2, 1)


class PaddingVoxels(Lazy):
    """Where a series is padded, kept as bits."""

    def __init__(self, voxels: SeriesVoxels, bits: dict[int, NDArray[np.uint8]], least: Any) -> None:
        self.shape, self.dtype, self.axis = voxels.shape, np.dtype(bool), voxels.axis
        self._bits, self._least = bits, least
        self._plane = voxels.shape if self.axis is None else voxels.shape[1::-1]

    def fill(self, place: int, one: NDArray[Any]) -> None:
        """Put the least value of the image proper where a frame (rows, columns) is padded."""
        if place in self._bits:
            one[self._frame(place)] = self._least

    def _frame(self, place: int) -> NDArray[np.bool_]:
        rows, columns = self._plane
        if place not in self._bits:
            return np.zeros((rows, columns), bool)
        return np.unpackbits(self._bits[place], count=rows * columns).view(bool).reshape(rows, columns)

    def read(self, volume: int, first: int, last: int) -> NDArray[np.bool_]:
        """Return slices, as those of the voxels."""
        start = 0 if len(self.shape) < 4 else volume * self.shape[2]
        slab = np.stack([self._frame(place) for place in range(start + first, start + last)])
        return slab if self.axis is None else slab.transpose(0, 2, 1)

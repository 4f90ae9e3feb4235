"""The grey window that an image is shown in: the file's own or soft tissue for CT, else by percentiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.scan.dicom.display import Display
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Lazy, Voxels, as_voxels
from diffdenoise.types import Array

#: Window of soft tissue, HU: centre and width.
SOFT_TISSUE = (40.0, 400.0)
#: Percentiles that are shown black and white, of an image that has no window.
_PERCENTILES = (0.5, 98.5)
#: HU: below the first is padding; then air in and around the patient, what lies between (lungs' and bowels'
#: borders), soft tissue; and what tops a CT's values.
_PADDING, _AIR, _BETWEEN, _TISSUE = -1200.0, (-1200.0, -500.0), (-450.0, -200.0), (-150.0, 200.0)
_TOP = (50.0, 8000.0)
#: Least shares of air and tissue in values that are taken for HU, and most of scattered values below all air.
_LEAST_AIR, _LEAST_TISSUE, _MOST_BELOW = 0.01, 0.05, 0.001
#: How many times as dense as between air and tissue values lie in tissue, and values looked at.
_DENSER, _LOOKED_AT = 2.0, 1_000_000


@dataclass(frozen=True)
class Window:
    """Values that are black and white, and what lies between.

    Attributes
    ----------
    low, high : float
        In the scan's units, low < high; of a sigmoid, where a straight line of its slope would end.
    is_sigmoid : bool
        Whether grey follows a sigmoid (PS3.3, C.11.2.1.3.1).
    is_inverted : bool
        Whether low is white.
    unit : str
        "HU" or "".
    words : str
        What it is, for the caption.
    """

    low: float
    high: float
    is_sigmoid: bool = False
    is_inverted: bool = False
    unit: str = ""
    words: str = ""

    def grey(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values as greys, 0 (black) to 1 (white); what is not a number is black."""
        share = (values - self.low) / (self.high - self.low)
        if self.is_sigmoid:
            share = 1 / (1 + np.exp(-4 * np.clip(share - 0.5, -50, 50)))
        share = np.clip(share, 0, 1)
        return np.asarray(np.nan_to_num(1 - share if self.is_inverted else share, nan=0.0))


def window_of(
    scan: Scan, display: Display, shown: NDArray[np.float64], known: NDArray[np.bool_] | None = None
) -> Window:
    """Return the window to show a slice in.

    Parameters
    ----------
    scan : Scan
        Whose slice it is.
    display : Display
        What its file says.
    shown : float64 array
        Values of the slice.
    known : bool array, same shape, optional
        Where they are data; the rest doesn't count.
    """
    is_ct = display.modality == "CT" or (display.modality == "" and holds_hounsfield_units(scan.voxels))
    if is_ct and display.window is not None:
        return _stated(*display.window, display)
    if is_ct:
        centre, width = SOFT_TISSUE
        return Window(
            centre - width / 2,
            centre + width / 2,
            is_inverted=display.is_inverted,
            unit="HU",
            words=f"soft tissue: centre {centre:g}, width {width:g} HU",
        )
    values = shown[np.isfinite(shown) if known is None else known & np.isfinite(shown)]
    low, high = (float(each) for each in np.percentile(values, _PERCENTILES)) if values.size else (0.0, 1.0)
    if not low < high and values.size:
        low, high = float(values.min()), float(values.max())
    if not low < high:
        low, high = low - 0.5, low + 0.5
    return Window(low, high, is_inverted=display.is_inverted, words=f"{low:.4g} to {high:.4g}")


def _stated(centre: float, width: float, display: Display) -> Window:
    """The file's own window (PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    low, high = centre - width / 2, centre + width / 2
    if display.function == "LINEAR":
        # Centre and width count whole values there: C.11.2.1.2.1.
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        if not low < high:
            low, high = low - 0.5, high + 0.5
    words = f"the file's own: centre {centre:g}, width {width:g} HU"
    return Window(low, high, display.function == "SIGMOID", display.is_inverted, "HU", words)


def thinned(values: Array | Voxels) -> NDArray[Any]:
    """Return evenly spread values of a scan, few enough for statistics, in as many axes."""
    voxels = as_voxels(values)
    step = max(1, math.ceil((voxels.size / _LOOKED_AT) ** (1 / max(1, voxels.ndim))))
    # Of a short axis, such as that of the slices, all.
    cut = tuple(slice(None, None, step if side >= 4 * step else 1) for side in voxels.shape)
    if not isinstance(voxels, Lazy) or voxels.axis is None:
        return voxels.whole()[cut]
    axis, plane = voxels.axis, cut[: voxels.axis] + cut[voxels.axis + 1 : 3]
    stacks = [
        np.stack(
            [voxels.slab(axis, volume, k, k + 1)[0][plane] for k in range(voxels.shape[axis])[cut[axis]]]
        )
        for volume in (range(voxels.shape[3])[cut[3]] if voxels.ndim == 4 else [0])
    ]
    volumes = [np.moveaxis(stack, 0, axis) for stack in stacks]
    return np.stack(volumes, axis=3) if voxels.ndim == 4 else volumes[0]


def holds_hounsfield_units(data: Array | Voxels) -> bool:
    """Whether an image's values are those of a CT, told by air and soft tissue at their places in HU."""
    values = thinned(data).astype(np.float64)
    values = values[np.isfinite(values)]
    below = values[values <= _PADDING]
    # Surroundings padded with -2000 or -3024 say nothing; a phase image has all sorts of values there.
    scattered = 0 if not below.size else below.size - np.unique(below, return_counts=True)[1].max()
    rest = values[values > _PADDING]
    if not rest.size or scattered > _MOST_BELOW * values.size:
        return False
    air, between, tissue = (
        float(np.mean((rest > low) & (rest < high))) for low, high in (_AIR, _BETWEEN, _TISSUE)
    )
    air_density, between_density, tissue_density = (
        share / (high - low)
        for share, (low, high) in zip((air, between, tissue), (_AIR, _BETWEEN, _TISSUE), strict=True)
    )
    return (
        air >= _LEAST_AIR
        and tissue >= _LEAST_TISSUE
        and tissue_density >= _DENSER * between_density
        and air_density >= between_density
        and _TOP[0] <= float(np.percentile(rest, 99.9)) <= _TOP[1]
    )

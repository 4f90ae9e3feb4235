"""One picture of a scan's noise: a slice, its finest detail, level by brightness, autocorrelation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.level import diagonal_differences
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust.figure import check_picture, view_of, write_figure

#: Lags shown in pixels.
_LAGS = 6
#: The detail is shown between this many times the noise's std, black, and as much above, white.
_DETAIL_STDS = 3.0


def save_noise_picture(
    path: Path, scan: Scan, diagnosis: Diagnosis, *, axis: int | None = None, overwrite: bool = False
) -> None:
    """Write a picture of what the diagnosis found.

    Parameters
    ----------
    path : path
        PNG file to write; either the whole file is written or nothing.
    scan : Scan
        The scan that was looked at.
    diagnosis : Diagnosis
        What was found, in shares of the scan's range.
    axis : int, optional
        Array axis across the slices; None: the slice axis of the scan.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the picture can't be written.
    """
    from matplotlib.figure import Figure

    check_picture(path, overwrite)
    intensities = IntensityMap.fit(scan.data)
    middle, across = _middle(scan, axis)
    image = view_of(middle, across, None)
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    whole, detail, level, lags = figure.subplots(1, 4)

    low, high = np.percentile(image.pixels, (0.5, 99.5))
    whole.imshow(image.pixels, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), aspect=image.aspect)
    whole.set_title("middle slice")
    limit = _DETAIL_STDS * max(diagnosis.std * intensities.range, 1e-9)
    finest = view_of(_finest(middle, across, diagnosis.correlation), across, None)
    detail.imshow(finest.pixels, cmap="gray", vmin=-limit, vmax=limit, aspect=finest.aspect)
    detail.set_title(f"its finest detail, black to white: ±{_DETAIL_STDS:g} times the noise")
    for axes in (whole, detail):
        axes.set_axis_off()

    model = diagnosis.noise
    if diagnosis.curve:
        brightness = np.array([point.brightness for point in diagnosis.curve])
        stds = np.array([point.std for point in diagnosis.curve])
        level.plot(intensities.unscale(brightness), stds * intensities.range, "o", label="calm places")
        if model.is_constant:
            level.axhline(model.typical_std * intensities.range, color="0.4", label="taken for one level")
        level.set_ylim(bottom=0)
        level.legend(loc="lower right")
    else:
        level.text(0.5, 0.5, "no calm places", ha="center", va="center", transform=level.transAxes)
    level.set_xlabel("intensity")
    level.set_ylabel("noise, standard deviation")
    level.set_title("level by brightness")

    steps = np.arange(_LAGS + 1)
    down, right = [side for side in range(3) if side != across][:2]
    for name, marker, offset, values in (
        (f"along array axis {down}", "o", -0.08, _lags(diagnosis.correlation.down)),
        (f"along array axis {right}", "s", 0.08, _lags(diagnosis.correlation.right)),
    ):
        lags.plot(steps + offset, values, marker, label=name)
        lags.vlines(steps + offset, 0, values, colors="0.7")
    lags.axhline(0, color="0.4", linewidth=0.8)
    lags.set_xlabel("pixels apart")
    lags.set_ylabel("correlation of the noise")
    lags.set_ylim(-0.4, 1.05)
    lags.legend(loc="upper right")
    lags.set_title("correlation inside slices")
    write_figure(figure, path, "white")


def _middle(scan: Scan, axis: int | None) -> tuple[Scan, int | None]:
    """The middle slice of a scan's first volume as a scan of one slice, and its slice axis."""
    across = choose_axis(scan, axis)
    if across is None:
        return scan, None
    data = scan.data[..., 0] if scan.data.ndim == 4 else scan.data
    middle = data.shape[across] // 2
    return scan.with_data(np.take(data, [middle], axis=across)), across


def _finest(slice_: Scan, across: int | None, correlation: Correlation) -> Scan:
    """One slice with its diagonal differences in place of its values."""
    image = slice_.data.astype(np.float64)
    image = image if across is None else image.squeeze(across)
    down, right = correlation.steps
    differences = np.pad(diagonal_differences(image, correlation.steps)[0], ((0, down), (0, right)))
    return slice_.with_data(differences if across is None else np.expand_dims(differences, across))


def _lags(lags: tuple[float, ...]) -> list[float]:
    found = [1.0, *lags][: _LAGS + 1]
    return found + [0.0] * (_LAGS + 1 - len(found))

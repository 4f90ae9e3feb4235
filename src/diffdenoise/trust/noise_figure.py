"""One picture of a scan's noise: a slice, its finest detail, level by brightness, autocorrelation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.level import diagonal_differences
from diffdenoise.noise.statement import Noise
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Voxels
from diffdenoise.trust.choice import object_of
from diffdenoise.trust.figure import check_picture, write_figure
from diffdenoise.trust.marks import mark_directions, mark_scale
from diffdenoise.trust.view import View, view_of
from diffdenoise.trust.window import window_of

#: Lags shown in pixels.
_LAGS = 6
#: The detail is shown between this many times the noise's std, black, and as much above, white.
_DETAIL_STDS = 3.0


def save_noise_picture(path: Path, scan: Scan, noise: Noise, *, overwrite: bool = False) -> None:
    """Write a picture of what the diagnosis found.

    Parameters
    ----------
    path : path
        PNG file to write; either the whole file is written or nothing.
    scan : Scan
        The scan that was looked at.
    noise : Noise
        What is known of its noise.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the picture can't be written.
    """
    from matplotlib.figure import Figure

    check_picture(path, overwrite)
    diagnosis, ready = noise.diagnosis, noise.ready
    intensities, across, holds = ready.intensities, ready.axis, ready.regions.known
    view = view_of(scan, across, None if across is None else _fullest(scan, across, holds))
    image = view.of(scan.voxels)
    known = np.isfinite(image) if holds is None else np.isfinite(image) & (view.of(holds) > 0)
    window = window_of(scan, view.display, image, known)
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    whole, detail, level, lags = figure.subplots(1, 4)

    greys = window.grey(image)
    whole.imshow(greys, cmap="gray", vmin=0, vmax=1, aspect=view.aspect)
    mark_directions(whole, view.directions)
    mark_scale(whole, greys.shape, view.pixel_mm)
    which = "image" if across is None else f"slice {view.index} (of 0 to {scan.shape[across] - 1})"
    whole.set_title(f"{which}, window {window.words}", fontsize="small")
    limit = _DETAIL_STDS * max(diagnosis.std * intensities.range, 1e-9)
    finest = np.where(known, _finest(scan, view, diagnosis.correlation), 0.0)
    detail.imshow(finest, cmap="gray", vmin=-limit, vmax=limit, aspect=view.aspect)
    detail.set_title(
        f"its finest detail, black to white: ±{_DETAIL_STDS:g} times the noise", fontsize="small"
    )
    for axes in (whole, detail):
        axes.set_axis_off()
    _mark_factors(whole, noise, view)

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


def _mark_factors(axes: Any, noise: Noise, view: View) -> None:
    """Draw lines of equal level over a slice, if that varies from place to place."""
    if noise.factors is None:
        return
    stated = _as_shown(noise.factors[view.volume][view.index], view)
    lines = axes.contour(stated, levels=5, cmap="autumn", linewidths=0.8)
    axes.clabel(lines, fmt=lambda factor: f"{factor:.2g}x", fontsize="x-small")


def _fullest(scan: Scan, axis: int, known: Voxels | None) -> int:
    """The slice of a scan's first volume that holds most of the object; the middle one of equals."""
    threshold, count = object_of(scan.voxels, known), scan.shape[axis]
    content = np.zeros(count)
    for k in range(count):
        inside = scan.voxels.slab(axis, 0, k, k + 1).astype(np.float64) > threshold
        inside = inside if known is None else inside & known.slab(axis, 0, k, k + 1)
        content[k] = np.count_nonzero(inside)
    fullest = np.flatnonzero(content == content.max())
    return int(fullest[np.argmin(np.abs(fullest - count // 2))])


def _finest(scan: Scan, view: View, correlation: Correlation) -> NDArray[np.float64]:
    """The slice's diagonal differences in place of its values, turned like it."""
    stored = View(view.axis, view.index, view.volume).of(scan.voxels)
    down, right = correlation.steps
    differences = np.pad(diagonal_differences(stored, correlation.steps)[0], ((0, down), (0, right)))
    return _as_shown(differences, view)


def _as_shown(stored: NDArray[Any], view: View) -> NDArray[Any]:
    """What lies over a slice as it is stored, turned like it."""
    turned = stored.T if view.transposed else stored
    turned = turned[::-1] if view.flipped_down else turned
    return np.asarray(turned[:, ::-1] if view.flipped_right else turned)


def _lags(lags: tuple[float, ...]) -> list[float]:
    found = [1.0, *lags][: _LAGS + 1]
    return found + [0.0] * (_LAGS + 1 - len(found))

"""One picture of a result: noisy, denoised, residual and reference, and a detail of each.

All images share one grey window, so that a difference seen is a difference in the data. A scan with
an affine is shown as radiologists read it (the patient's right on the left, front or head up) with
the directions written on it; one without is shown as stored.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import OutputError, ShapeError
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.folder import check_outside_stores
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust.metrics import Evaluation, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Image = NDArray[np.float64]

# Percentiles of the denoised slice that are shown black and white.
_WINDOW_PERCENTILES = (0.5, 98.5)
# Longer side of a panel, least width (captions must fit) and bands between, in screen pixels.
_PANEL_PX, _LEAST_PANEL_PX, _GAP_PX = 560, 400, 6
_TITLE_PX, _CAPTION_PX, _FOOT_PX = 40, 68, 36
_DPI = 160
# Sides of the detail as shares of the slice's, and their least number of pixels.
_DETAIL, _DETAIL_LEAST = 0.3, 12
# Directions at the left, right, top and bottom of a picture, by the canonical axis across the slices.
_DIRECTIONS = {0: "APSI", 1: "RLSI", 2: "RLAP"}


@dataclass(frozen=True)
class View:
    """One slice as shown: pixels, height of a pixel over its width, directions at the four sides.

    `place` says which slice it is: "slice 9 (of 0 to 17); ".
    """

    pixels: _Image
    aspect: float
    directions: str
    place: str = ""


def check_picture(path: Path, overwrite: bool = False) -> None:
    """Raise an error if a picture cannot be written at `path`; meant to be called before a long run.

    Parameters
    ----------
    path : path
        File to write later; missing folders are made then.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the suffix isn't .png, the folder can't be written, or the file exists.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: found suffix '{path.suffix}', expected .png for a picture")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; expected a file name; choose another name")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path}: exists already; choose another name or use --overwrite")
    check_outside_stores(path)
    folder = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: {folder} is not a folder to write in; choose another place")


def save_comparison(
    path: Path,
    noisy: Scan,
    denoised: Scan,
    reference: Scan | None = None,
    *,
    axis: int | None = None,
    index: int | None = None,
    evaluation: Evaluation | None = None,
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a picture of one slice: noisy, denoised, residual (and reference), with a detail of each.

    Parameters
    ----------
    path : path
        PNG file to write; either the whole file is written or nothing.
    noisy, denoised, reference : Scan
        Scans of the same shape; the reference may be left out.
    axis : int, optional
        Array axis across the slice shown; None: the slice axis of the scan.
    index : int, optional
        Slice shown, counted as stored; None: the middle one. A series shows its first volume.
    evaluation : Evaluation, optional
        Its PSNR and SSIM over the whole scan are written above the images.
    title : str, optional
        Line above everything.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ShapeError
        If shapes differ or `index` is outside the scan.
    OutputError
        If the picture can't be written.
    """
    check_picture(path, overwrite)
    scans = {"noisy": noisy, "denoised": denoised}
    if reference is not None:
        scans["reference"] = reference
    for name, scan in scans.items():
        if scan.data.shape != noisy.data.shape:
            raise ShapeError(f"{name}: found shape {scan.data.shape}, expected {noisy.data.shape}")
    # All are cut and turned by the noisy scan's geometry: a reference may have a header of its own.
    views = {name: view_of(noisy.with_data(scan.data), axis, index) for name, scan in scans.items()}
    figure = _draw(views, evaluation, title)
    write_figure(figure, path)


def view_of(scan: Scan, axis: int | None, index: int | None) -> View:
    """Return one slice, turned as radiologists read it where the scan says how."""
    data = scan.data[..., 0] if scan.data.ndim == 4 else scan.data
    if data.ndim == 2:
        spacing = scan.spacing_mm or (1.0, 1.0)
        if scan.affine is None:
            return View(data.astype(np.float64), spacing[0] / spacing[1], "")
        data, axis, index = data[..., None], 2, None
    if axis is None:
        axis = choose_axis(scan) or 0
    if index is None:
        index = data.shape[axis] // 2
    if not 0 <= index < data.shape[axis]:
        raise ShapeError(
            f"slice {index}: the scan has {data.shape[axis]} slices, expected 0 to {data.shape[axis] - 1}"
        )
    spacing = (*(scan.spacing_mm or (1.0,) * 3), 1.0)[:3]
    place = f"slice {index} (of 0 to {data.shape[axis] - 1}); " if data.shape[axis] > 1 else ""
    plane = np.take(data, [index], axis=axis).astype(np.float64)
    if scan.affine is None:
        rows, columns = (side for side in range(3) if side != axis)
        return View(plane.squeeze(axis), spacing[rows] / spacing[columns], "", place)

    from nibabel.orientations import apply_orientation, io_orientation

    # Row i of `orientation` says which of right, front, up the array axis i runs along, and its sign.
    orientation = io_orientation(scan.affine)  # type: ignore[no-untyped-call]
    across = int(orientation[axis, 0])
    canonical = np.asarray(apply_orientation(plane, orientation)).squeeze(across)  # type: ignore[no-untyped-call]
    spacing_of = {int(orientation[side, 0]): spacing[side] for side in range(3)}
    horizontal, vertical = (side for side in range(3) if side != across)
    # rot90 puts the second axis upwards; the flip puts right (or front) on the viewer's left.
    pixels = np.rot90(canonical)[:, ::-1]
    return View(pixels, spacing_of[vertical] / spacing_of[horizontal], _DIRECTIONS[across], place)


def _detail(image: _Image) -> tuple[slice, slice]:
    """Return rows and columns of the region with the most structure, of the image's proportions."""
    from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter

    height, width = (min(side, max(_DETAIL_LEAST, round(_DETAIL * side))) for side in image.shape)
    gradient = gaussian_gradient_magnitude(image, 1.0)
    # Clipped, so that much fine structure counts for more than one strong edge such as the skin.
    edges = gradient[gradient > gradient.mean()]
    gradient = np.minimum(gradient, np.median(edges) if edges.size else 0.0)
    density = uniform_filter(gradient, (height, width), mode="constant")
    # The filter's value at i is the mean over the window that begins at i - size // 2.
    rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
    valid = density[height // 2 : height // 2 + rows, width // 2 : width // 2 + columns]
    top, left = np.unravel_index(int(np.argmax(valid)), valid.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def _draw(views: dict[str, View], evaluation: Evaluation | None, title: str | None) -> Figure:
    """Return the figure: one column an image, the slice above its detail."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    noisy, denoised = views["noisy"], views["denoised"]
    low, high = (float(level) for level in np.percentile(denoised.pixels, _WINDOW_PERCENTILES))
    if not high > low:
        low, high = low - 0.5, high + 0.5
    residual = noisy.pixels - denoised.pixels
    # Three standard deviations: the residual is mostly noise, and anatomy in it would stand out.
    bound = 3 * float(residual.std()) or 1.0
    columns = [
        (_caption("noisy", evaluation, evaluation.noisy if evaluation else None), noisy.pixels, low, high),
        (
            _caption("denoised", evaluation, evaluation.denoised if evaluation else None),
            denoised.pixels,
            low,
            high,
        ),
        (f"residual: noisy \N{MINUS SIGN} denoised\ngrey range ±{bound:.3g}", residual, -bound, bound),
    ]
    if "reference" in views:
        columns.append(("reference", views["reference"].pixels, low, high))

    # A whole number of screen pixels for each image pixel: fractions would draw a pattern into the noise.
    height, width = noisy.pixels.shape
    longest = max(width, height * noisy.aspect)
    zoom = max(1, round(_PANEL_PX / longest)) if longest <= 2 * _PANEL_PX else 2 * _PANEL_PX / longest
    panel_width, panel_height = max(1, round(width * zoom)), max(1, round(height * noisy.aspect * zoom))
    margin = max(0, _LEAST_PANEL_PX - panel_width) // 2 + _GAP_PX
    step = panel_width + 2 * margin
    head, foot = _CAPTION_PX + (_TITLE_PX if title else 0), _FOOT_PX
    full_width, full_height = step * len(columns), head + 2 * panel_height + _GAP_PX + foot
    figure = Figure(figsize=(full_width / _DPI, full_height / _DPI), dpi=_DPI, facecolor="black")

    region = _detail(denoised.pixels)
    for index, (caption, pixels, bottom, top) in enumerate(columns):
        left, wide, high_ = (
            (index * step + margin) / full_width,
            panel_width / full_width,
            panel_height / full_height,
        )
        upper = figure.add_axes((left, (foot + panel_height + _GAP_PX) / full_height, wide, high_))
        lower = figure.add_axes((left, foot / full_height, wide, high_))
        _show(upper, pixels, bottom, top, noisy.aspect)
        _show(lower, pixels[region], bottom, top, noisy.aspect)
        upper.set_title(caption, color="white", fontsize=9, linespacing=1.3)
        corner = (region[1].start - 0.5, region[0].start - 0.5)
        sides = (region[1].stop - region[1].start, region[0].stop - region[0].start)
        upper.add_patch(Rectangle(corner, *sides, fill=False, edgecolor="gold", linewidth=0.7))
    _write_directions(figure.axes[0], noisy.directions)
    if title:
        figure.text(
            0.5,
            1 - 10 / full_height,
            title,
            color="white",
            fontsize=11,
            ha="center",
            va="top",
            parse_math=False,
        )
    foot_text = f"{noisy.place}grey window {low:.3g} to {high:.3g} in all images; below: the framed part"
    figure.text(
        _GAP_PX / full_width, 8 / full_height, foot_text, color="0.7", fontsize=7, ha="left", va="bottom"
    )
    return figure


def _caption(name: str, evaluation: Evaluation | None, scores: Scores | None) -> str:
    """Return an image's name and, where known, its scores."""
    if evaluation is None or scores is None:
        return name
    extent = "all slices: " if len(evaluation.denoised_slices) > 1 else ""
    return f"{name}\n{extent}PSNR {scores.psnr_db:.2f} dB, SSIM {scores.ssim:.3f}"


def _show(axes: Axes, pixels: _Image, low: float, high: float, aspect: float) -> None:
    """Show one image, pixels kept as they are where they can be (smoothing would hide noise)."""
    # "auto" smooths what is shown smaller than it is, and repeats pixels where it is enlarged.
    axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="auto")
    axes.set_axis_off()


def _write_directions(axes: Axes, letters: str) -> None:
    """Write R, L, A, P, S or I at the four sides."""
    from matplotlib.patheffects import withStroke

    outline = [withStroke(linewidth=2, foreground="black")]
    places = [(0.015, 0.5, "left", "center"), (0.985, 0.5, "right", "center")]
    places += [(0.5, 0.985, "center", "top"), (0.5, 0.015, "center", "bottom")]
    for letter, (x, y, across, along) in zip(letters, places, strict=False):
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            ha=across,
            va=along,
            color="gold",
            fontsize=9,
            path_effects=outline,
        )


def write_figure(figure: Figure, path: Path, background: str = "black") -> None:
    """Write the figure, whole or not at all."""
    with atomic_path(path, ".png") as temporary:
        figure.savefig(temporary, format="png", facecolor=background)

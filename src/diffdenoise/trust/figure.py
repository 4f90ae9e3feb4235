"""One picture of a result: noisy, denoised, residual and reference, and a detail of each.

All images share one grey window, so that a difference seen is a difference in the data. A slice is shown as
radiologists read it, with directions written on it where the scan says them, and a scale where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffdenoise.errors import ShapeError
from diffdenoise.packages import check_matplotlib
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.folder import check_new_file
from diffdenoise.scan.regions import find_regions
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust.choice import blocks, choose_part, choose_slice, object_of
from diffdenoise.trust.marks import mark_directions, mark_scale
from diffdenoise.trust.metrics import Evaluation, Scores
from diffdenoise.trust.view import View, view_of
from diffdenoise.trust.window import Window, window_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Image = NDArray[np.float64]

#: Longer side of a panel, least width (captions must fit) and bands between, in screen pixels.
_PANEL_PX, _LEAST_PANEL_PX, _GAP_PX = 560, 400, 6
_TITLE_PX, _CAPTION_PX, _FOOT_PX = 40, 68, 36
_DPI = 160
#: The residual is shown between this many times the noise's std, black, and as much above, white.
_RESIDUAL_STDS = 3.0


@dataclass(frozen=True)
class Panel:
    """One column of the picture: greys from 0 to 1, and what is written above."""

    greys: _Image
    caption: str


@dataclass(frozen=True)
class Comparison:
    """What a picture shows.

    Attributes
    ----------
    view : View
        How the slice is cut and turned.
    window : Window
        Of noisy and denoised image and reference.
    bound : float
        The residual is black at minus and white at plus this, in the scan's units.
    part : two slices
        Rows and columns of the framed part.
    panels : tuple of Panel
        From left to right.
    foot : str
        Line below.
    """

    view: View
    window: Window
    bound: float
    part: tuple[slice, slice]
    panels: tuple[Panel, ...]
    foot: str


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
    PackageError
        If what pictures need isn't installed.
    """
    check_matplotlib()
    check_new_file(path, (".png",), "a picture", overwrite)


def save_comparison(
    path: Path,
    noisy: Scan,
    denoised: Scan,
    reference: Scan | None = None,
    *,
    axis: int | None = None,
    index: int | None = None,
    noise_std: float | None = None,
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
        Slice shown, counted as stored, of a series' first volume; None: that which most was taken off.
    noise_std : float, optional
        The noise's standard deviation in the scan's units, which the residual's greys are fixed by; None:
        that of the residual itself.
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
    found = compare(
        noisy, denoised, reference, axis=axis, index=index, noise_std=noise_std, evaluation=evaluation
    )
    write_figure(_draw(found, title), path)


def compare(
    noisy: Scan,
    denoised: Scan,
    reference: Scan | None = None,
    *,
    axis: int | None = None,
    index: int | None = None,
    noise_std: float | None = None,
    evaluation: Evaluation | None = None,
) -> Comparison:
    """Choose what a picture shows of a result; see `save_comparison`."""
    for name, scan in (("denoised", denoised), ("reference", reference)):
        if scan is not None and scan.shape != noisy.shape:
            raise ShapeError(f"{name}: found shape {scan.shape}, expected {noisy.shape}")
    across = choose_axis(noisy, axis) if noisy.ndim > 2 else None
    known = find_regions(noisy, across).known
    volume = 0
    if across is not None and index is None:
        index, volume = choose_slice(noisy.voxels, denoised.voxels, across, known)
    # All are cut and turned by the noisy scan's geometry: a reference may have a header of its own.
    view = view_of(noisy, across, index, volume)
    before, after = view.of(noisy.voxels), view.of(denoised.voxels)
    inside = np.isfinite(before) & np.isfinite(after)
    inside = inside if known is None else inside & (view.of(known) > 0)
    window = window_of(noisy, view.display, after, inside)
    residual = np.where(inside, before - after, 0.0)
    std = float(residual[inside].std()) if inside.any() else 0.0
    untouched = _are_equal(noisy, denoised, across)
    level = noise_std if noise_std is not None and noise_std > 0 else std
    bound = _RESIDUAL_STDS * level or 1.0
    unit = f" {window.unit}" if window.unit else ""
    said = "" if noise_std is None else f"noise std {noise_std:.3g}{unit}"
    before_scores = None if evaluation is None else evaluation.noisy
    after_scores = None if evaluation is None else evaluation.denoised
    panels = [
        Panel(window.grey(before), _caption("noisy", before_scores, evaluation, said)),
        Panel(
            window.grey(after),
            _caption("denoised", after_scores, evaluation, "left as it was" if untouched else ""),
        ),
        Panel(
            np.clip(residual / bound, -1, 1) / 2 + 0.5,
            f"residual: noisy \N{MINUS SIGN} denoised, std {std:.3g}{unit}\n"
            f"black to white: ±{_RESIDUAL_STDS:g} {'noise' if level is noise_std else 'residual'} std",
        ),
    ]
    if reference is not None:
        panels.append(Panel(window.grey(view.of(reference.voxels)), "reference"))
    part = choose_part(before, after, object_of(denoised.voxels, known), inside)
    return Comparison(view, window, bound, part, tuple(panels), _foot(noisy, view, window))


def _are_equal(noisy: Scan, denoised: Scan, axis: int | None) -> bool:
    """Whether nothing was taken off."""
    for volume, first, before in noisy.voxels.slabs(axis):
        after = denoised.voxels.slab(axis, volume, first, first + len(before))
        if not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
            return False
    return True


def _caption(name: str, scores: Scores | None, evaluation: Evaluation | None, said: str) -> str:
    """Return an image's name and, where known, its scores, or what else is to be said."""
    if evaluation is None or scores is None:
        return f"{name}\n{said}" if said else name
    extent = "all slices: " if len(evaluation.denoised_slices) > 1 else ""
    line = f"{extent}PSNR {scores.psnr_db:.2f} dB, SSIM {scores.ssim:.3f}"
    return f"{name}{', ' * bool(said)}{said}\n{line}"


def _foot(scan: Scan, view: View, window: Window) -> str:
    """Return which slice it is, and how it is shown."""
    parts = []
    if view.axis is not None and scan.shape[view.axis] > 1:
        parts.append(f"slice {view.index} (of 0 to {scan.shape[view.axis] - 1})")
    if scan.ndim == 4:
        parts.append(f"volume {view.volume} (of 0 to {scan.shape[3] - 1})")
    parts.append(f"window in all images: {window.words}{', inverted' * window.is_inverted}")
    if view.pixel_mm is not None and view.display.is_at_detector:
        parts.append("scale at the detector")
    return "; ".join([*parts, "below: the framed part"])


def _draw(found: Comparison, title: str | None) -> Figure:
    """Return the figure: one column an image, the slice above its detail."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    view, part = found.view, found.part
    # A whole number of screen pixels for each image pixel: fractions would draw a pattern into the noise.
    height, width = found.panels[0].greys.shape
    longest = max(width, height * view.aspect)
    zoom = max(1, round(_PANEL_PX / longest)) if longest <= 2 * _PANEL_PX else 2 * _PANEL_PX / longest
    panel_width, panel_height = max(1, round(width * zoom)), max(1, round(height * view.aspect * zoom))
    margin = max(0, _LEAST_PANEL_PX - panel_width) // 2 + _GAP_PX
    step = panel_width + 2 * margin
    head, foot = _CAPTION_PX + (_TITLE_PX if title else 0), _FOOT_PX
    full_width = step * len(found.panels)
    full_height = head + 2 * panel_height + _GAP_PX + foot
    figure = Figure(figsize=(full_width / _DPI, full_height / _DPI), dpi=_DPI, facecolor="black")
    for number, panel in enumerate(found.panels):
        left, wide = (number * step + margin) / full_width, panel_width / full_width
        high = panel_height / full_height
        upper = figure.add_axes((left, (foot + panel_height + _GAP_PX) / full_height, wide, high))
        lower = figure.add_axes((left, foot / full_height, wide, high))
        for axes, greys in ((upper, panel.greys), (lower, panel.greys[part])):
            _show(axes, greys, view.aspect)
            mark_scale(axes, greys.shape, view.pixel_mm)
        mark_directions(upper, view.directions)
        upper.set_title(panel.caption, color="white", fontsize=8.5, linespacing=1.3)
        corner = (part[1].start - 0.5, part[0].start - 0.5)
        sides = (part[1].stop - part[1].start, part[0].stop - part[0].start)
        upper.add_patch(Rectangle(corner, *sides, fill=False, edgecolor="gold", linewidth=0.7))
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
    figure.text(_GAP_PX / full_width, 8 / full_height, found.foot, color="0.7", fontsize=7, va="bottom")
    return figure


def _show(axes: Axes, greys: _Image, aspect: float) -> None:
    """Show one image, pixels kept as they are where they can be (smoothing would hide noise)."""
    # Far more pixels than the screen has are averaged here: matplotlib takes seconds and gigabytes for it.
    block = max(1, max(greys.shape) // (2 * _PANEL_PX))
    few = blocks(greys, block)
    height, width = (side * block - 0.5 for side in few.shape)
    # "auto" smooths what is shown smaller than it is, and repeats pixels where it is enlarged.
    axes.imshow(
        few,
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect=aspect,
        interpolation="auto",
        extent=(-0.5, width, height, -0.5),
    )
    axes.set_xlim(-0.5, greys.shape[1] - 0.5)
    axes.set_ylim(greys.shape[0] - 0.5, -0.5)
    axes.set_axis_off()


def write_figure(figure: Figure, path: Path, background: str = "black") -> None:
    """Write the figure, whole or not at all."""
    with atomic_path(path, ".png") as temporary:
        figure.savefig(temporary, format="png", facecolor=background)

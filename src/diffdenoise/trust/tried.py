"""Findings of the report for which the scan is denoised again: insertion, uncertainty, stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.evidence import Finding, Section, Table
from diffdenoise.trust.insertion import Row, insertion_test
from diffdenoise.trust.judged import NEVER
from diffdenoise.trust.sharpness import Response, local_response
from diffdenoise.trust.slab import Redenoise, Slab
from diffdenoise.trust.spread import Calibration, Regions, Spread

#: Side of the regions whose means are told, mm; where pixels' size isn't known, pixels.
_REGION_MM, _REGION_PX = 8.0, 8
#: Lesions that must be kept: discs of at least this many pixels, and contrasts of this many noise stds.
_LARGE, _CLEAR = 8, 2.0


@dataclass(frozen=True)
class Tried:
    """What was found by denoising again.

    Attributes
    ----------
    rows : tuple of Row
        Of the insertion test.
    response : Response or None
        To single pixels.
    spread : Spread
        Pairs of results.
    calibration : Calibration or None
        Spread against error.
    regions : Regions or None
        Means over squares.
    """

    rows: tuple[Row, ...]
    response: Response | None
    spread: Spread
    calibration: Calibration | None
    regions: Regions | None


def try_again(slab: Slab, again: Redenoise, pixel_mm: float | None, seed: int = 0) -> Tried:
    """Do all tests that denoise again.

    Parameters
    ----------
    slab : Slab
        Slices before and after.
    again : callable
        The denoiser.
    pixel_mm : float or None
        Side of a pixel.
    seed : int
        Of all draws.
    """
    spread = Spread(slab, again, seed)
    side = _REGION_PX if pixel_mm is None else max(2, round(_REGION_MM / pixel_mm))
    return Tried(
        insertion_test(slab, again, spread, seed),
        local_response(slab, again),
        spread,
        spread.calibrate(),
        spread.regions(side),
    )


def insertion_section(rows: Sequence[Row]) -> Section:
    """Contrast of planted lesions, by size and contrast."""
    title = "Planted lesions"
    clear = [row for row in rows if row.contrast >= _CLEAR and row.size >= _LARGE and row.shape == "disc"]
    if not clear:
        return Section("insertion", title, missing="there is too little tissue to plant lesions in")
    worst = min(clear, key=lambda row: row.kept)
    kept = worst.kept
    finding = Finding(
        "contrast_kept",
        "Least contrast kept of planted discs of 8 pixels or more and 2 noise stds or more",
        kept,
        "",
        (0.7, 0.4),
        f"of the contrast of discs of {worst.size} px and {worst.contrast:g} noise stds {kept:.0%} is left",
        "faint lesions may be lost: take off less (strength), or learn from the scan first",
        falls=True,
    )
    head = ("what", "contrast", "where", "planted", "contrast kept", "d' after / before")
    body = tuple(
        (
            f"{row.shape} of {row.size} px",
            f"{row.contrast:g} noise std",
            "at edges" if row.structured else "flat",
            str(row.count),
            f"{row.kept:.0%} ± {row.kept_error:.0%}",
            f"{row.gain:.2f}" if np.isfinite(row.gain) else "not told",
        )
        for row in rows
    )
    notes = (
        "Discs and thin lines were added to this noisy scan and denoised by the same weights. d' is that of "
        "an observer who knows what to look for and where: at 1 noise std it can hardly grow, as denoising "
        "adds no data; readers who don't know the place gain more.",
    )
    return Section("insertion", title, (finding,), notes, (Table("What is left of them", head, body),))


def uncertainty_section(
    tried: Tried, scale: float, unit: str, roi: Sequence[tuple[str, str]] = ()
) -> Section:
    """Calibrated spread, of pixels and regions."""
    title = "Uncertainty"
    calibration, regions = tried.calibration, tried.regions
    if calibration is None:
        return Section("uncertainty", title, missing="there are too few pixels to calibrate it")
    sure = calibration.chance < 0.25
    off = float(calibration.beyond_chance[sure].max()) if sure.any() else np.nan
    findings = [
        Finding(
            "uncertainty_off",
            "Expected error that the other half of the pixels contradicts beyond chance, as a factor",
            off,
            "",
            (1.4, NEVER),
            f"in a class of pixels errors are {off:.2f} times as expected, or that much less, beyond chance",
            "take the stated uncertainty for a rough guide",
        ),
        Finding(
            "rmse",
            "Error of a pixel (root mean square)",
            tried.spread.rmse * scale,
            unit,
            None,
            f"a pixel is off by {tried.spread.rmse * scale:.3g} {unit}",
        ),
    ]
    if regions is not None:
        findings.append(
            Finding(
                "region_error",
                f"Standard error of the mean of {regions.side} x {regions.side} pixels",
                regions.after * scale,
                unit,
                None,
                f"a mean is off by {regions.after * scale:.3g} {unit} ({regions.before * scale:.3g} before)",
            )
        )
    rows = zip(*_in_units(calibration, scale), sure, strict=True)
    body = tuple(
        (f"{spread:.3g}", f"{error:.3g}", f"{seen:.2f}" if told else "too few to tell")
        for spread, error, seen, told in rows
    )
    head = (f"spread, {unit}", f"expected error, {unit}", "error found / expected")
    tables = [Table("Calibration, on half of the pixels, checked on the other", head, body)]
    if roi:
        tables.append(Table("The region that was named", ("", ""), tuple(roi)))
    notes = (
        "No clean image is needed: noise like the scan's own is added and taken off, and the unbiased "
        "estimate of the squared error (Stein) sets the scale. It holds on average over a class of pixels "
        "and regions of a size, if the noise is as stated. It promises nothing of single pixels.",
    )
    return Section("uncertainty", title, tuple(findings), notes, tuple(tables))


def _in_units(calibration: Calibration, scale: float) -> tuple[NDArray[np.float64], ...]:
    return calibration.spreads * scale, calibration.errors * scale, calibration.checked


def stability_section(spread: Spread) -> Section:
    """How the two results of a symmetric pair move."""
    value = spread.pair_correlation
    finding = Finding(
        "pair_correlation",
        "Correlation of what +e and -e change",
        value,
        "",
        (-0.3, NEVER),
        f"noise added and taken off moves the result with a correlation of {value:+.2f}",
        "the result depends on chance: run it again with another seed and compare",
    )
    notes = (
        "Adding noise and taking the same noise off should move the result by opposite amounts (-1): where "
        "it does, the mean of the two is the result itself. Weights set for the noise have no seed; a "
        "training's other seeds and rounds were not run for this report.",
    )
    return Section("stability", "Stability", (finding,), notes)

"""Findings of the report that need nothing but the scan before and after, and from where on they are bad.

The limits are those at which `bench/trust.py` tells planted faults from honest results: see docs/trust.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from diffdenoise.trust.bias import Band
from diffdenoise.trust.evidence import Finding, Section, Table
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.places import Found
from diffdenoise.trust.residual import BANDS, ResidualFigures
from diffdenoise.trust.sharpness import Edges, Response

#: No limit.
NEVER = math.inf
#: Strength of a place from which on the whole is not to be trusted.
_STRONG = 16.0
_BLUR_ADVICE = "compare fine detail in the viewer; take off less (strength), or learn from the scan first"
_PLACE_ADVICE = "go to the places that are marked in the viewer, and compare before and after"
#: How a strength is told.
_CHANCE = "times chance"


def noise_section(paired: Paired, figures: ResidualFigures, told: str) -> Section:
    """Level and spectrum, before and after."""
    bands = figures.bands
    least = min(bands, default=math.nan)
    rows = [
        (f"{low:g} to {high:g} cycles/px", f"{share:.2f}")
        for low, high, share in zip(BANDS[:-1], BANDS[1:], bands, strict=False)
    ]
    bound = paired.noise.diagnosis.is_upper_bound
    low_limits = None if bound else (0.6, -NEVER)
    findings = (
        Finding(
            "taken_off",
            "Taken off, over the noise",
            figures.taken,
            "",
            (1.25, 2.0),
            f"what was taken off is {figures.taken:.2f} times as strong as the noise of the scan",
            "more than the noise is missing: look at the residual for anatomy; take off less (strength)",
        ),
        Finding(
            "least_taken_off",
            "Least of the noise taken off, of three finenesses",
            least,
            "",
            low_limits,
            f"of the noise of one fineness only {least:.0%} was taken off: the rest is still in the image",
            "noise is left: it can look like texture; check that the noise is stated right (info)",
            falls=True,
        ),
        Finding(
            "noise_left",
            "Noise left in calm places, over what was taken off",
            figures.left,
            "",
            (0.15, NEVER),
            f"calm places still hold {max(figures.left, 0):.0%} as much noise as was taken off there",
            "the result is less denoised than it could be; with a strength below 1 that is intended",
        ),
    )
    table = Table(
        "Residual over stated noise, by fineness, in calm places", ("fineness", "ratio"), tuple(rows)
    )
    return Section("noise", "Noise before and after", findings, (told,), (table,) if rows else ())


def structure_section(figures: ResidualFigures, found: Found) -> Section:
    """What of the residual is no noise, and where."""
    strongest = found.places[0].strength if found.places else 0.0
    findings = (
        Finding(
            "structure_lost",
            "Structure missing at edges, over the noise",
            figures.lost,
            "",
            (0.42, 0.75),
            f"at edges, fine structure of {figures.lost:.2f} times the noise is missing",
            _BLUR_ADVICE,
        ),
        Finding(
            "at_edges",
            "Taken off at edges, over calm places",
            figures.at_edges,
            "",
            (1.2, 2.0),
            f"{figures.at_edges:.2f} times as much power was taken off at edges as in calm places",
            _BLUR_ADVICE,
        ),
        Finding(
            "stripes",
            "Highest peak of the residual's spectrum",
            figures.peak,
            _CHANCE,
            (18.0, 40.0),
            f"the residual has a regular pattern, {figures.peak:.0f} times beyond chance",
            "stripes or a grid were put in or taken off: look at the residual",
        ),
        Finding(
            "strongest_place",
            "Strongest place that noise doesn't explain",
            strongest,
            "std",
            (found.threshold, _STRONG),
            _places_words(found, strongest),
            _PLACE_ADVICE,
        ),
    )
    notes = (
        f"{found.slices} slices were searched for discs of 4 to 20 pixels and lines of 14; chance alone "
        f"passes {found.threshold:.1f} std once in twenty scans. A faint shape of one noise std is found "
        "from about 8 pixels on, one of two from 4. Correlated noise hides more.",
    )
    return Section("structure", "Structure in the residual", findings, notes)


def _places_words(found: Found, strongest: float) -> str:
    if not found.count:
        return "no place stands out of the residual"
    places = "1 place stands" if found.count == 1 else f"{found.count} places stand"
    return f"{places} out of the residual, the strongest at {strongest:.1f} std"


def resolution_section(edges: Edges | None, response: Response | None, why: str) -> Section:
    """Edges before and after, and the response to a single pixel."""
    findings = []
    if edges is not None:
        findings.append(
            Finding(
                "edge_spread",
                "Width of edges, after over before",
                edges.ratio,
                "",
                (1.15, 1.3),
                f"strong edges are {edges.ratio:.2f} times as wide as before ({edges.before_px:.2f} to "
                f"{edges.after_px:.2f} px)",
                _BLUR_ADVICE,
            )
        )
    if response is not None:
        findings += [
            Finding(
                "response_sum",
                "Brightness kept of a single pixel, spread over its surroundings",
                response.total,
                "",
                None,
                f"of a pixel raised by 3 noise stds {response.total:.0%} of the brightness is left around it",
            ),
            Finding(
                "response_width",
                "Width of what becomes of a single pixel",
                response.width_px,
                "px",
                None,
                f"it is {response.width_px:.1f} pixels wide, and {response.peak:.0%} as high",
            ),
        ]
    notes = () if response is not None else (f"The response to single pixels was not measured: {why}.",)
    if edges is None:
        return Section(
            "resolution",
            "Resolution",
            tuple(findings),
            notes,
            missing="there are too few strong edges to measure",
        )
    note = f"{edges.count} edges, between a quarter and three quarters of their height; noise averages out."
    return Section("resolution", "Resolution", tuple(findings), (note, *notes))


def intensity_section(bands: Sequence[Band], paired: Paired, unit: str) -> Section:
    """Shift of brightness, tissue by tissue."""
    if not bands:
        return Section("intensity", "Intensity", missing="there is too little tissue to measure")
    scale, low = paired.noise.range, paired.noise.ready.intensities.low
    worst = max(bands, key=lambda band: band.beyond_chance)
    known = paired.noise.diagnosis.std > 0
    relative = [band.beyond_chance / band.noise_std for band in bands if band.noise_std > 0]
    value = max(relative, default=math.nan) if known else math.nan
    shift = worst.shift * scale
    finding = Finding(
        "intensity_shift",
        "Largest shift of brightness beyond chance, over the noise",
        value,
        "noise std",
        (0.15, 0.6),
        f"a tissue is {abs(shift):.3g} {unit} {'brighter' if shift > 0 else 'darker'} than before",
        "do not measure intensities in the denoised image until this is explained",
    )
    rows = tuple(
        (
            f"{low + band.low * scale:.4g} to {low + band.high * scale:.4g}",
            f"{band.shift * scale:+.3g} ± {band.half_width * scale:.2g}",
            f"{band.noise_std * scale:.3g}" if band.noise_std > 0 else "not known",
        )
        for band in bands
    )
    table = Table(
        f"Mean change by tissue, in {unit}, with its 95 % interval", ("brightness", "change", "noise"), rows
    )
    return Section("intensity", "Intensity", (finding,), (), (table,))

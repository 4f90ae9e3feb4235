"""All evidence of a result, in the order of the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffdenoise.trust.bias import bands_of
from diffdenoise.trust.evidence import Evidence, Finding, Section
from diffdenoise.trust.judged import (
    NEVER,
    intensity_section,
    noise_section,
    resolution_section,
    structure_section,
)
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.places import find_places
from diffdenoise.trust.residual import ResidualFigures, look_at_residual
from diffdenoise.trust.sharpness import edge_spread
from diffdenoise.trust.slab import Redenoise, Slab, cut_slab
from diffdenoise.trust.tried import (
    Tried,
    insertion_section,
    stability_section,
    try_again,
    uncertainty_section,
)
from diffdenoise.trust.wanted import Region, region_of

#: Noise left over noise taken off from which on a result is looked at without it; and that is still undone.
_BLENDED, _MOST_BLENDED = 0.1, 9.0
#: Noise stds up to which two results are the same denoiser's: it is run again along one axis, and with fewer
#: turned copies.
_SAME = 0.3
#: Key of the finding that says of a scan that it was left as it was.
_CHANGED = "changed"
#: Sections for which the scan is denoised again.
_AGAIN = (("insertion", "Planted lesions"), ("uncertainty", "Uncertainty"), ("stability", "Stability"))


@dataclass(frozen=True)
class Examined:
    """A result's evidence, and what maps are made of.

    Attributes
    ----------
    evidence : Evidence
        Sections and places.
    tried : Tried or None
        What denoising again showed; None where it couldn't be done.
    """

    evidence: Evidence
    tried: Tried | None

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was taken off."""
        return any(one.key == _CHANGED for each in self.evidence.sections for one in each.findings)


def examine(
    paired: Paired,
    *,
    unit: str = "units",
    again: Redenoise | None = None,
    why: str = "",
    spacing_mm: tuple[float, float] | None = None,
    roi: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Examined:
    """Look at a result from all sides.

    Parameters
    ----------
    paired : Paired
        The scan before and after.
    unit : str
        Of its intensities, for words.
    again : callable, optional
        The denoiser that made the result; None: not known, as `why` says.
    why : str
        Why there is none.
    spacing_mm : (float, float), optional
        Distance of slices, and side of pixels, where they are known.
    roi : bool array of the scan's shape, optional
        Region whose mean is wanted.
    seed : int
        Of draws.
    """
    figures = look_at_residual(paired)
    if figures is None:
        return Examined(_unchanged(), None)
    whole = _unblended(paired, figures)
    found = find_places(whole)
    structure = figures if whole is paired else look_at_residual(whole)
    if found is None or structure is None:
        return Examined(_unchanged(), None)
    tried, reason = None, why
    if again is not None:
        thickness = np.inf if spacing_mm is None else spacing_mm[0] / spacing_mm[1]
        slab = cut_slab(paired, again, thickness)
        apart = None if slab is None else _apart(paired, slab)
        if slab is None or apart is None:
            reason = "the level of the noise isn't known"
        elif apart > _SAME:
            reason = f"the model that was named gives another result than this, {apart:.2g} noise stds apart"
        else:
            tried = try_again(slab, again, None if spacing_mm is None else spacing_mm[1], seed)
    sections = [
        noise_section(paired, figures, _told(paired)),
        structure_section(structure, found),
        *_sections_again(tried, reason, paired, unit, roi),
        intensity_section(bands_of(paired), paired, unit),
    ]
    resolution = resolution_section(edge_spread(whole), None if tried is None else tried.response, reason)
    sections.insert(3, resolution)
    if paired.noise.diagnosis.std <= 0 or paired.noise.diagnosis.is_upper_bound:
        sections.insert(0, _unknown_noise(paired))
    return Examined(Evidence(tuple(sections), found.places), tried)


def _apart(paired: Paired, slab: Slab) -> float | None:
    """Root mean square of what the given result and that of denoising again differ by, in noise stds."""
    numbers = range(slab.first, slab.first + len(slab.denoised))
    given = np.stack([paired.slice(slab.volume, number).denoised for number in numbers])
    where = slab.known & (slab.std > 0)
    if not where.any():
        return None
    return float(np.sqrt((((given - slab.denoised)[where] / slab.std[where]) ** 2).mean()))


def _unblended(paired: Paired, figures: ResidualFigures) -> Paired:
    """The result without the noise that was left in it: a blend is no worse than what it was blended of."""
    left = figures.left
    if not left > _BLENDED:
        return paired
    return paired.with_all_taken_off(1 / (1 + min(left, _MOST_BLENDED)))


def _sections_again(
    tried: Tried | None, why: str, paired: Paired, unit: str, roi: NDArray[np.bool_] | None
) -> list[Section]:
    if tried is None:
        return [Section(key, title, missing=f"not measured: {why}") for key, title in _AGAIN]
    named: list[tuple[str, str]] = []
    if roi is not None:
        region = region_of(paired, tried.spread, roi)
        named = region.rows(unit) if isinstance(region, Region) else [("not told", region)]
    return [
        insertion_section(tried.rows),
        uncertainty_section(tried, paired.noise.range, unit, named),
        stability_section(tried.spread),
    ]


def _told(paired: Paired) -> str:
    """What is stated of the noise, in a sentence."""
    found, noise = paired.noise.diagnosis, paired.noise
    if found.std <= 0:
        return "No noise was found in this scan."
    kind = "Gaussian"
    if found.rician_std is not None:
        kind = "Rician" if found.coils == 1 else f"noncentral chi ({found.coils} coils)"
    elif not found.noise.is_constant:
        kind = "Gaussian of a level that varies with brightness"
    bound = "at most " if found.is_upper_bound else ""
    widths = found.correlation.width_px
    spectrum = (
        "white" if found.correlation.is_white else f"correlated over {widths[0]:.2g} x {widths[1]:.2g} pixels"
    )
    place = "" if noise.model.place is None else ", varying from place to place"
    return f"Stated noise: {kind}, {bound}{found.std:.2%} of the range, {spectrum}{place}."


def _unknown_noise(paired: Paired) -> Section:
    """What follows where the scan does not tell its noise."""
    bound = paired.noise.diagnosis.is_upper_bound
    says = (
        "only an upper bound of the noise is known, so that too little noise taken off can't be told"
        if bound
        else "no noise was found in this scan, and yet it was changed"
    )
    finding = Finding(
        "noise_unknown",
        "How well the noise of the scan is known",
        0.0 if not bound else 0.5,
        "",
        (1.0, 0.4),
        says,
        "tell the level of the noise if you know it, or leave the scan as it is",
        falls=True,
    )
    return Section("statement", "The noise statement", (finding,))


def _unchanged() -> Evidence:
    """Evidence of a scan that was left as it was."""
    finding = Finding(
        _CHANGED,
        "Voxels that were changed",
        0.0,
        "",
        (NEVER, NEVER),
        "the scan was left as it was: nothing was taken off",
    )
    return Evidence((Section("noise", "Noise before and after", (finding,)),))

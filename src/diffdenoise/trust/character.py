"""What a scan is like, as far as a trained model depends on it, and whether a model knows its like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diffdenoise.noise.statement import Noise
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.prepared import prepare
from diffdenoise.scan.scan import Scan

#: Percentiles of scaled intensities that stand for their distribution.
PERCENTS = (10, 25, 50, 75, 90)
#: Times that a noise level may differ: a reading is right within a fifth, and scans of one protocol vary.
_NOISE_RATIO = 1.5
#: Pixels that the width of the noise's correlation may differ by.
_WIDTH_PX = 0.5
#: Shares of the range that the scan's own zero, and the percentiles on average, may lie apart.
_ZERO, _PERCENTILES = 0.35, 0.25
#: Times that the distance of slices may differ where the model takes neighbours.
_DISTANCE_RATIO = 1.5


@dataclass(frozen=True)
class Character:
    """What a model must know about a scan that it is to denoise.

    Attributes
    ----------
    modality : str or None
        DICOM's Modality (PS3.3, C.7.3.1.1.1); None where the format has none.
    noise_std : float
        As a share of the range; 0: unknown.
    rician : bool
        Whether the background shows Rician noise.
    correlation_px : float
        Width of the noise's correlation inside slices, pixels.
    zero : float
        Where the scan's own zero lies, scaled intensity: near 0 for magnitudes, near .7 for a CT.
    percentiles : tuple of float
        Scaled intensities at `PERCENTS`.
    slice_mm : float or None
        Distance of adjacent slices; None where it isn't known.
    """

    modality: str | None
    noise_std: float
    rician: bool
    correlation_px: float
    zero: float
    percentiles: tuple[float, ...]
    slice_mm: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def character_of(scan: Scan, noise: Noise) -> Character:
    """Return what a scan is like.

    Parameters
    ----------
    scan, noise
        A scan, and what is known of its noise.
    """
    ready, found = noise.ready, noise.diagnosis
    if scan.hidden is not None:
        # The same scan is like itself whatever part of it is asked for.
        ready = prepare(scan.with_outside(None), ready.axis)
    spacing = scan.spacing_mm
    across = None if ready.axis is None or spacing is None else spacing[ready.axis]
    return Character(
        modality=scan.header.header.modality or None if isinstance(scan.header, Series) else None,
        noise_std=round(found.std, 6),
        rician=found.rician_std is not None,
        correlation_px=max(found.correlation.width_px),
        zero=round(min(max(ready.intensities.zero, -1e5), 1e5), 4),
        percentiles=tuple(round(float(one), 4) for one in ready.percentiles(PERCENTS)),
        slice_mm=None if across is None else round(float(across), 4),
    )


def differences(known: Sequence[Character], scan: Character, neighbours: int) -> list[str]:
    """Return in words what tells a scan from those that a model was trained on; nothing if it is like them.

    Parameters
    ----------
    known : sequence of Character
        Of the training scans; without any, nothing can be compared.
    scan : Character
        Of the scan to denoise.
    neighbours : int
        Adjacent slices that the model takes as inputs.
    """
    if not known:
        return []
    found = []
    modalities = {one.modality for one in known if one.modality is not None}
    if scan.modality is not None and modalities and scan.modality not in modalities:
        found.append(f"modality {scan.modality}, not {' or '.join(sorted(modalities))}")
    levels = [one.noise_std for one in known if one.noise_std > 0]
    if scan.noise_std > 0 and levels and not _within(scan.noise_std, levels, _NOISE_RATIO):
        found.append(f"noise of {scan.noise_std:.1%} of the range, not {_span(levels, '{:.1%}')}")
    kinds = {one.rician for one in known}
    if len(kinds) == 1 and scan.rician not in kinds:
        found.append("Rician noise" if scan.rician else "no Rician noise")
    widths = [one.correlation_px for one in known]
    if not min(widths) - _WIDTH_PX <= scan.correlation_px <= max(widths) + _WIDTH_PX:
        found.append(f"noise correlated over {scan.correlation_px:.2g} px, not {_span(widths, '{:.2g}')}")
    zeros = [one.zero for one in known]
    apart = min(_distance(one.percentiles, scan.percentiles) for one in known)
    if not min(zeros) - _ZERO <= scan.zero <= max(zeros) + _ZERO or apart > _PERCENTILES:
        found.append("intensities distributed otherwise")
    distances = [one.slice_mm for one in known if one.slice_mm]
    if neighbours and scan.slice_mm and distances and not _within(scan.slice_mm, distances, _DISTANCE_RATIO):
        found.append(f"slices {scan.slice_mm:.3g} mm apart, not {_span(distances, '{:.3g}')}")
    return found


def _within(value: float, known: Sequence[float], ratio: float) -> bool:
    return min(known) / ratio <= value <= max(known) * ratio


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.mean(np.abs(np.subtract(one, other))))


def _span(values: Sequence[float], style: str) -> str:
    low, high = style.format(min(values)), style.format(max(values))
    return low if low == high else f"{low} to {high}"

"""The trust report of a result: what is asked for, what it says of itself, and its files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffdenoise._version import __version__
from diffdenoise.errors import InputError, OutputError, ShapeError, option
from diffdenoise.noise.statement import Noise
from diffdenoise.page.document import check_page
from diffdenoise.page.html import report_dict, write_report
from diffdenoise.page.pictures import make_tiles
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Voxels
from diffdenoise.trust.examine import Examined, examine
from diffdenoise.trust.paired import Paired
from diffdenoise.trust.slab import Redenoise
from diffdenoise.trust.spread_map import uncertainty_map
from diffdenoise.trust.window import holds_hounsfield_units
from diffdenoise.work.maps import noise_map_of

#: What the methods paragraph cites, in the order of its numbers.
_REFERENCES = (
    "Demir B, et al. DiffDenoise: Self-Supervised Medical Image Denoising with Conditional Diffusion Models. "
    "arXiv:2504.00264, 2025.",
    "Stein C M. Estimation of the mean of a multivariate normal distribution. Ann Stat 9(6), 1981.",
    "Ramani S, Blu T, Unser M. Monte-Carlo SURE. IEEE Trans Image Process 17(9), 2008.",
    "Wagner R F, Brown D G. Unified SNR analysis of medical imaging systems. Phys Med Biol 30(6), 1985.",
)
_NO_MODEL = "who denoised it isn't known here (give its model with {})"


@dataclass(frozen=True, eq=False)
class Inquiry:
    """A result that a report is wanted of.

    Attributes
    ----------
    noisy, denoised : Scan
        Before and after.
    noise : Noise
        Of the noisy scan.
    again : callable or None
        Denoises slices of it once more; None: not known.
    record : dict
        What is known of how it was denoised.
    roi : bool array of the scan's shape or None
        Region whose mean is wanted.
    """

    noisy: Scan
    denoised: Scan
    noise: Noise
    again: Redenoise | None = None
    record: Mapping[str, Any] | None = None
    roi: NDArray[np.bool_] | None = None

    @property
    def unit(self) -> str:
        """Of the scan's intensities."""
        return "HU" if holds_hounsfield_units(self.noisy.voxels) else "units of the scan"


@dataclass(frozen=True, eq=False)
class TrustReport:
    """A report, ready to be written.

    Attributes
    ----------
    inquiry : Inquiry
        What it is of.
    examined : Examined
        What was found.
    seconds : float
        What the search took.
    """

    inquiry: Inquiry
    examined: Examined
    seconds: float

    @property
    def verdict(self) -> str:
        """In a word or three."""
        return self.examined.evidence.verdict

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return report_dict(self.examined.evidence, self.provenance)

    @property
    def uncertainty(self) -> Voxels:
        """Expected error at each voxel, scan's units; of a scan that was left as it was, its noise's std.

        Raises
        ------
        InputError
            If it can't be told.
        """
        inquiry = self.inquiry
        if self.examined.is_unchanged and inquiry.noise.std is not None:
            return noise_map_of(inquiry.noisy, inquiry.denoised, inquiry.noise)
        found = self._map()
        if found is None:
            why = "; ".join(each.missing for each in self.examined.evidence.sections if each.missing)
            raise InputError(
                f"{inquiry.noisy.name}: its uncertainty can't be told: {why or 'it has no noise'}"
            )
        return found

    def _map(self) -> Voxels | None:
        """Expected error at each voxel; None: it could not be calibrated."""
        tried, again = self.examined.tried, self.inquiry.again
        if tried is None or tried.calibration is None or again is None:
            return None
        return uncertainty_map(
            Paired(self.inquiry.noise, self.inquiry.denoised.voxels), again, tried.calibration
        )

    @cached_property
    def provenance(self) -> dict[str, str]:
        """What came from what, made by what."""
        inquiry, record = self.inquiry, dict(self.inquiry.record or {})
        training = record.get("training") or {}
        shape = " x ".join(map(str, inquiry.noisy.shape))
        found = {
            "noisy scan": f"{Path(inquiry.noisy.name).name}, {shape}",
            "noisy values, SHA-256": digest_of(inquiry.noisy.voxels, inquiry.noise.axis),
            "denoised scan": Path(inquiry.denoised.name).name,
            "denoised values, SHA-256": digest_of(inquiry.denoised.voxels, inquiry.noise.axis),
            "denoised by": _denoised_by(inquiry, training),
        }
        if "strength" in record:
            found["strength"] = f"{record['strength']:g}"
        found |= {
            "report by": f"DiffDenoise {__version__}",
            "report made": time.strftime("%Y-%m-%d %H:%M %Z"),
        }
        return found

    def write(self, path: Path, *, overwrite: bool = False) -> Path:
        """Write the page, and the same as JSON beside it.

        Parameters
        ----------
        path : path
            Ending in .html.
        overwrite : bool
            Whether files that are there may be replaced.

        Returns
        -------
        path
            Of the JSON file.

        Raises
        ------
        OutputError
            If one can't be written.
        """
        beside = check_report(path, overwrite)
        inquiry, evidence = self.inquiry, self.examined.evidence
        tiles = make_tiles(
            inquiry.noisy,
            inquiry.denoised,
            inquiry.noise.std,
            self._map(),
            evidence.places,
            axis=inquiry.noise.axis,
        )
        title = f"Trust report: {Path(inquiry.noisy.name).name}"
        provenance = self.provenance
        write_report(
            path, evidence, tiles, provenance, self._methods(), _REFERENCES, title, overwrite=overwrite
        )
        text = json.dumps(report_dict(evidence, provenance), indent=1, allow_nan=False)
        with atomic_path(beside) as part:
            part.write_text(text + "\n", encoding="utf-8")
        return beside

    def _methods(self) -> str:
        """A paragraph to paste."""
        told = next(
            (note for one in self.examined.evidence.sections if one.key == "noise" for note in one.notes), ""
        )
        how = _denoised_by(self.inquiry, dict(self.inquiry.record or {}).get("training") or {})
        tested = (
            "Errors were estimated without a clean image from symmetric pairs of the noisy scan with noise "
            "of the stated law added and taken off (Stein's unbiased risk estimate [2], probed as in [3]); "
            "discs and lines of known contrast were planted in the noisy scan, denoised again, and judged by "
            "a non-prewhitening observer [4]. "
            if self.examined.tried is not None
            else ""
        )
        return (
            f"Images were denoised by {how}. The noise was estimated from the scan itself: {told} {tested}"
            "The residual (noisy minus denoised) was tested for structure by matched filters under its own "
            f"spectrum. DiffDenoise {__version__} [1]; verdict: {self.verdict}."
        )


def examine_result(inquiry: Inquiry, seed: int = 0) -> TrustReport:
    """Look at a result from all sides.

    Parameters
    ----------
    inquiry : Inquiry
        The result.
    seed : int
        Of all draws.

    Raises
    ------
    ShapeError
        If shapes differ.
    """
    if inquiry.denoised.shape != inquiry.noisy.shape:
        raise ShapeError(
            f"{inquiry.denoised.name}: found shape {_by(inquiry.denoised.shape)}, expected the noisy scan's "
            f"{_by(inquiry.noisy.shape)}; give the result of this very scan"
        )
    if inquiry.roi is not None and inquiry.roi.shape != inquiry.noisy.shape:
        raise ShapeError(
            f"region: found shape {_by(inquiry.roi.shape)}, expected the scan's {_by(inquiry.noisy.shape)}"
        )
    began = time.monotonic()
    found = examine(
        Paired(inquiry.noise, inquiry.denoised.voxels),
        unit=inquiry.unit,
        again=inquiry.again,
        why=_NO_MODEL.format(option("model", python="model")),
        spacing_mm=_spacing(inquiry),
        roi=inquiry.roi,
        seed=seed,
    )
    return TrustReport(inquiry, found, time.monotonic() - began)


def check_report(path: Path, overwrite: bool = False) -> Path:
    """Check that a report can be written, and return where its JSON goes.

    Raises
    ------
    OutputError
        If it can't.
    """
    check_page(path, overwrite)
    beside = path.with_suffix(".json")
    if beside.exists() and not overwrite:
        raise OutputError(f"{beside}: exists, and the report's figures go there; use {option('overwrite')}")
    return beside


def digest_of(voxels: Voxels, axis: int | None) -> str:
    """SHA-256 of a scan's values as little-endian float64, slice by slice; the first 16 digits."""
    found = hashlib.sha256()
    for _, _, values in voxels.slabs(axis):
        found.update(np.ascontiguousarray(values, "<f8").tobytes())
    return found.hexdigest()[:16]


def _spacing(inquiry: Inquiry) -> tuple[float, float] | None:
    """Distance of the slices and side of the pixels, mm."""
    spacing, axis = inquiry.noisy.spacing_mm, inquiry.noise.axis
    if spacing is None:
        return None
    sides = [side for number, side in enumerate(spacing[:3]) if number != axis]
    if not all(np.isfinite(side) and side > 0 for side in spacing):
        return None
    across = np.inf if axis is None or axis >= len(spacing) else float(spacing[axis])
    return across, float(np.mean(sides))


def _denoised_by(inquiry: Inquiry, training: Mapping[str, Any]) -> str:
    """What is known of the denoiser, in words."""
    if inquiry.again is None:
        return "another program, or an unknown model"
    if training.get("fingerprint") is None:
        return f"DiffDenoise {__version__}, its weights {training['weights']!r} set for this scan's noise"
    return (
        f"DiffDenoise {__version__}, a student trained on noisy scans alone ({training['fingerprint'][:12]})"
    )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

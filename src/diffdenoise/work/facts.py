"""What is known about a scan before anything is done to it: geometry, type, intensities, noise (no torch)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from diffdenoise.config import Settings
from diffdenoise.errors import InputError
from diffdenoise.noise.shape import in_words
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.find import Found
from diffdenoise.scan.intensity import HIGH_PERCENT, LOW_PERCENT
from diffdenoise.scan.scan import Scan


class Facts(dict[str, Any]):
    """What `diffdenoise info --json` says of a scan, as a dictionary that shows itself in one line."""

    def __repr__(self) -> str:
        if "problem" in self:
            return f"<{self['name']}: {self['problem']}>"
        noise = self["noise_std"]
        said = "noise unknown"
        if noise is not None:
            said = f"noise std {noise:.4g} ({self['noise_percent_of_range']:.2g} % of the range)"
        if self["already_clean"]:
            said += ", already clean"
        parts = (
            f"{self['format']} {' x '.join(map(str, self['shape']))} {self['dtype']}",
            f"{' x '.join(f'{side:.4g}' for side in self['spacing_mm'])} mm" if self["spacing_mm"] else None,
            self["orientation"],
            said,
        )
        return f"<{self['name']}: {', '.join(part for part in parts if part)}>"


def look_at(found: Found, axis: int | None = None, name: str | None = None) -> tuple[Scan, Noise]:
    """Read and check a scan, and look at its noise.

    Parameters
    ----------
    found : Found
        Where it is.
    axis : int, optional
        Array axis across the slices; None: chosen from the voxel sizes.
    name : str, optional
        Its name in messages; None: as it was found.

    Raises
    ------
    InputError
        If it can't be read or denoised.
    """
    scan = found.read()
    if name is not None:
        scan = replace(scan, name=name)
    check_scan(scan)
    return scan, diagnose(scan, axis)


def facts_or_problem(found: Found, axis: int | None = None) -> Facts:
    """Return what is known about one of several scans; of one that can't be denoised, the `problem`."""
    try:
        return Facts({**describe(*look_at(found, axis)), **of_series(found)})
    except InputError as error:
        return Facts(name=found.name, problem=str(error), **of_series(found))


def of_series(found: Found) -> dict[str, Any]:
    """Return what to name a DICOM series by, and what is odd about its geometry."""
    if found.series is None:
        return {}
    return {
        "series_uid": found.series.header.series_uid,
        "files": len(found.series.sources),
        "notices": list(found.series.layout.notices),
    }


def model_facts(folder: Path) -> dict[str, Any]:
    """Return what is known about a trained model, for JSON: its record and settings.

    Parameters
    ----------
    folder : path
        Model folder.

    Raises
    ------
    ModelError
        If its training has not finished, or it is damaged.
    """
    # Imported here: scans are described without it.
    from diffdenoise.model.folder import check_model_folder, read_record, read_settings

    check_model_folder(folder)
    record, settings = read_record(folder), read_settings(folder)
    noise = record.noise.model()
    return {
        "model": str(folder),
        "noise_percent_of_range": 100 * noise.typical_std,
        "noise_correlation_px": list(noise.correlation.width_px),
        "record": record.as_dict(),
        "settings": settings.model_dump(mode="json"),
    }


def describe(scan: Scan, noise: Noise) -> dict[str, Any]:
    """Return what is known about a scan, for JSON.

    Parameters
    ----------
    scan : Scan
        Any scan that can be denoised.
    noise : Noise
        Of that scan.
    """
    found, axis, regions = noise.diagnosis, noise.axis, noise.ready.regions
    counts = regions.counts
    # Of what the range is told by: without values that noise was cut off at.
    low, middle, high = regions.measurable_counts.percentiles((LOW_PERCENT, 50, HIGH_PERCENT))
    return {
        "name": scan.name,
        "format": scan.format,
        "shape": list(scan.shape),
        "spacing_mm": None if scan.spacing_mm is None else [round(side, 6) for side in scan.spacing_mm],
        "orientation": _orientation(scan),
        "slice_axis": axis,
        "slices": 1 if axis is None else scan.shape[axis],
        "dtype": str(scan.stored_dtype),
        "intensities": {
            "min": float(counts.values[0]),
            "percentile_0.5": low,
            "median": middle,
            "percentile_99.5": high,
            "max": float(counts.values[-1]),
            "range": noise.range,
        },
        "no_data_percent": 100 * regions.share,
        "noise_std": noise.std,
        "noise_percent_of_range": noise.percent,
        "noise_correlation_px": None if noise.std is None else list(found.correlation.width_px),
        "noise_shape": None if noise.std is None else in_words(found.correlation),
        "noise": None if noise.std is None else found.as_dict(),
        "noise_map": _noise_map(noise),
        "already_clean": found.is_clean(Settings().clean_below_contrast),
    }


def _noise_map(noise: Noise) -> dict[str, Any] | None:
    """Return how the noise's level varies from place to place, in few words; None: it doesn't."""
    place = noise.model.place
    if place is None:
        return None
    contrast = place.contrast()
    return {
        "least": round(place.least, 3),
        "most": round(place.most, 3),
        "times": round(contrast.times, 2),
        "strong": contrast.strong,
        "weak": contrast.weak,
    }


def _orientation(scan: Scan) -> str | None:
    """Return the directions that the array axes run to, such as RAS; None without geometry."""
    if scan.affine is None:
        return None
    from nibabel.orientations import aff2axcodes

    return "".join(code or "?" for code in aff2axcodes(scan.affine))  # type: ignore[no-untyped-call]

"""Images that go together in a Python call, denoised: each at once, or after learning from them all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from diffdenoise.config import Settings
from diffdenoise.images import Image, warn
from diffdenoise.noise.statement import diagnose
from diffdenoise.types import Progress
from diffdenoise.work.learn import at_once, learn, left_as_they_are
from diffdenoise.work.result import Result


def each_at_once(
    group: Sequence[Image],
    settings: Settings,
    strength: float,
    axis: int | None,
    device: str,
    threads: int | None,
    progress: Progress,
    _: float,
    weights: str | None = None,
) -> list[Result]:
    """Denoise scans with the package's weights: those of a name, or those that fit each one's noise."""
    found = []
    for scan in (image.scan for image in group):
        noise = diagnose(scan, axis if scan.ndim > 2 else None)
        found.append(
            at_once(
                scan,
                noise,
                settings,
                weights=weights,
                device=device,
                threads=threads,
                strength=strength,
                progress=progress,
            )
        )
        _warn_of(found[-1])
    return found


def _warn_of(result: Result) -> None:
    """Warn of what somebody who takes the values alone would not learn."""
    for notice in result.record["notices"]:
        warn(f"{result.name}: {notice}")
    if result.record["already_clean"]:
        warn(
            f"{result.name}: is already clean, and was left as it is; to denoise all the same, "
            "set clean_below_contrast to 0"
        )


def learned_together(
    group: Sequence[Image],
    settings: Settings,
    strength: float,
    axis: int | None,
    device: str,
    threads: int | None,
    progress: Progress,
    began: float,
) -> list[Result]:
    """Train on scans alone, and denoise them; leave them as they are if they are clean."""
    scans = [image.scan for image in group]
    noises = [diagnose(scan, axis if scan.ndim > 2 else None) for scan in scans]
    unchanged = left_as_they_are(scans, noises, settings, began)
    if unchanged is not None:
        for result in unchanged:
            _warn_of(result)
        return unchanged
    with tempfile.TemporaryDirectory(prefix="diffdenoise-") as folder:
        found = list(
            learn(
                scans,
                noises,
                settings,
                Path(folder) / "model",
                resume=False,
                device=device,
                threads=threads,
                strength=strength,
                progress=progress,
                began=began,
            )
        )
    for result in found:
        _warn_of(result)
    return found

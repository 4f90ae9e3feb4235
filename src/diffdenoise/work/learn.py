"""From noisy scans to results: by a trained model, or by learning from the scans themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffdenoise.errors import option
from diffdenoise.model.again import Again
from diffdenoise.noise.statement import Noise
from diffdenoise.plan import already_clean, heard, make_plan
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Progress
from diffdenoise.work.finish import finish
from diffdenoise.work.result import Result

if TYPE_CHECKING:
    from diffdenoise.config import Settings
    from diffdenoise.model import Model


def _cannot_tell() -> str:
    """Why a scan is left as it is that nothing was learned from."""
    return (
        "left as it is: how strong the noise is cannot be told from anatomy; "
        f"{option('minutes', '5', python='minutes=5')} learns from the scan, for which no level is needed; "
        f"or give {option('noise-std', python='noise_std')} if you know it"
    )


def apply_model(
    model: Model,
    scan: Scan,
    noise: Noise,
    *,
    strength: float,
    force: bool,
    progress: Progress,
) -> Result:
    """Denoise one scan with a trained model.

    Parameters
    ----------
    model : Model
        Trained on scans like it.
    scan, noise
        The scan, and what is known of its noise.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    force : bool
        Denoise a scan that isn't like those that the model was trained on, too.
    progress : Progress
        Told about each slice.

    Raises
    ------
    ModelError
        If the model doesn't fit the scan.
    """
    began = time.monotonic()
    done = model.denoise_scan(scan, noise, progress=progress, force=force)
    return finish(
        scan,
        done.scan,
        noise=noise,
        doubts=done.doubts,
        seconds=time.monotonic() - began,
        strength=strength,
        training=model.record,
        again=Again(model, noise, own=False, strength=strength),
    )


def at_once(
    scan: Scan,
    noise: Noise,
    settings: Settings,
    *,
    weights: str | None = None,
    device: str,
    threads: int | None,
    strength: float,
    progress: Progress,
) -> Result:
    """Denoise one scan with the weights that come with the package, set for its noise.

    Parameters
    ----------
    scan, noise
        The scan, and what is known of its noise.
    settings : Settings
        Level, slices and limits; nothing of a training.
    weights : str, optional
        Name of those to take; None: those that fit the noise.
    device, threads
        See `choose_device`.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    progress : Progress
        Told about each slice.

    Raises
    ------
    InputError
        If it can't be denoised.
    ModelError
        If weights for magnitudes are asked for, and it holds none.
    DeviceError
        If the device is absent.
    """
    from diffdenoise.model.instant import check_weights, instant_model

    began = time.monotonic()
    check_weights(weights, noise)
    unchanged = left_as_they_are([scan], [noise], settings, began)
    if unchanged is not None:
        return unchanged[0]
    plan = make_plan([scan], settings, [noise])
    if plan.contradiction is not None:
        progress.say(plan.contradiction.in_words())
    if plan.is_blind:
        why = _cannot_tell()
        progress.say(why)
        seconds = time.monotonic() - began
        return finish(scan, scan, noise=noise, seconds=seconds, strength=0.0, doubts=[why])
    model = instant_model(plan, device, threads, weights)
    done = model.denoise_scan(scan, noise, progress=progress, own=True)
    return finish(
        scan,
        done.scan,
        noise=noise,
        doubts=done.doubts,
        seconds=time.monotonic() - began,
        strength=strength,
        told_std=plan.settings.noise_std,
        contradiction=plan.contradiction,
        training=model.record,
        again=Again(model, noise, own=True, strength=strength),
    )


def learn(
    scans: Sequence[Scan],
    noises: Sequence[Noise],
    settings: Settings,
    folder: Path,
    *,
    resume: bool,
    device: str,
    threads: int | None,
    strength: float,
    progress: Progress,
    began: float,
) -> Iterator[Result]:
    """Train on scans alone, then denoise them one by one.

    Parameters
    ----------
    scans, noises
        The data set, and what is known of each scan's noise.
    settings : Settings
        What to train, and for how long.
    folder : path
        Becomes the model folder.
    resume : bool
        Go on with the unfinished run in it.
    device, threads
        See `method.train`.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    progress : Progress
        Told about stages, steps and slices.
    began : float
        When the time budget began to run, by `time.monotonic`.

    Raises
    ------
    DiffDenoiseError
        If scans, settings, folder or device don't fit.
    """
    # Imported here: torch takes seconds to load, and most mistakes show before it is needed.
    from diffdenoise.method import train as method

    trained = method.train(
        scans,
        settings,
        folder,
        noises=noises,
        resume=resume,
        device=device,
        threads=threads,
        progress=progress,
        spent_s=time.monotonic() - began,
    )
    settings, against = heard(settings, noises)
    for scan, noise in zip(scans, noises, strict=True):
        done = trained.denoise_scan(scan, noise, progress=progress, own=True)
        doubts, kept = list(done.doubts), strength
        if doubts and noise.diagnosis.is_upper_bound and settings.noise_std is None:
            # Nothing that the noise allows for can be had without its level.
            doubts, kept = [f"left as it is: {'; '.join(doubts)}"], 0.0
            progress.say(doubts[0])
        yield finish(
            scan,
            done.scan,
            noise=noise,
            doubts=doubts,
            seconds=time.monotonic() - began,
            strength=kept,
            told_std=settings.noise_std,
            contradiction=against,
            training=trained.record,
            again=Again(trained, noise, own=True, strength=kept),
        )


def left_as_they_are(
    scans: Sequence[Scan], noises: Sequence[Noise], settings: Settings, began: float
) -> list[Result] | None:
    """Return scans that are already clean as results, unchanged; None if there is noise to take off.

    Parameters
    ----------
    scans, noises, settings, began
        See `learn`.
    """
    if not already_clean(noises, settings):
        return None
    _, against = heard(settings, noises)
    found: list[Result] = []
    for scan, noise in zip(scans, noises, strict=True):
        seconds = time.monotonic() - began
        found.append(
            finish(scan, scan, noise=noise, seconds=seconds, already_clean=True, contradiction=against)
        )
    return found

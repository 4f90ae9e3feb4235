"""A scan denoised at once: the weights that come with the package, set for its noise."""

from __future__ import annotations

import hashlib
from pathlib import Path

from diffdenoise.config import STAGES
from diffdenoise.model.backends import choose_device
from diffdenoise.model.record import ModelRecord
from diffdenoise.model.trained import Model
from diffdenoise.networks.known_noise import MAGNITUDE, STUDENT, start_student
from diffdenoise.networks.shipped import read_shipped
from diffdenoise.plan import Plan

#: What stands for a folder in messages.
_NAME = Path("the weights that come with the package")
#: Pixels that may be computed for one result; as many turned copies are averaged as fit. A core does about
#: half a million a second.
_MOST_PIXELS, _MOST_PIXELS_OF_AXES = 2_000_000, 24_000_000


def instant_model(plan: Plan, device: str = "auto", threads: int | None = None) -> Model:
    """Return a denoiser for one scan that has learned nothing from it.

    Parameters
    ----------
    plan : Plan
        The scan, and what is known of its noise.
    device : {"auto", "cpu", "cuda"}
        Where it is to run.
    threads : int, optional
        CPU threads.

    Raises
    ------
    DeviceError
        If the device is absent.
    """
    weights = start_student(plan.known)
    record = {
        "neighbours": plan.neighbours,
        "orientations": _orientations(plan),
        "axes": _axes(plan),
        "level": plan.domain.level,
        "rician_std": plan.rician_std,
        "coils": plan.diagnosis.coils,
        "noise": plan.noise.as_dict(),
        "kept": "start",
        "kept_share": 0.0,
        "synthetic_start": list(STAGES[-1:]),
    }
    details = ModelRecord.of_plain(record)
    return Model(_NAME, plan.settings, details, weights, choose_device(device, threads), threads)


def start_digest() -> str:
    """SHA-256 of the student's weights that come with the package, of both kinds."""
    return hashlib.sha256(read_shipped(STUDENT) + read_shipped(MAGNITUDE)).hexdigest()


def _axes(plan: Plan) -> int:
    """Axes that a volume is cut along: three are worth more than turned copies, and so much more time."""
    return plan.most_axes if 3 * _pixels(plan) <= _MOST_PIXELS_OF_AXES else 1


def _pixels(plan: Plan) -> int:
    return sum(count * height * width for count, height, width in (one.shape for one in plan.volumes))


def _orientations(plan: Plan) -> int:
    """How many turned copies are averaged: those that are asked for, or that small scans have time for."""
    if plan.settings.stage3.orientations is not None:
        return plan.settings.stage3.orientations
    pixels = _axes(plan) * _pixels(plan)
    most = len(plan.noise.correlation.alike_turns())
    return next((count for count in (8, 4, 2) if count <= most and count * pixels <= _MOST_PIXELS), 1)

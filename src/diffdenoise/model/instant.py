"""A scan denoised at once: the weights that come with the package, set for its noise."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from diffdenoise.config import STAGES
from diffdenoise.errors import ModelError
from diffdenoise.model.backends import choose_device
from diffdenoise.model.named import GENERAL, MAGNITUDES, name_for
from diffdenoise.model.record import ModelRecord
from diffdenoise.model.trained import Model
from diffdenoise.networks.known_noise import MAGNITUDE, STUDENT, Known, start_student
from diffdenoise.networks.shipped import read_shipped
from diffdenoise.noise.statement import Noise
from diffdenoise.plan import Plan

#: What stands for a folder in messages.
_NAME = Path("the weights that come with the package")
#: Pixels that may be computed for one result; as many turned copies are averaged as fit. A core does about
#: half a million a second.
_MOST_PIXELS, _MOST_PIXELS_OF_AXES = 2_000_000, 24_000_000


def instant_model(
    plan: Plan, device: str = "auto", threads: int | None = None, weights: str | None = None
) -> Model:
    """Return a denoiser for one scan that has learned nothing from it.

    Parameters
    ----------
    plan : Plan
        The scan, and what is known of its noise.
    device : {"auto", "cpu", "cuda"}
        Where it is to run.
    threads : int, optional
        CPU threads.
    weights : str, optional
        One of `named.NAMES`; None: those that fit the noise.

    Raises
    ------
    DeviceError
        If the device is absent.
    """
    known = plan.known if weights is None else _told_to(weights, plan)
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
        "weights": name_for(known),
        "synthetic_start": list(STAGES[-1:]),
    }
    details = ModelRecord.of_plain(record)
    own = start_student(known)
    return Model(_NAME, plan.settings, details, own, choose_device(device, threads), threads)


def check_weights(weights: str | None, noise: Noise) -> None:
    """Raise `ModelError` if weights for magnitudes are asked for, and a scan can hold none."""
    if weights == MAGNITUDES and not noise.ready.regions.seen.least >= 0:
        raise ModelError(
            f"{weights}: these weights are for magnitudes, which are never below zero, as this scan's values "
            f"are; take {GENERAL}"
        )


def _told_to(weights: str, plan: Plan) -> Known:
    """What weights of a name are told of a scan's noise, also where the others would fit it better."""
    if weights == GENERAL:
        return replace(plan.known, zero=None)
    if plan.known.zero is not None:
        return plan.known
    zero = plan.domain.enter(np.array([plan.zeros[0]], np.float32))
    return replace(plan.known, zero=float(zero[0]))


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

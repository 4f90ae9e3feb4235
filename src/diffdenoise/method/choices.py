"""What a scan and its noise decide: rates, strengths, targets, and each stage's part of the time."""

from __future__ import annotations

from typing import Literal

from diffdenoise.config import Settings
from diffdenoise.plan import Plan
from diffdenoise.training.clock import Clock

#: Peak learning rates of a student that knows the kind of noise from synthetic pictures, and of others.
RATE_SYNTHETIC, RATE_RANDOM = 1e-3, 2e-3
#: Recorruption strengths where the noise has one level, and where it varies with brightness.
_ALPHA_SURE, _ALPHA_UNSURE = 0.5, 1.0
#: Largest shares that are kept of what refinement changes in synthetic weights, where the noise's level
#: varies with brightness and recorruption only approximates it, for Rician noise and for other. No risk
#: tells: what such noise has that isn't stated, a network predicts as it does anatomy.
_RICIAN_SHARE, _VARYING_SHARE = 0.75, 0.5
#: Passes over a scan's pixels at most in refinement, and steps that it may take all the same.
_MOST_PASSES, _FEWEST_STEPS = 15, 200
#: Parts of the time budget; the second where the early stages can add less: under noise that is wider than
#: a blind spot of 3 pixels hides, and where the student begins with weights that know noise already. Each
#: round of stages 2 and 3 takes an equal share of what stage 1 leaves.
PARTS = {"blind-spot": 0.12, "diffusion": 0.08, "targets": 0.03, "student": 0.07, "refine": 0.70}
PARTS_SHORT = {"blind-spot": 0.06, "diffusion": 0.04, "targets": 0.02, "student": 0.03, "refine": 0.85}
#: Blind spot in pixels from which on noise counts as wide.
WIDE_FROM = 5
#: Part of the budget kept for denoising and writing.
RESERVE = 0.04
#: What comes after denoising, as a share of one pass: the result is held against the scan, and written.
AFTERWARDS = 0.15
#: Part of the budget that averaging over orientations may take.
_INFERENCE_SHARE = 1 / 7
#: Part that slices along all three axes may take, which are worth more.
_AXES_SHARE = 1 / 3


def student_rate(plan: Plan) -> float:
    """Return the peak learning rate of the student."""
    settings = plan.settings
    if settings.stage3.learning_rate is not None:
        return settings.stage3.learning_rate
    knows = settings.starts_synthetic("stage3") and plan.blind_spot < WIDE_FROM
    return RATE_SYNTHETIC if knows else RATE_RANDOM


def alpha(plan: Plan) -> float:
    """Return the strength of the recorruption.

    With a noise level s in place of the true n, a share (n^2 - s^2) / (n^2 + alpha^2 s^2) of the
    noise is kept (or overdone): a larger alpha forgives more, a smaller one adds less noise.
    """
    if plan.settings.stage3.alpha is not None:
        return plan.settings.stage3.alpha
    return _ALPHA_SURE if plan.noise.is_constant else _ALPHA_UNSURE


def target_kind(settings: Settings, round_number: int) -> Literal["srds", "fusion", "corrected"]:
    """Return the kind of target in a round.

    A later round's condition has already used the noisy pixel, which must not count twice.
    """
    return settings.stage3.target if round_number == 1 else "srds"


def refined_share(plan: Plan) -> float:
    """Return the largest share that is kept of what refinement changes in the weights."""
    if plan.noise.is_constant or not plan.settings.starts_synthetic("stage3"):
        return 1.0
    return _VARYING_SHARE if plan.domain.zero is None else _RICIAN_SHARE


def most_steps(plan: Plan) -> int | None:
    """Return the steps of refinement at most; None: as many as there is time for.

    A network that passes over few slices again and again ends up knowing their noise, and what the stated
    noise lacks of it. One that begins with random weights needs the steps all the same.
    """
    if not plan.settings.starts_synthetic("stage3"):
        return None
    pixels = sum(count * height * width for count, height, width in (one.shape for one in plan.volumes))
    data = plan.settings.data
    a_step = max(1, data.batch // 2) * data.patch**2
    return max(_FEWEST_STEPS, _MOST_PASSES * pixels // a_step)


def parts_of(plan: Plan) -> dict[str, float]:
    """Return the stages of a round and the blind-spot network, in order, each with its part of the time."""
    settings = plan.settings
    short = plan.blind_spot >= WIDE_FROM or settings.starts_synthetic("stage3")
    parts = dict(PARTS_SHORT if short else PARTS)
    refine = parts.pop("refine")
    if settings.stage3.refine:
        parts["refine"] = refine
    return parts


def seconds_for(stage: str, round_number: int, plan: Plan, clock: Clock) -> float:
    """Return the seconds that a stage gets: its part of what is left for it and all after it."""
    parts = parts_of(plan)
    names = list(parts)
    if stage == "blind-spot":
        rounds = 0
        later = sum(parts.values())
    else:
        rounds = plan.settings.iterations - round_number
        a_round = sum(parts[name] for name in names[1:])
        later = sum(parts[name] for name in names[names.index(stage) :]) + rounds * a_round
    return clock.share(parts[stage], later)


def affordable_axes(budget_s: float, inference_s: float, most: int) -> int:
    """Return along how many axes volumes are to be cut; parameters as of `affordable_orientations`."""
    return most if not budget_s or most * inference_s <= _AXES_SHARE * budget_s else 1


def affordable_orientations(budget_s: float, inference_s: float, most: int = 8) -> int:
    """Return how many turned copies a result can be averaged over; 0 seconds of budget: all.

    Parameters
    ----------
    budget_s : float
        Of the whole run.
    inference_s : float
        To denoise everything once.
    most : int
        Copies at most: those of which the noise is like the scan's.
    """
    affordable = _INFERENCE_SHARE * budget_s
    counts = [count for count in (8, 4, 2) if count <= most]
    return next((count for count in counts if not budget_s or inference_s * count <= affordable), 1)

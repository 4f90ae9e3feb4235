"""How a time budget is shared out among the stages, and how much of it denoising may take."""

from __future__ import annotations

from diffdenoise.plan import Plan
from diffdenoise.training.clock import Clock

#: Parts of the time budget; the second where the early stages can add less: under noise that is wider than
#: a blind spot of 3 pixels hides, and where the student begins with weights that know noise already. Each
#: round of stages 2 and 3 takes an equal share of what stage 1 leaves.
PARTS = {"blind-spot": 0.12, "diffusion": 0.08, "targets": 0.03, "student": 0.07, "refine": 0.70}
PARTS_SHORT = {"blind-spot": 0.06, "diffusion": 0.04, "targets": 0.02, "student": 0.03, "refine": 0.85}
#: Share of the refinement's part that self-training gets, where there is any.
SELF_TRAINING = 0.5
#: Blind spot in pixels from which on noise counts as wide.
WIDE_FROM = 5
#: Part of the budget kept for denoising and writing.
RESERVE = 0.04
#: Part of the budget that averaging over orientations may take.
_INFERENCE_SHARE = 1 / 7


def parts_of(plan: Plan) -> dict[str, float]:
    """Return the stages of a round and the blind-spot network, in order, each with its part of the time."""
    settings = plan.settings
    short = plan.blind_spot >= WIDE_FROM or settings.starts_synthetic("stage3")
    parts = dict(PARTS_SHORT if short else PARTS)
    refine = parts.pop("refine")
    if plan.self_trains:
        parts |= {"refine": refine * (1 - SELF_TRAINING), "self-training": refine * SELF_TRAINING}
    elif settings.stage3.refine:
        parts["refine"] = refine
    return parts


def seconds_for(stage: str, turn: int, plan: Plan, clock: Clock) -> float:
    """Return the seconds that a stage gets: its part of what is left for it and all after it."""
    parts = parts_of(plan)
    names = list(parts)
    if stage == "blind-spot":
        rounds = 0
        later = sum(parts.values())
    else:
        rounds = plan.settings.iterations - turn
        a_round = sum(parts[name] for name in names[1:])
        later = sum(parts[name] for name in names[names.index(stage) :]) + rounds * a_round
    return clock.share(parts[stage], later)


def affordable_orientations(budget_s: float, inference_s: float) -> int:
    """Return how many turned copies a result can be averaged over; 0 seconds of budget: all.

    Parameters
    ----------
    budget_s : float
        Of the whole run.
    inference_s : float
        To denoise everything once.
    """
    affordable = _INFERENCE_SHARE * budget_s
    return next((count for count in (8, 4) if not budget_s or inference_s * count <= affordable), 1)

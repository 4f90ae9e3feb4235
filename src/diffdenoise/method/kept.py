"""How much is kept of what training changed in the student that it began with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from diffdenoise.method import choices, student
from diffdenoise.method.compare import ALPHA, Estimator, blind_risks, risks
from diffdenoise.method.networks import new_student
from diffdenoise.method.recorruption import Recorruption
from diffdenoise.method.windows import (
    AROUND,
    COMPARED_SIDE,
    HELD_OUT,
    HELD_OUT_SIDE,
    Sample,
    held_out_samples,
    samples,
    target_order,
)
from diffdenoise.model.known import LEAST_STD
from diffdenoise.networks.start import load_student
from diffdenoise.plan import Plan
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.held_out import Place
from diffdenoise.training.slices import Slices
from diffdenoise.trust.result_check import check_result

#: Shares that are tried, of the largest. Means of weights before and after fine-tuning forgive more (Wortsman
#: et al. 2022, "Robust fine-tuning of zero-shot models").
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Draws of the recorruption in windows of so many pixels a side at most, where one says less.
_DRAWS, _SMALL = 3, 48
#: Slices by which what is taken off is held against the noise.
_LOOKED_AT = 4
#: Pixels that networks pass over in all: every window twice by each, and for the risk without a level.
PIXELS = (2 * len(SHARES) + 2) * HELD_OUT * (HELD_OUT_SIDE + 2 * AROUND) ** 2 + _LOOKED_AT * COMPARED_SIDE**2


@dataclass(frozen=True)
class Kept:
    """A student, and what it is.

    Attributes
    ----------
    network : Module
        To be delivered.
    share : float
        Share of what training changed in the weights that it began with; 0: it is these.
    """

    network: nn.Module
    share: float


def is_judged(plan: Plan) -> bool:
    """Whether a training may turn out to be worth less than the weights that it begins with."""
    # Told to distil and no more, as in the paper, the student is what that gives.
    return plan.settings.starts_synthetic("stage3") and plan.settings.stage3.refine


def what_is_kept(
    plan: Plan,
    slices: Slices,
    held_out: Sequence[Place],
    trained: nn.Module,
    hardware: Hardware,
    say: Callable[[str], None],
) -> Kept:
    """Return the mean of trained and starting weights that denoises windows best that nothing learned from.

    A training that was too short, too long for few slices, or told a wrong level, may end behind the weights
    that it began with. The unbiased risk where nothing was learned tells the first two, if the noise is what
    the scan shows. The third shows in what is taken off: if that isn't like the scan's noise, the error at
    hidden pixels decides, for which no level is needed.

    Parameters
    ----------
    plan : Plan
        What was trained on what.
    slices : Slices
        The scans.
    held_out : sequence of Place
        Windows of these that nothing was learned from; none of tiny ones, which are judged as a whole.
    trained : Module
        The student after training.
    hardware : Hardware
        Where it runs.
    say : callable
        Told what isn't kept, and why.
    """
    if not is_judged(plan):
        return Kept(trained, 1.0)
    settings = plan.settings
    start = new_student(plan, hardware)
    load_student(start, plan.known)
    shares = [share * choices.refined_share(plan) for share in SHARES]
    networks = [_mean(plan, hardware, start, trained, share) for share in shares]
    order = target_order(slices, settings.data.patch, settings.seed)[:_LOOKED_AT]
    looked_at = list(samples(slices, order, COMPARED_SIDE, settings.seed, hardware.device))
    judged = list(held_out_samples(slices, held_out, hardware.device)) or looked_at
    shown = plan.diagnosis.noise.raised_to(LEAST_STD)
    skewed = plan.diagnosis.is_skewed
    recorruption = Recorruption(plan.domain, shown, ALPHA, hardware.device, skewed=skewed)
    estimators = [_estimator(one, hardware) for one in networks]
    draws = _DRAWS if held_out and held_out[0].window.width <= _SMALL else 1
    best = int(risks(judged, estimators, recorruption, settings.seed, draws).mean(0).argmin())
    if not shares[best]:
        say("training did not get beyond the weights that it began with: these are kept")
        return Kept(start, 0.0)
    both = (_estimator(networks[best], hardware), _estimator(start, hardware))
    doubts = _doubts(looked_at, both[0], plan)
    if doubts:
        blind = blind_risks(judged, both, plan.domain.level, plan.blind_spot, settings.seed)
        if blind[1] < blind[0]:
            say(f"the trained network is not kept: {'; '.join(doubts)}")
            return Kept(start, 0.0)
    return Kept(networks[best], shares[best])


def _mean(plan: Plan, hardware: Hardware, start: nn.Module, trained: nn.Module, share: float) -> nn.Module:
    """A student of weights between those of two others."""
    found = new_student(plan, hardware)
    with torch.no_grad():
        for own, first, second in zip(
            found.parameters(), start.parameters(), trained.parameters(), strict=True
        ):
            own.copy_(first.lerp(second, share))
    return found


def _estimator(network: nn.Module, hardware: Hardware) -> Estimator:
    def estimate(noisy: Tensor, _: int, level: float) -> Tensor:
        with hardware.autocast():
            return student.denoise(network, noisy, level)

    return estimate


@torch.no_grad()
def _doubts(judged: Sequence[Sample], estimate: Estimator, plan: Plan) -> list[str]:
    """What is wrong with what a network takes off."""
    noisy, denoised = [], []
    for sample in judged:
        before = sample.noisy[:, 0]
        if sample.known is not None:
            before = torch.where(sample.known[:, 0] > 0, before, torch.nan)
        noisy.append(before.cpu().numpy())
        output = estimate(sample.noisy, sample.number, plan.domain.level)
        denoised.append(output[:, 0].float().cpu().numpy())
    found = check_result(noisy, denoised, replace(plan.diagnosis, noise=plan.shown))
    return [] if found is None else found.doubts

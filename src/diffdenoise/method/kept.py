"""Whether the trained student is kept, or the one that training began with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from diffdenoise.method import student
from diffdenoise.method.compare import ALPHA, Estimator, blind_risks, risks
from diffdenoise.method.networks import new_student
from diffdenoise.method.recorruption import Recorruption
from diffdenoise.method.windows import COMPARED_SIDE, Sample, samples, target_order
from diffdenoise.model.known import LEAST_STD
from diffdenoise.networks.start import load_student
from diffdenoise.plan import Plan
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.slices import Slices
from diffdenoise.trust.result_check import check_result

#: Slices that the two are compared on.
_JUDGED = 4
#: How often a network passes over so large a slice, where all is asked: twice by two risks each, and for what
#: is taken off.
PASSES = 5 * _JUDGED


def better_start(
    plan: Plan, slices: Slices, trained: nn.Module, hardware: Hardware, say: Callable[[str], None]
) -> nn.Module | None:
    """Return the student that training began with, if the trained one is no better than that.

    A training that was too short, or was told a wrong level, may end behind the weights that it began
    with. The unbiased risk tells the first, if the noise is what the scan shows. The second shows in what
    is taken off: if that isn't like the scan's noise, the error at hidden pixels decides, for which no
    level is needed.

    Parameters
    ----------
    plan : Plan
        What was trained on what.
    slices : Slices
        The scans.
    trained : Module
        The student after training.
    hardware : Hardware
        Where it runs.
    say : callable
        Told why the trained student is not kept.

    Returns
    -------
    Module or None
        None: the trained one is kept.
    """
    settings = plan.settings
    # Told to distil and no more, as in the paper, the student is what that gives.
    if not (settings.starts_synthetic("stage3") and settings.stage3.refine):
        return None
    start = new_student(plan, hardware)
    load_student(start, plan.known)
    order = target_order(slices, settings.data.patch, settings.seed)[:_JUDGED]
    judged = list(samples(slices, order, COMPARED_SIDE, settings.seed, hardware.device))
    both = (_estimator(trained, hardware), _estimator(start, hardware))
    shown = plan.diagnosis.noise.raised_to(LEAST_STD)
    skewed = plan.diagnosis.is_skewed
    recorruption = Recorruption(plan.domain, shown, ALPHA, hardware.device, skewed=skewed)
    of_trained, of_start = risks(judged, both, recorruption, settings.seed)
    if of_start <= of_trained:
        say("training did not get beyond the weights that it began with: these are kept")
        return start
    doubts = _doubts(judged, both[0], plan)
    if not doubts:
        return None
    of_trained, of_start = blind_risks(judged, both, plan.domain.level, plan.blind_spot, settings.seed)
    if of_start >= of_trained:
        return None
    say(f"the trained network is not kept: {'; '.join(doubts)}")
    return start


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

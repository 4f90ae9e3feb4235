"""Whether the trained student is kept, or the one that training began with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from diffdenoise.method import student
from diffdenoise.method.compare import Estimator, blind_risks, risks
from diffdenoise.method.networks import new_student
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.method.windows import COMPARED_SIDE, Sample, samples, target_order
from diffdenoise.networks.start import load_start
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
    load_start(start, "student")
    order = target_order(slices, settings.data.patch, settings.seed)[:_JUDGED]
    judged = list(samples(slices, order, COMPARED_SIDE, settings.seed, hardware.device))
    both = (_estimator(trained, hardware), _estimator(start, hardware))
    shown = NoiseDraws(plan.diagnosis.noise, hardware.device)
    of_trained, of_start = risks(judged, both, shown, settings.seed)
    if of_start <= of_trained:
        say("training did not get beyond the weights that it began with: these are kept")
        return start
    doubts = _doubts(judged, both[0], plan)
    if not doubts:
        return None
    of_trained, of_start = blind_risks(judged, both, plan.blind_spot, settings.seed)
    if of_start >= of_trained:
        return None
    say(f"the trained network is not kept: {'; '.join(doubts)}")
    return start


def _estimator(network: nn.Module, hardware: Hardware) -> Estimator:
    def estimate(noisy: Tensor, _: int) -> Tensor:
        with hardware.autocast():
            return student.denoise(network, noisy)

    return estimate


@torch.no_grad()
def _doubts(judged: Sequence[Sample], estimate: Estimator, plan: Plan) -> list[str]:
    """What is wrong with what a network takes off."""
    noisy, denoised, factors = [], [], []
    for sample in judged:
        before = sample.noisy[:, 0]
        if sample.known is not None:
            before = torch.where(sample.known[:, 0] > 0, before, torch.nan)
        noisy.append(before.cpu().numpy())
        denoised.append(estimate(sample.noisy, sample.number)[:, 0].float().cpu().numpy())
        if sample.factor is not None:
            factors.append(sample.factor[:, 0].cpu().numpy())
    found = check_result(noisy, denoised, plan.diagnosis, factors or None)
    return [] if found is None else found.doubts

"""The loss of one training step in each stage, as a function of the step's number alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffdenoise.config import Settings
from diffdenoise.stages import blind_spot, diffusion, distil
from diffdenoise.training.fit import LossOf
from diffdenoise.training.noise_draws import NoiseDraws
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Batch, Slices, Target

#: condition_of(noisy) -> condition, (batch, 1, height, width).
ConditionOf = Callable[[Tensor], Tensor]

#: Smallest and largest share of pixels replaced in a filled patch of stage 1.
FILLED_SHARE = (0.05, 0.40)


@dataclass(frozen=True)
class StepData:
    """What every step draws from."""

    slices: Slices
    settings: Settings
    device: torch.device

    def patches(
        self,
        step_generator: torch.Generator,
        targets: dict[int, Target] | None = None,
        count: int | None = None,
    ) -> Batch:
        """One batch of patches on the device, or `count` patches."""
        data = self.settings.data
        batch = self.slices.patches(step_generator, count or data.batch, data.patch, targets)
        noisy = batch.noisy.to(self.device, memory_format=torch.channels_last)
        target, known = (None if one is None else one.to(self.device) for one in (batch.target, batch.known))
        return Batch(noisy, target, batch.turns, known)


def mean_of_known(values: Tensor, known: Tensor | None) -> Tensor:
    """Mean of values (batch, 1, height, width) where there is data."""
    if known is None:
        return values.mean()
    return (known * values).sum() / known.sum().clamp_min(1)


def _twice(known: Tensor | None) -> Tensor | None:
    """Of a batch, that of the batch and its copy."""
    return None if known is None else torch.cat([known, known])


def with_centre(noisy: Tensor, centre: Tensor) -> Tensor:
    """Replace the slice itself and keep its neighbours, (batch, channels, height, width)."""
    return torch.cat([centre, noisy[:, 1:]], dim=1)


def blind_spot_loss(
    data: StepData, network: nn.Module, blind: int, noise_std: float, least_std: float
) -> LossOf:
    """Stage 1: likelihood of the noisy pixels; in filled patches, of the hidden ones alone.

    `noise_std` is the noise's typical level, `least_std` its lowest.

    A filled value is a mean of visible pixels, so it would tell the network about those.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, "blind-spot", step)
        noisy, _, _, known = data.patches(draws)
        centre = noisy[:, :1]
        filled = torch.rand(len(noisy), 1, 1, 1, generator=draws) < settings.stage1.filled_patches
        low, high = FILLED_SHARE
        share = (low + (high - low) * torch.rand(len(noisy), 1, 1, 1, generator=draws)) * filled
        mask = blind_spot.random_mask(centre, share, blind, draws)
        seen = with_centre(noisy, blind_spot.fill(centre, mask, blind))
        weight = torch.where(filled.to(mask.device), mask, True).float()
        if known is not None:
            weight = weight * known
        mean, variance = blind_spot.predict(network, seen, blind, least_std)
        return blind_spot.loss(mean, variance, centre, weight) / noise_std

    return loss_of


def diffusion_loss(
    data: StepData,
    network: nn.Module,
    condition_of: ConditionOf,
    blind: int,
    residual_std: float,
    purpose: str,
) -> LossOf:
    """Stage 2: denoising loss of the residual, on the pixels hidden from the condition.

    `condition_of` runs without gradient. Not jointly blind, all pixels count and none is hidden.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        noisy, _, _, known = data.patches(draws)
        centre = noisy[:, :1]
        if settings.stage2.jointly_blind:
            mask = blind_spot.random_mask(centre, settings.stage2.hidden_share, blind, draws)
            seen = with_centre(noisy, blind_spot.fill(centre, mask, blind))
            weight = mask.float()
        else:
            seen, weight = noisy, torch.ones_like(centre)
        if known is not None:
            weight = weight * known
        with torch.no_grad():
            condition = condition_of(seen)
        sigma = diffusion.draw_sigmas(len(noisy), residual_std, draws).to(data.device)
        noise = torch.randn(centre.shape, generator=draws).to(data.device)
        return diffusion.loss(
            network,
            centre - condition,
            noise,
            sigma,
            diffusion.context_of(condition, noisy),
            weight,
            residual_std,
        )

    return loss_of


def distillation_loss(
    data: StepData, student: nn.Module, targets: dict[int, Target], noise_std: float, purpose: str
) -> LossOf:
    """Stage 3: distance of the student's output to the teacher's, in units of the noise's variance."""
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        noisy, target, _, known = data.patches(generator(settings.seed, purpose, step), targets)
        if target is None:
            raise ValueError("distillation_loss: no targets were given")
        return mean_of_known((distil.denoise(student, noisy) - target).square(), known) / noise_std**2

    return loss_of


def self_training_loss(
    data: StepData,
    student: nn.Module,
    teacher: nn.Module,
    noise: NoiseDraws,
    purpose: str,
) -> LossOf:
    """Stage 3, last part: the student learns to take simulated noise off the teacher's results.

    `teacher` is the student as refinement left it, and stays as it is. Its result is a clean image whose
    noise is then known exactly, level by level, and drawn anew in each step, so that there is no noise in
    the target; what the teacher smoothed away is missing, which is why refinement comes first.

    Self-training on a denoiser's own results: Zhang et al. 2022, "IDR: Self-supervised image denoising via
    iterative data refinement".
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        half, _, turns, known = data.patches(draws, count=max(1, settings.data.batch // 2))
        with torch.no_grad():
            clean = distil.denoise(teacher, half)
        added = noise.draw(clean, draws, turns)
        if known is not None:
            # Where there is no data there is no noise: the constants stay what the student will meet there.
            clean, added = torch.where(known > 0, clean, half[:, :1]), known * added
        source = torch.cat([clean + added, clean - added])
        output = distil.denoise(student, with_centre(torch.cat([half, half]), source))
        errors = (output - torch.cat([clean, clean])) / noise.std(source)
        return mean_of_known(errors.square(), _twice(known))

    return loss_of


def refinement_loss(
    data: StepData,
    student: nn.Module,
    noise: NoiseDraws,
    alpha: float,
    purpose: str,
) -> LossOf:
    """Stage 3, after distillation: an unbiased risk on the noisy scan itself.

    Each patch is recorrupted twice, with a noise and its negative: in the gradient, most of what the
    added noise brings cancels, and what is left is that of Stein's risk estimate by symmetric
    differences, over a step as large as the noise.

    Errors count in units of the level at each place, so that where the noise is strong it doesn't drown
    what is to be learned where it is weak. That level is told by the source alone: the risk stays
    unbiased as long as the weight is independent of the target's noise.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, purpose, step)
        half, _, turns, known = data.patches(draws, count=max(1, settings.data.batch // 2))
        noisy = torch.cat([half, half])
        centre = noisy[:, :1]
        added = noise.draw(half[:, :1], draws, turns)
        if known is not None:
            added = known * added
        source, target = distil.recorrupt(centre, torch.cat([added, -added]), 1.0, alpha)
        output = distil.denoise(student, with_centre(noisy, source))
        return mean_of_known(((output - target) / noise.std(source)).square(), _twice(known))

    return loss_of

"""Stage 2 at work: estimates of whole slices from the diffusion model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from diffdenoise.config import Sampling
from diffdenoise.method import diffusion, posterior, sampler
from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.randomness import generator


class Teacher:
    """The diffusion model with its condition, as estimators of one slice at a time.

    Parameters
    ----------
    network : Module
        F of the diffusion model.
    condition_of : callable
        noisy (1, channels, height, width) to condition (1, 1, height, width).
    variance_of : callable
        noisy to the variance of each pixel given its surroundings, for the fusion.
    residual_std : float
        Std of noisy - condition in training.
    sampling : Sampling
        Pairs, nodes and noise levels.
    noise : NoiseDraws
        The scan's noise.
    noise_std : float
        Its typical level.
    draws : int
        Draws averaged for the recorruption-corrected mean.
    alpha : float
        Its strength: the added noise's std as a multiple of the scan's own.
    hardware : Hardware
        Device and precision.
    seed : int
        Seed of the starting noises, which depend on it and on the slice's number alone.
    """

    def __init__(
        self,
        network: nn.Module,
        condition_of: Callable[[Tensor], Tensor],
        variance_of: Callable[[Tensor], Tensor],
        *,
        residual_std: float,
        sampling: Sampling,
        noise: NoiseDraws,
        noise_std: float,
        draws: int,
        alpha: float,
        hardware: Hardware,
        seed: int,
    ) -> None:
        self._network = network
        self._condition_of = condition_of
        self._variance_of = variance_of
        self._residual_std = residual_std
        self._sampling = sampling
        self._noise = noise
        self._noise_std = noise_std
        self._draws = draws
        self._alpha = alpha
        self._hardware = hardware
        self._seed = seed
        self._sigmas = sampler.sigma_grid(
            sampling.nodes,
            sampling.sigma_min * residual_std,
            sampling.sigma_max * residual_std,
            residual_std,
        )

    @torch.no_grad()
    def condition(self, noisy: Tensor) -> Tensor:
        """The condition alone (in the first round: the blind-spot network's output)."""
        with self._hardware.autocast():
            return self._condition_of(noisy)

    @torch.no_grad()
    def random_samples(self, noisy: Tensor, number: int, count: int) -> Tensor:
        """Average of `count` independent samples: 1 is a plain sample, 2 the paper's comparison."""
        condition = self.condition(noisy)
        denoiser = self._denoiser(noisy, condition)
        samples = [
            sampler.heun(denoiser, noise, self._sigmas, self._residual_std)
            for noise in self._starts(condition, number, count, "sample")
        ]
        return condition + torch.stack(samples).mean(0)

    @torch.no_grad()
    def one_step(self, noisy: Tensor) -> Tensor:
        """E[noisy | condition] in one network call, from zero noise at the highest level."""
        condition = self.condition(noisy)
        return condition + sampler.one_step(self._denoiser(noisy, condition), condition, self._sigmas[0])

    @torch.no_grad()
    def srds(self, noisy: Tensor, number: int, pairs: int | None = None) -> Tensor:
        """Stabilised reverse diffusion sampling: the symmetric pairs' average; None: as many as set."""
        condition = self.condition(noisy)
        starts = self._starts(condition, number, pairs or self._sampling.pairs, "pair")
        denoiser = self._denoiser(noisy, condition)
        return condition + sampler.symmetric_pairs(denoiser, starts, self._sigmas, self._residual_std)

    @torch.no_grad()
    def fuse(self, noisy: Tensor, estimate: Tensor) -> Tensor:
        """Give the noisy pixel back to an estimate made without it."""
        with self._hardware.autocast():
            variance = self._variance_of(noisy)
        return posterior.fuse(noisy[:, :1], estimate, variance, self._noise.std(noisy[:, :1]))

    @torch.no_grad()
    def corrected(self, noisy: Tensor, number: int) -> Tensor:
        """Recorruption-corrected posterior mean, averaged over the draws."""
        condition = self.condition(noisy)
        source = generator(self._seed, "recorruption", number)
        noises = (self._noise.unit(condition.shape, source) for _ in range(self._draws))
        return condition + posterior.recorruption_corrected(
            self._denoiser(noisy, condition), noisy[:, :1] - condition, noises, self._noise_std, self._alpha
        )

    def target(self, noisy: Tensor, number: int, kind: Literal["srds", "fusion", "corrected"]) -> Tensor:
        """What the student is to learn for one slice (1, 1, height, width)."""
        if kind == "corrected":
            return self.corrected(noisy, number)
        estimate = self.srds(noisy, number)
        return self.fuse(noisy, estimate) if kind == "fusion" else estimate

    def _starts(self, like: Tensor, number: int, count: int, purpose: str) -> list[Tensor]:
        source = generator(self._seed, purpose, number)
        return [torch.randn(like.shape, generator=source).to(like.device) for _ in range(count)]

    def _denoiser(self, noisy: Tensor, condition: Tensor) -> sampler.Denoiser:
        context = diffusion.context_of(condition, noisy)

        def denoiser(z: Tensor, sigma: float) -> Tensor:
            repeated = context.repeat(len(z) // len(context), 1, 1, 1)
            levels = torch.full((len(z),), sigma, device=z.device)
            with self._hardware.autocast():
                return diffusion.denoise(self._network, z, levels, repeated, self._residual_std)

        return denoiser

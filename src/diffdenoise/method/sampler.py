"""Deterministic sampler and the symmetric pairs of stabilised reverse diffusion sampling.

All functions take a `denoiser(z, sigma) -> estimate` and start from a standard normal `noise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

#: denoiser(z, sigma): z (batch, 1, height, width), sigma a float; returns the estimate of z's signal.
Denoiser: TypeAlias = Callable[[Tensor, float], Tensor]

#: Exponent of the noise-level grid, EDM table 1.
_RHO = 7.0


def sigma_grid(nodes: int, lowest: float, highest: float) -> list[float]:
    """Return falling noise levels, ending in 0 (EDM, equation 5, rho = 7)."""
    if nodes == 1:
        return [highest, 0.0]
    high, low = highest ** (1 / _RHO), lowest ** (1 / _RHO)
    return [(high + i / (nodes - 1) * (low - high)) ** _RHO for i in range(nodes)] + [0.0]


def heun(denoiser: Denoiser, noise: Tensor, sigmas: list[float]) -> Tensor:
    """Draw the sample that the probability-flow ODE leads to from one noise image.

    Parameters
    ----------
    denoiser : callable
        D(z; sigma).
    noise : Tensor (batch, 1, height, width)
        Standard normal start, scaled by the first level here.
    sigmas : list of float
        Falling noise levels, the last one 0.

    Returns
    -------
    Tensor, same shape as `noise`

    References
    ----------
    Karras et al. 2022, algorithm 1 (deterministic, second order).
    """
    z = sigmas[0] * noise
    for sigma, next_sigma in pairwise(sigmas):
        slope = (z - denoiser(z, sigma)) / sigma
        euler = z + (next_sigma - sigma) * slope
        if next_sigma == 0:
            return euler
        next_slope = (euler - denoiser(euler, next_sigma)) / next_sigma
        z = z + (next_sigma - sigma) * (slope + next_slope) / 2
    return z


def symmetric_pairs(denoiser: Denoiser, noises: Iterable[Tensor], sigmas: list[float]) -> Tensor:
    """Stabilised reverse diffusion sampling: average the samples from each noise and its negative.

    For residuals that are symmetric about their mean m the sampler is an odd map about it, so a
    pair's average is m (Demir et al. 2025), but for a share sd / sigmas[0] of m: the start should be
    centred on m, which is not known, and sigmas[0] is finite.

    Parameters
    ----------
    denoiser : callable
        D(z; sigma) for a batch twice as large as each noise; the pair runs as one batch.
    noises : iterable of Tensor (batch, 1, height, width)
        One standard normal image for each pair.
    sigmas : list of float
        Falling noise levels, the last one 0.

    Returns
    -------
    Tensor (batch, 1, height, width)
    """
    total: Tensor | None = None
    pairs = 0
    for noise in noises:
        plus, minus = heun(denoiser, torch.cat([noise, -noise]), sigmas).chunk(2)
        average = (plus + minus) / 2
        total = average if total is None else total + average
        pairs += 1
    if total is None:
        raise ValueError("symmetric_pairs: no noise was given; expected one image a pair")
    return total / pairs


def one_step(denoiser: Denoiser, like: Tensor, sigma: float) -> Tensor:
    """Return the denoiser's estimate from zero noise at the highest level: its E[residual | c]."""
    return denoiser(torch.zeros_like(like), sigma)

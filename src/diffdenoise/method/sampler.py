"""Deterministic sampler and the symmetric pairs of stabilised reverse diffusion sampling.

All functions take a `denoiser(z, sigma) -> estimate` and start from a standard normal `noise`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

#: denoiser(z, sigma): z (batch, 1, height, width), sigma a float; returns the estimate of z's signal.
Denoiser: TypeAlias = Callable[[Tensor, float], Tensor]


def sigma_grid(nodes: int, lowest: float, highest: float, std: float) -> list[float]:
    """Return falling noise levels, ending in 0: evenly spaced in the angle atan(sigma / std) of `heun`.

    Parameters
    ----------
    nodes : int
        Levels above 0.
    lowest, highest : float
        The last and the first of them.
    std : float
        Of what is sampled, in the same units.
    """
    last, first = (math.atan2(sigma, std) for sigma in (lowest, highest))
    step = (last - first) / max(nodes - 1, 1)
    return [std * math.tan(first + number * step) for number in range(nodes)] + [0.0]


def heun(denoiser: Denoiser, noise: Tensor, sigmas: list[float], std: float) -> Tensor:
    """Draw the sample that the probability-flow ODE leads to from one noise image.

    With z = u sqrt(sigma^2 + std^2) and the angle t = atan(sigma / std), EDM's equation 4 becomes
    du/dt = -F, F being what the network adds to c_skip z, in units of c_out. Of a Gaussian of that std F is
    0, so that its samples are right whatever the number of steps; in steps of sigma, five levels make them
    1.40 times too wide, nine 1.09 times.

    Parameters
    ----------
    denoiser : callable
        D(z; sigma).
    noise : Tensor (batch, 1, height, width)
        Standard normal start.
    sigmas : list of float
        Falling noise levels, the last one 0.
    std : float
        Of what is sampled, in the same units.

    Returns
    -------
    Tensor, same shape as `noise`

    References
    ----------
    Karras et al. 2022, algorithm 1 (deterministic, second order), in the angle of Lu and Song 2025,
    "Simplifying, stabilizing and scaling continuous-time consistency models".
    """
    angles = [math.atan2(sigma, std) for sigma in sigmas]
    u = math.sin(angles[0]) * noise
    for angle, next_angle in pairwise(angles):
        if next_angle == 0:
            return denoiser(std / math.cos(angle) * u, std * math.tan(angle))
        step = angle - next_angle
        slope = _slope(denoiser, u, angle, std)
        next_slope = _slope(denoiser, u + step * slope, next_angle, std)
        u = u + step * (slope + next_slope) / 2
    raise ValueError("heun: the noise levels do not end in 0")


def _slope(denoiser: Denoiser, u: Tensor, angle: float, std: float) -> Tensor:
    """F at an angle: (D - c_skip z) / c_out, with c_skip = cos^2 and c_out = std sin of it."""
    z, sigma = std / math.cos(angle) * u, std * math.tan(angle)
    return (denoiser(z, sigma) - std * math.cos(angle) * u) / (std * math.sin(angle))


def symmetric_pairs(denoiser: Denoiser, noises: Iterable[Tensor], sigmas: list[float], std: float) -> Tensor:
    """Stabilised reverse diffusion sampling: average the samples from each noise and its negative.

    For residuals that are symmetric about their mean m the sampler is an odd map about it, so a
    pair's average is m (Demir et al. 2025), but for a share std / sigmas[0] of m: the start should be
    centred on m, which is not known, and sigmas[0] is finite.

    Parameters
    ----------
    denoiser : callable
        D(z; sigma) for a batch twice as large as each noise; the pair runs as one batch.
    noises : iterable of Tensor (batch, 1, height, width)
        One standard normal image for each pair.
    sigmas, std
        See `heun`.

    Returns
    -------
    Tensor (batch, 1, height, width)
    """
    total: Tensor | None = None
    pairs = 0
    for noise in noises:
        plus, minus = heun(denoiser, torch.cat([noise, -noise]), sigmas, std).chunk(2)
        average = (plus + minus) / 2
        total = average if total is None else total + average
        pairs += 1
    if total is None:
        raise ValueError("symmetric_pairs: no noise was given; expected one image a pair")
    return total / pairs


def one_step(denoiser: Denoiser, like: Tensor, sigma: float) -> Tensor:
    """Return the denoiser's estimate from zero noise at the highest level: its E[residual | c]."""
    return denoiser(torch.zeros_like(like), sigma)

"""Noise of a random kind for every patch: white or correlated, of one level or not, Gaussian or Rician."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Levels as shares of the intensity range.
_LOW, _HIGH = 0.01, 0.3
#: Shares of patches whose noise is white, and whose spectrum ends at a frequency (zero-filling); a
#: Gaussian correlates the rest.
_WHITE, _CUT_OFF = 0.5, 0.1
#: Shares of patches with Poisson-Gaussian and with Rician noise.
_POISSON, _RICIAN = 0.2, 0.15


@dataclass(frozen=True)
class Noisy:
    """Patches with noise.

    Attributes
    ----------
    noisy : Tensor (count, slices, side, side)
    mean : Tensor (count, 1, side, side)
        Expected value of the first slice: the clean one, but for the bias of Rician noise.
    std : Tensor (count, 1, 1, 1)
        Typical level.
    least_std : Tensor (count, 1, 1, 1)
        Lowest level.
    """

    noisy: Tensor
    mean: Tensor
    std: Tensor
    least_std: Tensor


def add_noise(clean: Tensor, generator: torch.Generator, widths: tuple[float, float]) -> Noisy:
    """Add noise of a random kind to each patch.

    Parameters
    ----------
    clean : Tensor (count, slices, side, side)
        Intensities from 0; the first slice is the one that counts.
    generator : torch.Generator
        Source of the draws, on the patches' device.
    widths : (float, float)
        Least and largest std in pixels of the Gaussian that correlates the noise. Where the least is 0,
        half of the patches have white noise.
    """
    count = len(clean)

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand((count, 1, 1, 1), generator=generator, device=clean.device)

    transfer = _transfer(clean, uniform, widths)
    std = uniform(math.log(_LOW), math.log(_HIGH)).exp()
    kind = uniform()
    # Variance proportional to brightness above a floor.
    floor = uniform(0.02, 0.5)
    poisson = kind < _POISSON
    local = torch.where(poisson, std * (floor + (1 - floor) * clean.clamp(0, 1)).sqrt(), std)
    added = _coloured(clean, transfer, generator)
    rician = (kind >= _POISSON) & (kind < _POISSON + _RICIAN)
    other = _coloured(clean, transfer, generator)
    magnitude = ((clean + std * added) ** 2 + (std * other) ** 2).sqrt()
    noisy = torch.where(rician, magnitude, clean + local * added)
    mean = torch.where(rician, rician_mean(clean[:, :1], std), clean[:, :1])
    least = torch.where(poisson, std * floor.sqrt(), torch.where(rician, 0.65 * std, std))
    typical = local[:, :1].mean((1, 2, 3), keepdim=True)
    return Noisy(noisy, mean, typical, least)


def rician_mean(signal: Tensor, std: Tensor) -> Tensor:
    """Mean of a magnitude image: Rice 1944; std sqrt(pi/2) L_1/2(-s^2 / 2 std^2)."""
    half = signal**2 / (4 * std**2)
    bessel: Tensor = (1 + 2 * half) * torch.special.i0e(half) + 2 * half * torch.special.i1e(half)
    return math.sqrt(math.pi / 2) * std * bessel


def _transfer(clean: Tensor, uniform: Callable[..., Tensor], widths: tuple[float, float]) -> Tensor:
    """Transfer function of each patch's noise, unit variance, as `rfft2` lays it out."""
    side = clean.shape[-1]
    down = torch.fft.fftfreq(side, device=clean.device)[:, None]
    right = torch.fft.rfftfreq(side, device=clean.device)[None, :]
    first = uniform(*widths)
    # Usually as wide in one direction as in the other.
    second = torch.where(uniform() < 0.7, first, uniform(*widths))
    gaussian = torch.exp(-2 * math.pi**2 * ((first * down) ** 2 + (second * right) ** 2))
    kind = uniform()
    if widths[0] == 0:
        cut = ((down.abs() < uniform(0.3, 0.5)) & (right.abs() < uniform(0.3, 0.5))).float()
        gaussian = torch.where(kind < _WHITE + _CUT_OFF, cut, gaussian)
        gaussian = torch.where(kind < _WHITE, 1.0, gaussian)
    # All columns but the first and the last stand for two.
    weights = torch.full((right.shape[-1],), 2.0, device=clean.device)
    weights[0] = weights[-1] = 1.0
    power = (gaussian**2 * weights).sum((2, 3), keepdim=True) / side**2
    return gaussian / power.sqrt()


def _coloured(like: Tensor, transfer: Tensor, generator: torch.Generator) -> Tensor:
    white = torch.randn(like.shape, generator=generator, device=like.device)
    coloured: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * transfer, s=tuple(like.shape[-2:]))
    return coloured

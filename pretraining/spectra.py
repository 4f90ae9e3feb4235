"""Spectra of noise as scanners and reconstructions leave it: smoothed, sharpened, cut off, slanting."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffdenoise.networks.known_noise import GRID

#: Shares of the kinds: white, smoothed by a Gaussian, cut off in frequency; the rest is band-pass.
_WHITE, _SMOOTHED, _CUT_OFF = 0.4, 0.3, 0.12
#: Widest Gaussian in pixels.
_WIDEST_PX = 2.2
#: Share whose axes are turned, and of which some of the noise is white.
_SLANTING, _MIXED = 0.25, 0.3

Uniform = Callable[..., Tensor]


def draw_spectra(side: int, uniform: Uniform) -> Tensor:
    """Draw a spectrum for each patch.

    Parameters
    ----------
    side : int
        Of the patches in pixels.
    uniform : callable
        uniform(low, high) draws a number (count, 1, 1, 1) for each patch.

    Returns
    -------
    Tensor (count, 1, side, side // 2 + 1)
        Power at the frequencies of `rfft2`, of mean 1 over the whole plane.
    """
    kind = uniform(0, 1)
    device = kind.device
    down = torch.fft.fftfreq(side, device=device)[:, None]
    right = torch.fft.rfftfreq(side, device=device)[None, :]
    cut = (kind >= _WHITE + _SMOOTHED) & (kind < _WHITE + _SMOOTHED + _CUT_OFF)
    # What is cut off is so along the axes of the scan.
    angle = torch.where((uniform(0, 1) < _SLANTING) & ~cut, uniform(0, math.pi), 0.0)
    along = down * angle.cos() + right * angle.sin()
    across = right * angle.cos() - down * angle.sin()
    smoothed = _smoothed(along, across, uniform)
    power = torch.where(kind < _WHITE + _SMOOTHED, smoothed, _band_pass(along, across, uniform))
    power = torch.where(cut, _cut_off(down, right, uniform), power)
    power = _of_mean_one(power, side)
    white = torch.where(uniform(0, 1) < _MIXED, uniform(0.02, 0.5), 0.0)
    return torch.where(kind < _WHITE, 1.0, (1 - white) * power + white)


def told(power: Tensor, wrong: Tensor, generator: torch.Generator) -> Tensor:
    """Return what is told of spectra: on a coarse grid, and as far off as an estimate may be.

    Parameters
    ----------
    power : Tensor (count, 1, side, side // 2 + 1)
        As drawn; side is a multiple of 16.
    wrong : Tensor (count, 1, 1, 1)
        Std of the error of its logarithm.
    generator : torch.Generator
        Source of the draws.

    Returns
    -------
    Tensor (count, 16, 9)
    """
    step = power.shape[-2] // GRID
    coarse = power[:, 0, ::step, ::step]
    error = torch.randn(coarse.shape, generator=generator, device=power.device)
    coarse = coarse * (wrong[:, 0] * error).exp()
    return _of_mean_one(coarse[:, None], GRID)[:, 0]


def coloured(like: Tensor, power: Tensor, generator: torch.Generator) -> Tensor:
    """Draw noise of variance 1 with a spectrum, (count, slices, side, side)."""
    white = torch.randn(like.shape, generator=generator, device=like.device)
    drawn: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * power.sqrt(), s=tuple(like.shape[-2:]))
    return drawn


def _smoothed(along: Tensor, across: Tensor, uniform: Uniform) -> Tensor:
    """Usually as wide in one direction as in the other."""
    first = _WIDEST_PX * uniform(0, 1) ** 1.3
    second = torch.where(uniform(0, 1) < 0.7, first, _WIDEST_PX * uniform(0, 1) ** 1.3)
    return torch.exp(-4 * math.pi**2 * ((first * along) ** 2 + (second * across) ** 2))


def _cut_off(down: Tensor, right: Tensor, uniform: Uniform) -> Tensor:
    """Zero-filled: nothing beyond a rectangle, or an ellipse, with an edge that is sharp or is not."""
    first, second = uniform(0.22, 0.52), uniform(0.22, 0.52)
    soft = uniform(0.002, 0.03)
    box = torch.sigmoid((first - down.abs()) / soft) * torch.sigmoid((second - right.abs()) / soft)
    round_ = torch.sigmoid((1 - torch.hypot(down / first, right / second)) * 0.4 / soft)
    return torch.where(uniform(0, 1) < 0.6, box, round_)


def _band_pass(along: Tensor, across: Tensor, uniform: Uniform) -> Tensor:
    """Ramp of a filtered back projection, and what its kernel leaves of it."""
    frequency = torch.hypot(along, across * torch.where(uniform(0, 1) < 0.7, 1.0, uniform(0.6, 1.6)))
    ramp = (frequency / 0.25) ** uniform(0.4, 2.2)
    end = torch.exp(-((frequency / uniform(0.15, 0.6)) ** uniform(1.5, 6)))
    return ramp * end + 0.003


def _of_mean_one(power: Tensor, side: int) -> Tensor:
    # All columns but the first and the last stand for two.
    weights = torch.full((side // 2 + 1,), 2.0, device=power.device)
    weights[0] = weights[-1] = 1.0
    return power * side**2 / (power * weights).sum((-2, -1), keepdim=True)

"""Noise for the student, with what it is told of it: about as far off as a diagnosis may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diffdenoise.networks.known_noise import LEAST_POWER, LEVEL_SCALE, MIDDLE_LEVEL, POWER_SCALE, UNIT
from pretraining.noise import rician_mean
from pretraining.spectra import coloured, draw_spectra, told

#: Levels as shares of the intensity range.
_LOW, _HIGH = 0.008, 0.35
#: Share of patches of which a wrong level and spectrum is told; std of the level's logarithm, at most twice
#: that; and of the spectrum's.
_WRONG, _LEVEL_OFF, _POWER_OFF = 0.5, 0.1, 0.15
#: Share of magnitude images, and of patches whose level varies by place and by brightness, as it does where
#: map and curve do not fit.
_RICIAN, _UNEVEN = 0.15, 0.25
#: Share of patches with a region without data.
_HOLES = 0.12
#: Slices on either side: share of none, of three where these lie near, and what near is in pixels.
_ALONE, _MANY, _NEAR_PX = 0.3, 0.35, 2.0
#: Share of patches at the end of a stack, both of whose neighbours are one and the same slice.
_ENDS = 0.06
#: Share whose distance of slices is told.
_SPACED = 0.75


@dataclass(frozen=True)
class ToldNoise:
    """Patches with noise.

    Attributes
    ----------
    noisy : Tensor (count, slices, side, side)
        Neighbours that are not there are 1/2: nothing, as the student sees it.
    mean : Tensor (count, 1, side, side)
        Expected value of the first slice: the clean one, but for the bias of Rician noise.
    std, told_std : Tensor (count, 1, 1, 1)
        Level, and what is told of it.
    features : Tensor (count, features)
        All that is told.
    known : Tensor (count, 1, side, side)
        1 where there is data.
    """

    noisy: Tensor
    mean: Tensor
    std: Tensor
    told_std: Tensor
    features: Tensor
    known: Tensor


def add_told_noise(clean: Tensor, spacing: Tensor, generator: torch.Generator) -> ToldNoise:
    """Add noise of a random kind to each patch.

    Parameters
    ----------
    clean : Tensor (count, slices, side, side)
        Intensities from 0; the first slice is the one that counts, the others beside it, nearest first.
    spacing : Tensor (count, 1, 1, 1)
        Distance of the slices in pixels; infinite: there are none beside a slice.
    generator : torch.Generator
        Source of the draws, on the patches' device.
    """
    count, device = len(clean), clean.device

    def uniform(low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand((count, 1, 1, 1), generator=generator, device=device)

    power = draw_spectra(clean.shape[-1], uniform)
    std = uniform(math.log(_LOW), math.log(_HIGH)).exp()
    magnitude = uniform() < _RICIAN
    offset = torch.where(magnitude, uniform(0, 1.5) * std, 0.0)
    local = std * torch.where(magnitude, 1.0, _unevenness(clean, generator))
    added = coloured(clean, power, generator)
    other = coloured(clean, power, generator)
    rician = ((clean + std * added) ** 2 + (std * other) ** 2).sqrt() - offset
    noisy = torch.where(magnitude, rician, clean + local * added)
    mean = torch.where(magnitude, rician_mean(clean[:, :1], std) - offset, clean[:, :1])
    known = _holes(clean, generator)
    noisy = torch.where(known > 0, noisy, uniform(-0.3, 1.2))
    # At its ends a stack is mirrored.
    last = uniform() < _ENDS
    noisy[:, 1::2] = torch.where(last, noisy[:, 2::2], noisy[:, 1::2])
    beside = torch.where((uniform() < _MANY) & (spacing < _NEAR_PX), 3, 1)
    beside = torch.where((uniform() < _ALONE) | spacing.isinf(), 0, beside)
    place = (torch.arange(clean.shape[1], device=device)[None, :, None, None] + 1) // 2
    noisy = torch.where(place <= beside, noisy, 0.5)
    wrong = (uniform() < _WRONG).float()
    normal = torch.randn((count, 1, 1, 1), generator=generator, device=device).clamp(-2, 2)
    told_std = std * (_LEVEL_OFF * wrong * normal).exp()
    spaced = ((uniform() < _SPACED) & (beside > 0)).float()
    features = torch.cat(
        [
            POWER_SCALE * (told(power, _POWER_OFF * wrong, generator) + LEAST_POWER).log().flatten(1),
            LEVEL_SCALE * (told_std / MIDDLE_LEVEL).log().flatten(1),
            (beside >= 1).float().flatten(1),
            (beside >= 3).float().flatten(1),
            spaced.flatten(1),
            torch.where(spaced > 0, spacing.log(), 0.0).flatten(1),
            magnitude.float().flatten(1),
            torch.where(magnitude, UNIT * (-offset - 0.5) / told_std, 0.0).flatten(1),
        ],
        dim=1,
    )
    laid_out = noisy.contiguous(memory_format=torch.channels_last)
    return ToldNoise(laid_out, mean, std, told_std, features, known)


def _unevenness(clean: Tensor, generator: torch.Generator) -> Tensor:
    """How many times its typical level the noise is, at each place and brightness."""
    count, _, height, width = clean.shape

    def chosen() -> Tensor:
        drawn = torch.rand((count, 1, 1, 1), generator=generator, device=clean.device)
        return (drawn < _UNEVEN).float()

    def normal(*shape: int) -> Tensor:
        return torch.randn((count, *shape), generator=generator, device=clean.device)

    field = functional.interpolate(normal(1, 4, 4), size=(height, width), mode="bicubic", align_corners=True)
    by_place = 0.2 * chosen() * field
    by_brightness = 0.4 * chosen() * normal(1, 1, 1).clamp(-1, 1) * (2 * clean - 1).clamp(-1, 1)
    return (by_place + by_brightness).clamp(-0.7, 0.7).exp()


def _holes(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Where there is data: 1, or 0 outside an ellipse, (count, 1, side, side)."""
    count, _, height, width = clean.shape

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((count, 1, 1, 1), generator=generator, device=clean.device)

    down = torch.linspace(-1, 1, height, device=clean.device)[None, None, :, None] - drawn(-1, 1)
    right = torch.linspace(-1, 1, width, device=clean.device)[None, None, None, :] - drawn(-1, 1)
    inside = (down / drawn(0.5, 2.0)) ** 2 + (right / drawn(0.5, 2.0)) ** 2 < 1
    return (inside | (drawn(0, 1) >= _HOLES)).float()

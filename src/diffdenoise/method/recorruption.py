"""Noisy slices split in two whose noises are independent, and results held against the second.

In a stabilised domain noise has one level, but Gaussian noise is skewed there, and skewed noise is not split
by adding symmetric noise: what a strong outlier leaves in the second slice follows from the first. So slices
are split in intensities, with noise of the level at their brightness; the network sees the first in the
domain, and its result is held against the second in intensities. Counts are skewed in intensities, and less
so in the domain: these are split there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.method.noise_draws import NoiseDraws, interpolate
from diffdenoise.noise.domain import MIDDLE, Domain
from diffdenoise.noise.model import NoiseModel

#: Std in pixels of the blur that tells the local mean.
_LOCAL_PX = 4.0


class Split(NamedTuple):
    """Slices split in two, (batch, 1, height, width) each.

    Attributes
    ----------
    source : Tensor
        What a network sees, in the domain.
    target : Tensor
        What its result is held against, in intensities.
    unit : Tensor
        Std of the noise at each pixel as the source tells it, in intensities.
    """

    source: Tensor
    target: Tensor
    unit: Tensor


class Recorruption:
    """A way to split the slices of a domain.

    Parameters
    ----------
    domain : Domain
        Of the scans.
    noise : NoiseModel
        Their noise, in scaled intensities; how it varies from place to place is no part of the domain.
    alpha : float
        Strength: the added noise's std as a multiple of the scan's own.
    device : torch.device
        Where slices are.
    skewed : bool
        Whether the noise is skewed in intensities, as counts are: then slices are split in the domain.
    """

    def __init__(
        self, domain: Domain, noise: NoiseModel, alpha: float, device: torch.device, *, skewed: bool = False
    ) -> None:
        self._alpha, self._zero = alpha, domain.zero
        self._blur = gaussian_kernel(_LOCAL_PX, device)
        self._tables: tuple[Tensor, Tensor, Tensor] | None = None
        if domain.is_stabilised and not skewed:
            line, there, means = (
                torch.from_numpy(np.asarray(table, np.float32)).to(device) for table in domain.tables()
            )
            self._tables = line, there, means
            self._draws = NoiseDraws(noise, device)
        else:
            self._draws = NoiseDraws(domain.of_noise(noise), device)
        #: Std of the source's noise, which a student is to be told.
        self.level = recorrupted_level(domain.level, alpha)

    def split(
        self,
        centre: Tensor,
        draws: torch.Generator,
        turns: Sequence[int] | None = None,
        known: Tensor | None = None,
        *,
        both: bool = False,
    ) -> Split:
        """Split noisy slices.

        Parameters
        ----------
        centre : Tensor (batch, 1, height, width)
            Noisy slices in the domain.
        draws : torch.Generator
            Source of the draws.
        turns : sequence of int, optional
            How each patch was turned; see `NoiseDraws.unit`.
        known : Tensor (batch, 1, height, width), optional
            1 where there is data: elsewhere there is no noise.
        both : bool
            Split them a second time with the negative of the same noise; the batch is then twice as large.
        """
        plain = self._plain(centre)
        added = self._draws.draw(plain, draws, turns)
        if known is not None:
            added = known * added
        if both:
            plain, added = torch.cat([plain, plain]), torch.cat([added, -added])
        source, target = recorrupt(plain, added, 1.0, self._alpha)
        return Split(self._entered(source), target, self._draws.std(source))

    def shift(self, source: Tensor) -> Tensor:
        """What is added to a source before a student sees it, and taken off its result, same shape.

        In units of the source's level, which is higher than the scan's, intensities lie nearer to their
        middle than where a student sees those of the scan; one that learns long enough would be at a loss
        with these, and know nothing of how dark the background is. So the local mean is shifted to there; of
        magnitudes the signal that this is of.
        """
        with torch.autocast(source.device.type, enabled=False):
            weight = smooth(torch.ones_like(source[:1]), self._blur, self._blur)
            mean = smooth(source, self._blur, self._blur) / weight
        if self._zero is not None:
            # Of noise alone the mean square is 2 std^2, and the mean sqrt(pi / 2) std.
            above = (mean - self._zero).square() - math.pi / 2 * self.level**2
            mean = self._zero + above.clamp_min(0).sqrt()
        return (mean - MIDDLE) * (math.hypot(1, self._alpha) - 1)

    def error(self, output: Tensor, split: Split) -> Tensor:
        """Return results (in the domain) less what they are held against, in stds of the noise."""
        return (self._left(output) - split.target) / split.unit

    def _plain(self, there: Tensor) -> Tensor:
        return there if self._tables is None else interpolate(there, self._tables[1], self._tables[0])

    def _entered(self, plain: Tensor) -> Tensor:
        return plain if self._tables is None else interpolate(plain, self._tables[0], self._tables[1])

    def _left(self, means: Tensor) -> Tensor:
        return means if self._tables is None else interpolate(means, self._tables[2], self._tables[0])


def recorrupted_level(level: float, alpha: float) -> float:
    """Std of y + alpha n e for noise of a level."""
    return level * math.hypot(1, alpha)


def recorrupt(noisy: Tensor, noise: Tensor, noise_std: float | Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Split a noisy image in two whose noises are independent.

    Parameters
    ----------
    noisy : Tensor (batch, 1, height, width)
        Image with Gaussian noise of std `noise_std`.
    noise : Tensor, same shape
        Standard normal, with the spatial correlation of the image's own noise.
    noise_std : float or Tensor
        Std of the image's noise.
    alpha : float
        Strength of the recorruption.

    Returns
    -------
    source, target : Tensor, same shape
        y + alpha n e and y - n e / alpha: E|f(source) - target|^2 is the risk of f against the clean
        image plus a constant.

    References
    ----------
    Pang et al. 2021, "Recorrupted-to-Recorrupted", theorem 1.
    """
    added = noise_std * noise
    return noisy + alpha * added, noisy - added / alpha

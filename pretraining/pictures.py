"""Synthetic pictures: overlapping shapes of all sizes, as in a heap of dead leaves.

Edges, corners, thin lines, rings, textures and empty background, in short stacks of adjacent slices.
Nothing in them is anatomy, so a network that learns here what edges and noise look like has no organ to
invent. That networks trained on such pictures denoise photographs well was shown by Achddou et al. 2021,
"Synthetic images as a regularity prior for image restoration neural networks".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

#: Slices of a stack: one, and three on either side of it.
SLICES = 7
#: Fewest and most shapes in a stack.
_FEWEST, _MOST = 20, 256
#: Pixels cut off each side in the end: the blur is periodic.
_MARGIN = 8


class _Draws:
    """Random numbers for a batch of stacks, each (count, 1, 1, 1) unless told otherwise."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self._count = count
        self._generator = generator

    def uniform(self, low: float, high: float, *more: int) -> Tensor:
        shape = (self._count, *(more or (1, 1, 1)))
        drawn = torch.rand(shape, generator=self._generator, device=self._generator.device)
        return low + (high - low) * drawn

    def log_uniform(self, low: float, high: float, *more: int) -> Tensor:
        return self.uniform(math.log(low), math.log(high), *more).exp()

    def normal(self, *more: int) -> Tensor:
        shape = (self._count, *(more or (1, 1, 1)))
        return torch.randn(shape, generator=self._generator, device=self._generator.device)

    def chance(self, share: float, *more: int) -> Tensor:
        return self.uniform(0, 1, *more) < share

    def field(self, side: int, cells: int, channels: int = 1) -> Tensor:
        """Smooth random field (count, channels, side, side) of about unit variance."""
        coarse = self.normal(channels, cells + 3, cells + 3)
        size = math.ceil(side * (cells + 3) / cells)
        fine = functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
        return fine[..., :side, :side]


def draw_stacks(count: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw stacks of adjacent slices, with as many shapes in each.

    Parameters
    ----------
    count, side : int
        Stacks, and their side in pixels.
    generator : torch.Generator
        Source of the draws; the stacks are on its device.

    Returns
    -------
    stacks : Tensor (count, 7, side, side)
        Intensities from 0 to 1 but for a few pixels.
    spacing : Tensor (count,)
        Distance of the slices in pixels.
    """
    whole = side + 2 * _MARGIN
    draws = _Draws(count, generator)
    # Slices are up to six pixels apart.
    spacing = draws.log_uniform(0.5, 6)
    places = _places(draws, whole, spacing)
    textures = _textures(draws, whole, places)
    picture = draws.uniform(0, 1) + 0.1 * draws.field(whole, 3)
    picture = picture.repeat(1, SLICES, 1, 1)
    softness = draws.uniform(0.5, 1.6)
    # Most shapes are small, and lie on larger ones.
    exponent = draws.uniform(0.3, 2.0, 1)
    shapes = round(float(draws.log_uniform(_FEWEST, _MOST).flatten()[0]))
    radii = _power_law(draws.uniform(0, 1, shapes), 1.5, whole / 3, exponent)
    order = (radii * (0.5 * draws.normal(shapes)).exp()).argsort(dim=1, descending=True)
    for radius in radii.gather(1, order).T:
        picture = _with_shape(picture, draws, places, textures, radius, softness)
    picture = _with_background(picture, draws, places)
    picture = _blurred(picture * (0.15 * draws.field(whole, 2)).exp(), draws)
    picture = picture[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    sample = picture[:, :, ::3, ::3].flatten(1)
    low, high = sample.quantile(0.005, dim=1), sample.quantile(0.995, dim=1)
    scaled = (picture - low[:, None, None, None]) / (high - low).clamp_min(1e-3)[:, None, None, None]
    # Another contrast: bright organs in some, dark ones in others.
    return scaled.clamp(0, 1.5) ** draws.log_uniform(0.6, 1.8), spacing.flatten()


def _power_law(uniform: Tensor, low: float, high: float, exponent: Tensor) -> Tensor:
    """Radii with density r**-(1 + exponent) between two limits."""
    ends = low**-exponent, high**-exponent
    return (ends[0] + uniform * (ends[1] - ends[0])) ** (-1 / exponent)


def _places(draws: _Draws, side: int, spacing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Depth, row and column of each pixel, bent so that outlines are no ellipses."""
    device = draws.uniform(0, 1).device
    line = torch.arange(side, device=device) - side / 2
    depth = (torch.arange(SLICES, device=device) - SLICES // 2)[None, :, None, None] * spacing
    bend = torch.zeros((), device=device)
    strength = draws.log_uniform(0.5, 25)
    for cells in (3, 6, 12, 24):
        fixed = draws.field(side, cells, 2)
        shift = draws.field(side, cells, 2)
        moved = fixed[:, :, None] + (depth * cells / side)[:, None] * shift[:, :, None]
        bend = bend + strength[:, None] * (3 / cells) * moved
    rows = line[None, None, :, None] + bend[:, 0]
    columns = line[None, None, None, :] + bend[:, 1]
    return depth, rows, columns


def _textures(draws: _Draws, side: int, places: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two textures of unit variance: grain of a random spectrum, and stripes."""
    _, rows, columns = places
    frequency = _frequencies(side, rows.device)
    falls = (frequency + 0.5 / side) ** -draws.uniform(0.2, 2.0)
    band = falls * torch.exp(-0.5 * (frequency / draws.log_uniform(0.05, 0.5)) ** 2)
    common = draws.normal(1, side, side)
    alike = draws.uniform(0, 1)
    grain = alike.sqrt() * common + (1 - alike).sqrt() * draws.normal(SLICES, side, side)
    grain = torch.fft.irfft2(torch.fft.rfft2(grain) * band, s=(side, side))
    grain = grain / grain.std((1, 2, 3), keepdim=True).clamp_min(1e-6)
    angle = draws.uniform(0, math.pi)
    along = rows * angle.cos() + columns * angle.sin()
    stripes = 1.4 * torch.sin(2 * math.pi * draws.log_uniform(0.03, 0.35) * along)
    return grain, stripes


def _with_shape(
    picture: Tensor,
    draws: _Draws,
    places: tuple[Tensor, Tensor, Tensor],
    textures: tuple[Tensor, Tensor],
    radius: Tensor,
    softness: Tensor,
) -> Tensor:
    """Lay one shape a stack on top."""
    depth, rows, columns = places
    side = rows.shape[-1]
    radius = radius[:, None, None, None]
    long = torch.where(draws.chance(0.2), draws.log_uniform(3, 15), draws.log_uniform(1, 2.5)).sqrt()
    angle = draws.uniform(0, 2 * math.pi)
    down, right = draws.uniform(-0.55, 0.55) * side, draws.uniform(-0.55, 0.55) * side
    rows, columns = rows - down, columns - right
    along = (rows * angle.cos() + columns * angle.sin()) / (radius * long)
    across = (columns * angle.cos() - rows * angle.sin()) / (radius / long)
    deep = depth / radius + draws.uniform(-0.9, 0.9)
    # From a rhombus to nearly a rectangle.
    power = draws.log_uniform(1.2, 6.0)
    distance = (along.abs() ** power + across.abs() ** power + deep.abs() ** power) ** (1 / power)
    inside = (1 - distance) * radius / long
    ring = draws.log_uniform(0.08, 0.5) * radius / long - (1 - distance).abs() * radius / long
    inside = torch.where(draws.chance(0.15), ring, inside)
    cover = (inside / softness + 0.5).clamp(0, 1)
    cover = cover * torch.where(draws.chance(0.2), draws.uniform(0.2, 0.9), 1.0)
    colour = draws.uniform(0, 1) + 0.1 * draws.normal() * along + 0.1 * draws.normal() * across
    for texture, share in zip(textures, (0.6, 0.15), strict=True):
        colour = colour + torch.where(draws.chance(share), draws.log_uniform(0.01, 0.2), 0.0) * texture
    return torch.lerp(picture, colour, cover)


def _with_background(picture: Tensor, draws: _Draws, places: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Cut a body out of most pictures, with nothing around it."""
    _, rows, columns = places
    side = rows.shape[-1]
    down = (rows - draws.uniform(-0.3, 0.3) * side) / (draws.uniform(0.3, 0.6) * side)
    right = (columns - draws.uniform(-0.3, 0.3) * side) / (draws.uniform(0.3, 0.6) * side)
    inside = (1 - (down**2 + right**2).sqrt()) * 0.4 * side
    cover = torch.where(draws.chance(0.6), (inside + 0.5).clamp(0, 1), 1.0)
    return picture.clamp_min(0) * cover


def _blurred(picture: Tensor, draws: _Draws) -> Tensor:
    """Blur by a point spread function of up to 1.2 pixels; a third of the pictures by none."""
    std = torch.where(draws.chance(0.3), 0.0, draws.uniform(0.3, 1.2))
    side = picture.shape[-1]
    transfer = torch.exp(-2 * (math.pi * std * _frequencies(side, picture.device)) ** 2)
    blurred: Tensor = torch.fft.irfft2(torch.fft.rfft2(picture) * transfer, s=(side, side))
    return blurred


def _frequencies(side: int, device: torch.device) -> Tensor:
    """Spatial frequency in cycles a pixel, as `rfft2` lays it out."""
    down = torch.fft.fftfreq(side, device=device)[:, None]
    right = torch.fft.rfftfreq(side, device=device)[None, :]
    return torch.hypot(down, right)

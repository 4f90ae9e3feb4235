"""What each network learns on synthetic pictures: stages 1 and 2 as on a scan, the student clean pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdenoise.config import Settings
from diffdenoise.method import blind_spot, diffusion
from diffdenoise.method.blind_spot import FILLED_SHARE
from diffdenoise.method.intensities import signed, unsigned
from diffdenoise.method.step_data import mean_of_known, with_centre
from diffdenoise.plan import BLIND_SPOTS
from pretraining.source import Source
from pretraining.student import StudentForAll

#: Largest width in pixels of the noise's correlation.
_WIDEST_PX = 2.0
#: Power of the noise's std that errors in units of it count by: strong noise for more, not by its variance.
_POWER = 0.5


def student_loss(source: Source, student: StudentForAll, batch: int) -> Tensor:
    """Squared error, with strong noise counting for more, but not by its whole variance."""
    drawn = source.told(batch)
    error = (student(drawn) - drawn.mean) / drawn.std
    return mean_of_known(error.square() * drawn.std**_POWER, drawn.known)


def blind_spot_loss(source: Source, network: nn.Module, batch: int) -> Tensor:
    """Stage 1's own loss, on noisy pictures alone."""
    side = source.blind()
    drawn = source.noisy(batch, _widths_px(side))
    centre, random = drawn.noisy[:, :1], source.generator
    filled = torch.rand((batch, 1, 1, 1), generator=random, device=centre.device)
    low, high = FILLED_SHARE
    share = low + (high - low) * torch.rand((batch, 1, 1, 1), generator=random, device=centre.device)
    chosen = filled < Settings().stage1.filled_patches
    mask = blind_spot.random_mask(centre, share * chosen, side, random)
    seen = with_centre(drawn.noisy, blind_spot.fill(centre, mask, side))
    weight = torch.where(chosen, mask, True).float()
    mean, variance = blind_spot.predict(network, seen, side, drawn.least_std)
    return blind_spot.loss(mean / drawn.std, variance / drawn.std**2, centre / drawn.std, weight)


def diffusion_loss(source: Source, network: nn.Module, stage1: nn.Module, batch: int) -> Tensor:
    """Stage 2's own loss, on noisy pictures alone; each picture's residual in units of its own std."""
    side = source.blind()
    drawn = source.noisy(batch, _widths_px(side))
    centre = drawn.noisy[:, :1]
    mask = blind_spot.random_mask(centre, Settings().stage2.hidden_share, side, source.generator)
    seen = with_centre(drawn.noisy, blind_spot.fill(centre, mask, side))
    with torch.no_grad():
        condition = unsigned(stage1(signed(seen), side)[0].float())
    residual = centre - condition
    # In units of the residual's std, the loss is that of any scan.
    unit = residual.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-4)
    normal = torch.randn((batch,), generator=source.generator, device=centre.device)
    sigma = torch.exp(diffusion.LOG_SIGMA_STD * normal)
    noise = torch.randn(centre.shape, generator=source.generator, device=centre.device)
    context = diffusion.context_of(condition, drawn.noisy)
    return diffusion.loss(network, residual / unit, noise, sigma, context, mask.float(), 1.0)


def _widths_px(side: int) -> tuple[float, float]:
    """Widths of the noise's correlation that a blind spot of a side is chosen for."""
    sides = [own for _, own in BLIND_SPOTS]
    limits = [0.0, *(min(width, _WIDEST_PX) for width, _ in BLIND_SPOTS)]
    return limits[sides.index(side)], limits[sides.index(side) + 1]

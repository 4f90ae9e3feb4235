"""What each network learns on synthetic pictures: stages 1 and 2 as on a scan, the student clean pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffdenoise.stages import blind_spot, diffusion, distil
from diffdenoise.stages.intensities import signed, unsigned
from pretraining.source import Source

#: Widths in pixels of the noise's correlation for each side of the blind spot, as in `plan.py`.
_WIDTHS_PX = {1: (0.0, 0.5), 3: (0.5, 0.75), 5: (0.75, 1.1), 7: (1.1, 2.0)}
#: Widths that the student meets.
_ALL_WIDTHS_PX = (0.0, 2.0)
#: Power of the noise's std that its errors are divided by: strong noise counts for more, but not by its
#: whole variance.
_POWER = 1.5


def student_loss(source: Source, student: nn.Module, batch: int) -> Tensor:
    """Squared error, with strong noise counting for more, but not by its whole variance."""
    drawn = source.noisy(batch, _ALL_WIDTHS_PX)
    error = distil.denoise(student, drawn.noisy) - drawn.mean
    return (error**2 / drawn.std**_POWER).mean()


def blind_spot_loss(source: Source, network: nn.Module, batch: int) -> Tensor:
    """Stage 1's own loss, on noisy pictures alone."""
    side = source.blind()
    drawn = source.noisy(batch, _WIDTHS_PX[side])
    centre = drawn.noisy[:, :1]
    device = centre.device
    filled = torch.rand((batch, 1, 1, 1), generator=source.generator, device=device) < 0.5
    share = (0.05 + 0.35 * torch.rand((batch, 1, 1, 1), generator=source.generator, device=device)) * filled
    mask = _mask(source, centre, share, side)
    seen = torch.cat([blind_spot.fill(centre, mask, side), drawn.noisy[:, 1:]], dim=1)
    weight = torch.where(filled, mask, True).float()
    mean, log_variance = network(signed(seen), side)
    relative = log_variance.float().clamp(-8.0, 8.0).exp() + blind_spot.VARIANCE_FLOOR
    mean = unsigned(mean.float())
    return blind_spot.loss(
        mean / drawn.std, relative * (drawn.least_std / drawn.std) ** 2, centre / drawn.std, weight
    )


def diffusion_loss(source: Source, network: nn.Module, stage1: nn.Module, batch: int) -> Tensor:
    """Stage 2's own loss, on noisy pictures alone; each picture's residual in units of its own std."""
    side = source.blind()
    drawn = source.noisy(batch, _WIDTHS_PX[side])
    centre = drawn.noisy[:, :1]
    mask = _mask(source, centre, torch.full((batch, 1, 1, 1), 0.25, device=centre.device), side)
    seen = torch.cat([blind_spot.fill(centre, mask, side), drawn.noisy[:, 1:]], dim=1)
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


def _mask(source: Source, like: Tensor, share: Tensor, width: int) -> Tensor:
    uniform = torch.rand(like.shape, generator=source.generator, device=like.device)
    return uniform < 1 - (1 - share) ** (1 / width**2)

"""Stage 1: hide pixels, and learn each pixel's mean and variance from what is left."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.method.intensities import signed, unsigned
from diffdenoise.method.step_data import StepData, with_centre
from diffdenoise.training.fit import LossOf
from diffdenoise.training.randomness import generator

#: Lowest variance that can be predicted, as a multiple of the noise's. A noisy pixel can't vary less than
#: its noise; without such a floor, one step too far makes the likelihood of a pixel next to nothing, and
#: training starts with gradients a thousand times too large, or never recovers.
_VARIANCE_FLOOR = 0.5
#: Smallest and largest share of pixels replaced in a filled patch.
FILLED_SHARE = (0.05, 0.40)


def random_mask(like: Tensor, share: Tensor | float, width: int, generator: torch.Generator) -> Tensor:
    """Draw a set of pixels that are far enough apart to be hidden together.

    Parameters
    ----------
    like : Tensor (batch, 1, height, width)
        Gives shape and device.
    share : float or Tensor (batch, 1, 1, 1)
        Share of pixels that end up hidden, their neighbourhoods included.
    width : int
        Odd side of the neighbourhood hidden with each pixel.
    generator : torch.Generator
        On the CPU, so that every device draws the same pixels, or on the images' device.

    Returns
    -------
    Tensor of bool (batch, 1, height, width)
    """
    uniform = torch.rand(like.shape, generator=generator, device=generator.device)
    chance = torch.as_tensor(share)
    if width > 1:
        # Neighbourhoods overlap: a pixel stays visible if none of width^2 pixels is drawn.
        chance = 1 - (1 - chance) ** (1 / width**2)
    return (uniform < chance).to(like.device)


def fill(centre: Tensor, mask: Tensor, width: int) -> Tensor:
    """Replace pixels, and the neighbourhood their noise is correlated with, from what is visible.

    Parameters
    ----------
    centre : Tensor (batch, 1, height, width)
        Noisy slice.
    mask : Tensor of bool, same shape
        Pixels to hide.
    width : int
        Odd side of the neighbourhood to hide with each of them; 1 for independent noise.

    Returns
    -------
    Tensor, same shape
        Gaussian-weighted mean of visible pixels at the hidden places, the input elsewhere.
    """
    # Single precision whatever the networks run in: these are intensities, not features.
    with torch.autocast(centre.device.type, enabled=False):
        return _fill(centre.float(), mask, width)


def _fill(centre: Tensor, mask: Tensor, width: int) -> Tensor:
    hidden = mask.to(centre.dtype)
    if width > 1:
        hidden = functional.max_pool2d(hidden, width, stride=1, padding=width // 2)
    visible = 1 - hidden
    kernel = gaussian_kernel(0.5 * (width + 1), centre.device)
    weighted = smooth(centre * visible, kernel, kernel)
    weight = smooth(visible, kernel, kernel)
    # Where a whole neighbourhood is hidden, the mean of all that is visible.
    overall = (centre * visible).sum((2, 3), keepdim=True) / visible.sum((2, 3), keepdim=True).clamp_min(1)
    interpolated = torch.where(weight > 1e-3, weighted / weight.clamp_min(1e-3), overall)
    return torch.where(hidden > 0, interpolated, centre)


def predict(
    network: nn.Module, noisy: Tensor, blind_spot: int, least_std: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Predict each pixel's mean and variance from its surroundings.

    Parameters
    ----------
    network : BlindSpotNet
        (signed intensities, blind spot) to (mean, log-variance).
    noisy : Tensor (batch, channels, height, width)
        Slice and neighbours, scaled intensities.
    blind_spot : int
        Odd side in pixels of the unseen square.
    least_std : float or Tensor (batch, 1, 1, 1)
        Lowest std of the noise, scaled intensities: the unit that variances are predicted in.

    Returns
    -------
    mean, variance : Tensor (batch, 1, height, width)
        Of the noisy pixel given its surroundings, scaled intensities (squared).
    """
    mean, log_variance = network(signed(noisy), blind_spot)
    relative = log_variance.float().clamp(-8.0, 8.0).exp() + _VARIANCE_FLOOR
    return unsigned(mean.float()), least_std**2 * relative


def loss(mean: Tensor, variance: Tensor, noisy: Tensor, weight: Tensor) -> Tensor:
    """Gaussian negative log-likelihood, tempered so that uncertain pixels keep their share.

    Parameters
    ----------
    mean, variance, noisy : Tensor (batch, 1, height, width)
        Prediction and the pixel that it is for.
    weight : Tensor, same shape
        1 where the pixel counts, 0 elsewhere.

    Returns
    -------
    Tensor ()

    References
    ----------
    Laine et al. 2019, equation 6; the factor variance**0.5 without gradient is the beta-NLL of
    Seitzer et al. 2022, equation 5, with beta 0.5.
    """
    nll = (noisy - mean) ** 2 / variance + variance.log()
    return (weight * variance.detach().sqrt() * nll).sum() / weight.sum().clamp_min(1)


def step_loss(data: StepData, network: nn.Module, blind: int, noise_std: float, least_std: float) -> LossOf:
    """Loss of a step: likelihood of the noisy pixels; in filled patches, of the hidden ones alone.

    `noise_std` is the noise's typical level, `least_std` its lowest.

    A filled value is a mean of visible pixels, so it would tell the network about those.
    """
    settings = data.settings

    def loss_of(step: int) -> Tensor:
        draws = generator(settings.seed, "blind-spot", step)
        batch = data.patches(draws, step)
        noisy, counted = batch.noisy, batch.counted
        centre = noisy[:, :1]
        filled = torch.rand(len(noisy), 1, 1, 1, generator=draws) < settings.stage1.filled_patches
        low, high = FILLED_SHARE
        share = (low + (high - low) * torch.rand(len(noisy), 1, 1, 1, generator=draws)) * filled
        mask = random_mask(centre, share, blind, draws)
        seen = with_centre(noisy, fill(centre, mask, blind))
        weight = torch.where(filled.to(mask.device), mask, True).float()
        if counted is not None:
            weight = weight * counted
        mean, variance = predict(network, seen, blind, least_std)
        return loss(mean, variance, centre, weight) / noise_std

    return loss_of

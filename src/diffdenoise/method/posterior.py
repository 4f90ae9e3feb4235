"""Give the noisy pixel back: estimates of the clean image that use what the condition leaves out."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from diffdenoise.method.sampler import Denoiser


def fuse(noisy: Tensor, mean: Tensor, variance: Tensor, noise_std: float | Tensor) -> Tensor:
    """Combine a pixel with its prediction from the surroundings, each by its certainty.

    Parameters
    ----------
    noisy, mean : Tensor (batch, 1, height, width)
        The pixel, and E[noisy pixel | surroundings].
    variance : Tensor, same shape
        Variance of the noisy pixel given its surroundings.
    noise_std : float or Tensor
        Std of the noise, same intensity units.

    Returns
    -------
    Tensor, same shape

    References
    ----------
    Laine et al. 2019, equation 5, for one channel: (y sx^2 + mu n^2) / (sx^2 + n^2).
    """
    noise_variance = torch.as_tensor(noise_std, device=noisy.device) ** 2
    signal_variance = (variance - noise_variance).clamp_min(0)
    return (noisy * signal_variance + mean * noise_variance) / (signal_variance + noise_variance)


def recorruption_corrected(
    denoiser: Denoiser, residual: Tensor, noises: Iterable[Tensor], noise_std: float, alpha: float
) -> Tensor:
    """Posterior mean of the clean residual from a denoiser that was trained on noisy residuals only.

    With z = r + alpha n e, the denoiser gives E[r | z]; as the scan's noise and the added one have
    variances 1 : alpha^2, E[clean | z] = z - (1 + alpha^2) / alpha^2 (z - E[r | z]).

    Parameters
    ----------
    denoiser : callable
        D(z; sigma), trained without clean images.
    residual : Tensor (batch, 1, height, width)
        noisy - condition.
    noises : iterable of Tensor, same shape
        One standard normal image for each draw; the estimate is their average.
    noise_std : float
        Std n of the scan's (Gaussian) noise, scaled intensity units.
    alpha : float
        Std of the added noise as a multiple of `noise_std`.

    Returns
    -------
    Tensor (batch, 1, height, width)

    References
    ----------
    Moran et al. 2020, "Noisier2Noise", equation 5; Pang et al. 2021, "Recorrupted-to-Recorrupted".
    """
    sigma = alpha * noise_std
    gain = (1 + alpha**2) / alpha**2
    total = torch.zeros_like(residual)
    draws = 0
    for noise in noises:
        z = residual + sigma * noise
        total += z - gain * (z - denoiser(z, sigma))
        draws += 1
    if not draws:
        raise ValueError("recorruption_corrected: no noise was given; expected one image a draw")
    return total / draws

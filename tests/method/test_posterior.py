from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffdenoise.method.posterior import fuse, recorruption_corrected

positive = st.floats(0.05, 3.0)
value = st.floats(-2.0, 2.0)


def image(number: float) -> torch.Tensor:
    return torch.full((1, 1, 2, 3), number, dtype=torch.float64)


@given(noisy=value, mean=value, signal_std=positive, noise_std=positive)
def test_fusion_is_the_posterior_mean_of_two_gaussians(noisy, mean, signal_std, noise_std):
    found = fuse(image(noisy), image(mean), image(signal_std**2 + noise_std**2), image(noise_std))
    # Precisions add up; each source counts by its precision.
    prior, data = 1 / signal_std**2, 1 / noise_std**2
    torch.testing.assert_close(found, image((prior * mean + data * noisy) / (prior + data)))


def test_without_noise_the_fusion_is_the_noisy_pixel():
    torch.testing.assert_close(fuse(image(0.7), image(0.2), image(0.3), 0.0), image(0.7))


def test_where_the_variance_is_all_noise_the_fusion_is_the_prediction():
    torch.testing.assert_close(fuse(image(0.7), image(0.2), image(0.25), 0.5), image(0.2))
    # A variance estimated below the noise's must not push past the prediction.
    torch.testing.assert_close(fuse(image(0.7), image(0.2), image(0.1), 0.5), image(0.2))


def test_fusion_takes_a_map_of_levels():
    stds = torch.tensor([[[[0.0, 0.5]]]], dtype=torch.float64)
    noisy, mean = torch.full_like(stds, 0.7), torch.full_like(stds, 0.2)
    found = fuse(noisy, mean, torch.full_like(stds, 0.25), stds)
    torch.testing.assert_close(found, torch.tensor([[[[0.7, 0.2]]]], dtype=torch.float64))


@given(
    mean=value, signal_std=positive, noise_std=positive, alpha=st.floats(0.2, 2.0), noisy=value, extra=value
)
def test_correction_gives_the_clean_posterior_mean_in_the_linear_case(
    mean, signal_std, noise_std, alpha, noisy, extra
):
    scan_variance = signal_std**2 + noise_std**2

    def denoiser(z, sigma):
        """E[signal + noise | z], which is all that training on noisy images can give."""
        return mean + scan_variance / (scan_variance + sigma**2) * (z - mean)

    found = recorruption_corrected(denoiser, image(noisy), [image(extra)], noise_std, alpha)
    z = noisy + alpha * noise_std * extra
    total = signal_std**2 + (1 + alpha**2) * noise_std**2
    expected = mean + signal_std**2 / total * (z - mean)
    torch.testing.assert_close(found, image(expected), atol=1e-8, rtol=1e-8)


def test_correction_averages_over_draws():
    def denoiser(z, sigma):
        return torch.tanh(z) / (1 + sigma)

    draws = [image(0.4), image(-1.1), image(0.9)]
    each = [recorruption_corrected(denoiser, image(0.5), [draw], 0.3, 0.5) for draw in draws]
    together = recorruption_corrected(denoiser, image(0.5), iter(draws), 0.3, 0.5)
    torch.testing.assert_close(together, sum(each) / 3)


def test_no_draw_is_refused():
    with pytest.raises(ValueError, match="no noise was given"):
        recorruption_corrected(lambda z, sigma: z, image(0.5), [], 0.3, 0.5)

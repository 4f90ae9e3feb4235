from __future__ import annotations

import numpy as np
import pytest
import torch

from diffdenoise.method.filters import gaussian_kernel, smooth
from diffdenoise.method.recorruption import Recorruption, recorrupt
from diffdenoise.method.student import squared_distance
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.model import NoiseModel

LAGS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def unit_noise(width_px: float, seed: int) -> torch.Tensor:
    """Noise of unit variance, correlated by a Gaussian kernel, (1, 1, 500, 500)."""
    white = torch.randn(1, 1, 520, 520, generator=torch.Generator().manual_seed(seed))
    kernel = gaussian_kernel(width_px, torch.device("cpu"))
    return smooth(white, kernel / kernel.norm(), kernel / kernel.norm())[..., 10:510, 10:510]


def covariance(first, second, down, right):
    head = first[..., : 500 - down, : 500 - right]
    return float((head * second[..., down:, right:]).mean())


@pytest.mark.parametrize("width_px", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.0])
def test_the_halves_have_uncorrelated_noise(width_px, alpha):
    clean, level = 0.4, 0.1
    noisy = clean + level * unit_noise(width_px, 1)
    source, target = recorrupt(noisy, unit_noise(width_px, 2), level, alpha)
    assert float((source - clean).std()) == pytest.approx(level * (1 + alpha**2) ** 0.5, rel=0.03)
    assert float((target - clean).std()) == pytest.approx(level * (1 + alpha**-2) ** 0.5, rel=0.03)
    for down, right in LAGS:
        found = covariance(source - clean, target - clean, down, right) / level**2
        assert found == pytest.approx(0.0, abs=0.05)


def test_noise_of_the_wrong_kernel_leaves_the_halves_correlated():
    level = 0.1
    source, target = recorrupt(level * unit_noise(1.0, 1), unit_noise(0.0, 2), level, 0.5)
    assert covariance(source, target, 0, 1) / level**2 > 0.5


def test_the_halves_take_a_map_of_levels():
    noise, levels = torch.ones(1, 1, 1, 2), torch.tensor([[[[0.0, 0.2]]]])
    source, target = recorrupt(torch.zeros_like(noise), noise, levels, 0.5)
    torch.testing.assert_close(source, torch.tensor([[[[0.0, 0.1]]]]))
    torch.testing.assert_close(target, torch.tensor([[[[0.0, -0.4]]]]))


def test_the_risk_on_the_halves_is_the_true_risk_plus_a_constant():
    # Of two linear denoisers, the difference of the risks against the target is the true difference.
    generator = torch.Generator().manual_seed(5)
    clean = torch.rand(1, 1, 1200, 1200, generator=generator)
    level, alpha = 0.2, 0.5
    noisy = clean + level * torch.randn(clean.shape, generator=generator)
    source, target = recorrupt(noisy, torch.randn(clean.shape, generator=generator), level, alpha)
    risks = []
    for reference in (target, clean):
        estimates = [0.5 + gain * (source - 0.5) for gain in (0.2, 0.6)]
        first, second = (float(squared_distance(estimate, reference)) for estimate in estimates)
        risks.append(first - second)
    assert risks[0] == pytest.approx(risks[1], abs=0.002)
    assert abs(risks[1]) > 0.002


CPU = torch.device("cpu")
BRIGHTNESS = tuple(float(one) for one in np.linspace(0, 1, 9))
#: Counts, whose noise is one level in their domain; and magnitudes, which are split as they are.
COUNTS = NoiseModel(BRIGHTNESS, tuple(float(np.sqrt(0.03**2 + 0.01 * one)) for one in BRIGHTNESS))
FLOOR = NoiseModel((0.0, 0.2, 1.0), (0.05, 0.075, 0.08))
DOMAINS = {"counts": Domain(COUNTS, 0.07), "magnitudes": Domain(FLOOR, 0.08, 0.0)}


def plain(domain: Domain, there: torch.Tensor) -> torch.Tensor:
    """Intensities of what is in a domain."""
    line = np.linspace(-2, 3, 50001)
    inside = domain.enter(line.astype(np.float32))
    return torch.from_numpy(np.interp(there.numpy(), inside, line)).float()


def scene(domain: Domain, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes that are as bright as four stds of their noise up to the top, and a noisy image of them."""
    clean = torch.linspace(0.3, 1, 8).repeat_interleave(32).expand(1, 1, 400, 256)
    level = torch.from_numpy(domain.noise.levels(clean.numpy())).float()
    return clean, clean + level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_slices_are_split_in_intensities_and_seen_in_their_domain(name, alpha):
    domain = DOMAINS[name]
    clean, noisy = scene(domain)
    centre = torch.from_numpy(domain.enter(noisy.numpy()))
    split = Recorruption(domain, domain.noise, alpha, CPU).split(centre, torch.Generator().manual_seed(1))
    source = plain(domain, split.source)
    # What both halves have in common is the noisy image.
    together = (source + alpha**2 * split.target) / (1 + alpha**2)
    torch.testing.assert_close(together, noisy, atol=1e-3, rtol=0)
    level = torch.from_numpy(domain.noise.levels(clean.numpy()))
    for stripe in range(0, 256, 32):
        part = (..., slice(stripe + 8, stripe + 24))
        one, other = ((half - clean)[part] / level[part] for half in (source, split.target))
        assert float(one.std()) == pytest.approx((1 + alpha**2) ** 0.5, rel=0.06)
        assert abs(float((one * other).mean())) < 0.08 * float(one.std() * other.std())
        assert float((split.unit[part] / level[part]).mean()) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("name", DOMAINS)
def test_a_student_is_told_the_level_of_what_it_sees(name):
    domain = DOMAINS[name]
    recorruption = Recorruption(domain, domain.noise, 0.5, CPU)
    assert recorruption.level == pytest.approx(domain.level * 1.25**0.5)
    noisy = scene(domain)[1]
    centre = torch.from_numpy(domain.enter(noisy.numpy()))
    seen = recorruption.split(centre, torch.Generator().manual_seed(1)).source
    bright = seen[..., 200:216]
    assert float(bright.std()) == pytest.approx(recorruption.level, rel=0.05)


@pytest.mark.parametrize("name", DOMAINS)
def test_results_are_held_against_the_second_half_as_means(name):
    domain = DOMAINS[name]
    clean, noisy = scene(domain)
    recorruption = Recorruption(domain, domain.noise, 0.5, CPU)
    split = recorruption.split(
        torch.from_numpy(domain.enter(noisy.numpy())), torch.Generator().manual_seed(1)
    )
    # The mean of each stripe in the domain stands for its own brightness.
    z = np.linspace(-8, 8, 4001)
    chance = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    brightness = clean[0, 0, 0].numpy()
    drawn = brightness[:, None] + domain.noise.levels(brightness)[:, None] * z
    means = torch.from_numpy(domain.enter(drawn.astype(np.float32)) @ chance).float().expand_as(clean)
    found = recorruption.error(means, split)
    torch.testing.assert_close(found, (clean - split.target) / split.unit, atol=0.02, rtol=0)


def test_both_signs_of_a_noise_are_drawn_where_there_is_data():
    domain = DOMAINS["counts"]
    centre = torch.from_numpy(domain.enter(scene(domain)[1].numpy()))
    known = torch.ones_like(centre)
    known[..., ::2] = 0
    recorruption = Recorruption(domain, domain.noise, 0.5, CPU)
    split = recorruption.split(centre, torch.Generator().manual_seed(1), known=known, both=True)
    assert len(split.source) == len(split.target) == len(split.unit) == 2
    plus, minus = plain(domain, split.source)
    torch.testing.assert_close((plus + minus) / 2, plain(domain, centre)[0], atol=1e-3, rtol=0)
    there = (split.source - centre).abs()
    assert float(there[..., ::2].max()) < 2e-3
    assert float(there[..., 1::2].mean()) > 0.02


def test_gradients_go_through_what_is_held_against_the_second_half():
    domain = DOMAINS["counts"]
    centre = torch.from_numpy(domain.enter(scene(domain)[1].numpy()))
    recorruption = Recorruption(domain, domain.noise, 0.5, CPU)
    split = recorruption.split(centre, torch.Generator().manual_seed(1))
    output = centre.clone().requires_grad_()
    recorruption.error(output, split).sum().backward()
    # Means in the domain rise by about the level where intensities do by a std.
    assert float(output.grad.mean()) * domain.level == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_a_student_sees_the_brightness_of_the_scan(alpha):
    domain = Domain(NoiseModel.constant(0.05), 0.05)
    recorruption = Recorruption(domain, domain.noise, alpha, CPU)
    flat = torch.where(torch.arange(128) < 64, 0.1, 0.8).expand(2, 1, 96, 128)
    source = flat + recorruption.level * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    # In units of what it is told each time.
    seen = (source + recorruption.shift(source) - 0.5) / recorruption.level
    for part, brightness in ((slice(0, 40), 0.1), (slice(88, 128), 0.8)):
        expected = (brightness - 0.5) / domain.level
        assert float(seen[..., part].mean()) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_of_magnitudes_the_brightness_is_that_of_the_signal(alpha):
    zero = -0.1
    domain = Domain(NoiseModel.constant(0.05), 0.05, zero)
    recorruption = Recorruption(domain, domain.noise, alpha, CPU)
    signal = torch.where(torch.arange(128) < 64, 0.0, 0.8).expand(2, 1, 96, 128)
    real, imaginary = recorruption.level * torch.randn(
        2, *signal.shape, generator=torch.Generator().manual_seed(0)
    )
    shift = recorruption.shift(zero + torch.hypot(signal + real, imaginary))
    more = (1 + alpha**2) ** 0.5 - 1
    # The mean over a place scatters, and no signal is negative.
    assert float(shift[..., :40].mean()) == pytest.approx(more * (zero - 0.5), abs=0.02 * more)
    assert float(shift[..., 88:].mean()) == pytest.approx(more * (zero + 0.8 - 0.5), abs=0.02 * more)

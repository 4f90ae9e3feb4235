from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from diffdenoise.method.blind_spot import fill, loss, predict, random_mask


def scene(share=0.2, width=1, seed=0):
    """An image (1, 1, 11, 14), pixels to hide, and all that is hidden with them."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 1, 11, 14, generator=generator)
    mask = random_mask(image, share, width, generator)
    hidden = functional.max_pool2d(mask.float(), width, stride=1, padding=width // 2) > 0
    return image, mask, hidden


@pytest.mark.parametrize("width", [1, 3])
def test_fill_leaves_visible_pixels(width):
    image, mask, hidden = scene(width=width)
    filled = fill(image, mask, width)
    assert hidden.any()
    assert torch.equal(filled[~hidden], image[~hidden])
    assert not torch.any(filled[hidden] == image[hidden])


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_filled_image_does_not_depend_on_hidden_pixels(width, share):
    image, mask, hidden = scene(share, width)
    jacobian = torch.autograd.functional.jacobian(lambda x: fill(x, mask, width), image)
    by_input = jacobian.reshape(hidden.numel(), hidden.numel()).abs()
    assert torch.all(by_input[:, hidden.flatten()] == 0)
    assert torch.all(by_input[hidden.flatten()].sum(1) > 0)


def test_filled_values_lie_between_the_visible_ones():
    image, mask, hidden = scene(0.5)
    filled = fill(image, mask, 1)[hidden]
    assert image[~hidden].min() <= filled.min()
    assert filled.max() <= image[~hidden].max()


def test_a_constant_image_is_filled_with_its_value_wherever_anything_is_visible():
    image = torch.full((1, 1, 40, 40), 0.6)
    mask = torch.ones_like(image, dtype=torch.bool)
    mask[..., 0, 0] = False
    torch.testing.assert_close(fill(image, mask, 1), image)


def test_fill_is_finite_when_everything_is_hidden():
    image = torch.rand(2, 1, 9, 9)
    assert torch.isfinite(fill(image, torch.ones_like(image, dtype=torch.bool), 3)).all()


@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize("share", [0.1, 0.35])
def test_share_of_hidden_pixels(width, share):
    like = torch.zeros(4, 1, 200, 200)
    mask = random_mask(like, share, width, torch.Generator().manual_seed(1))
    hidden = functional.max_pool2d(mask.float(), width, stride=1, padding=width // 2).mean()
    assert float(hidden) == pytest.approx(share, abs=0.01)


def test_a_share_for_each_image():
    share = torch.tensor([0.0, 0.5]).reshape(2, 1, 1, 1)
    mask = random_mask(torch.zeros(2, 1, 100, 100), share, 1, torch.Generator().manual_seed(1))
    assert not mask[0].any()
    assert float(mask[1].float().mean()) == pytest.approx(0.5, abs=0.03)


def test_loss_is_smallest_at_the_true_mean_and_variance():
    generator = torch.Generator().manual_seed(2)
    noisy = (0.4 + 0.2 * torch.randn(1, 1, 300, 300, generator=generator)).double()
    weight = torch.ones_like(noisy)
    mean = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    log_variance = torch.tensor(0.04, dtype=torch.float64).log().requires_grad_()
    slopes = {}
    for shift, scale in [(0, 1), (0.05, 1), (-0.05, 1), (0, 1.5), (0, 0.7)]:
        moved, wider = (mean + shift).expand_as(noisy), (log_variance.exp() * scale).expand_as(noisy)
        slopes[shift, scale] = torch.autograd.grad(loss(moved, wider, noisy, weight), [mean, log_variance])
    # The tempering factor carries no gradient, so the minimum is where the slopes change sign.
    assert slopes[0.05, 1][0] > 0 > slopes[-0.05, 1][0]
    assert abs(slopes[0, 1][0]) < 0.1 * slopes[0.05, 1][0]
    assert slopes[0, 1.5][1] > 0 > slopes[0, 0.7][1]
    assert abs(slopes[0, 1][1]) < 0.1 * slopes[0, 1.5][1]


def test_uncertain_pixels_pull_less_by_the_root_of_their_variance_only():
    # Without the factor a pixel of four times the variance would pull a fourth as hard, with it half.
    mean = torch.zeros(1, 1, 1, 2, dtype=torch.float64, requires_grad=True)
    variance = torch.tensor([[[[0.01, 0.04]]]], dtype=torch.float64, requires_grad=True)
    noisy, weight = torch.full_like(mean, 0.3), torch.ones_like(mean)
    found = loss(mean, variance, noisy, weight)
    by_mean, by_variance = torch.autograd.grad(found, [mean, variance])
    torch.testing.assert_close(by_mean, torch.tensor([[[[-0.6 / 0.1, -0.6 / 0.2]]]]).double() / 2)
    # The factor itself has no gradient: d/dv of (e^2 / v + ln v), times the root of v.
    slopes = [root * (1 / root**2 - 0.09 / root**4) / 2 for root in (0.1, 0.2)]
    torch.testing.assert_close(by_variance, torch.tensor([[[slopes]]], dtype=torch.float64))
    values = [root * (0.09 / root**2 + math.log(root**2)) for root in (0.1, 0.2)]
    assert found.item() == pytest.approx(sum(values) / 2)


def test_loss_looks_at_weighted_pixels_alone():
    noisy, mean = torch.rand(2, 1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    variance = torch.full_like(noisy, 0.1)
    weight = torch.zeros_like(noisy)
    weight[..., :3] = 1
    changed = torch.where(weight > 0, noisy, noisy + 5)
    assert loss(mean, variance, noisy, weight) == loss(mean, variance, changed, weight)
    assert loss(mean, variance, noisy, weight) == pytest.approx(
        float(loss(mean[..., :3], variance[..., :3], noisy[..., :3], weight[..., :3])), rel=1e-5
    )
    assert torch.isfinite(loss(mean, variance, noisy, torch.zeros_like(weight)))


def test_predict_speaks_scaled_intensities_and_keeps_variances_in_bounds():
    def network(signed_input, blind_spot):
        assert blind_spot == 3
        return signed_input[:, :1], torch.tensor([-1e4, 0.0, 1e4]).reshape(1, 1, 1, 3)

    noisy = torch.tensor([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3)
    mean, variance = predict(network, noisy, 3, 0.1)
    torch.testing.assert_close(mean, noisy)
    assert torch.isfinite(variance).all()
    assert variance[..., 0] < variance[..., 1] < variance[..., 2]
    # A pixel can't vary much less than its noise; untrained, a network takes it to vary a little more.
    assert variance[..., 0].item() == pytest.approx(0.5 * 0.1**2, rel=1e-2)
    assert variance[..., 1].item() == pytest.approx(1.5 * 0.1**2)

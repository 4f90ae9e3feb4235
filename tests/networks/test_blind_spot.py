"""What each output pixel of the blind-spot network depends on, read off exact derivatives."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from diffdenoise.networks.blind_spot import BlindSpotNet, ring_mean

SIZES = [(16, 16), (13, 18), (19, 11)]


def random_network(neighbours: int = 0, width: int = 6) -> BlindSpotNet:
    """A network in double precision in which no weight is zero."""
    torch.manual_seed(3)
    network = BlindSpotNet(width, neighbours=neighbours).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def derivatives(network, image, pixel, blind_spot):
    """|d output at `pixel` / d input| for the mean and the log-variance, (2, channels, h, w)."""
    found = []
    for part in range(2):
        leaf = image.clone().requires_grad_()
        network(leaf, blind_spot)[part][0, 0][pixel].backward()
        found.append(leaf.grad[0].abs())
    return torch.stack(found)


def pixels_of(height, width):
    """Corners, their surroundings, edges and the inside."""
    bottom, right = height - 1, width - 1
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    return [*corners, (1, 2), (height - 3, 1), (height // 2, 0), (height // 2 + 1, width // 2 - 1)]


@pytest.mark.parametrize("blind_spot", [1, 3, 5, 7])
@pytest.mark.parametrize("size", SIZES)
def test_blind_square_is_unseen_and_its_rim_is_seen(size, blind_spot):
    network = random_network()
    height, width = size
    image = torch.randn(1, 1, height, width, dtype=torch.float64)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    for pixel in pixels_of(height, width):
        distance = torch.maximum((rows - pixel[0]).abs(), (columns - pixel[1]).abs())
        seen = derivatives(network, image, pixel, blind_spot)[:, 0]
        assert torch.all(seen[:, distance <= blind_spot // 2] == 0)
        assert torch.all(seen[:, distance == blind_spot // 2 + 1] > 0)


@pytest.mark.parametrize("blind_spot", [1, 3, 7])
@pytest.mark.parametrize("size", SIZES)
def test_neighbour_slices_are_seen_everywhere(size, blind_spot):
    network = random_network(neighbours=1)
    height, width = size
    image = torch.randn(1, 3, height, width, dtype=torch.float64)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    # What lies in a corner square of this side is lost on output pixels nearer to the middle.
    shift = (blind_spot + 1) // 2
    from_top, from_left = torch.minimum(rows, height - 1 - rows), torch.minimum(columns, width - 1 - columns)
    in_corner = (from_top < shift) & (from_left < shift)
    for pixel in pixels_of(height, width):
        seen = derivatives(network, image, pixel, blind_spot)
        distance = torch.maximum((rows - pixel[0]).abs(), (columns - pixel[1]).abs())
        assert torch.all(seen[:, 1:, *pixel] > 0)
        assert torch.all(seen[:, 1:, (distance <= 4) & ~in_corner] > 0)
        # The slice itself stays as blind as without neighbours.
        assert torch.all(seen[:, 0, distance <= blind_spot // 2] == 0)


def test_neighbour_slices_are_in_their_own_place():
    # A bright pixel in a neighbour slice changes the output most where it is, not shifted from it.
    network = random_network(neighbours=1)
    base = torch.zeros(1, 3, 17, 17, dtype=torch.float64)
    spot = base.clone()
    spot[0, 1, 8, 8] = 1e-3
    for blind_spot in (1, 5):
        change = sum(
            (a - b)[0, 0].abs()
            for a, b in zip(network(spot, blind_spot), network(base, blind_spot), strict=True)
        )
        total = change.sum()
        offsets = torch.arange(17, dtype=torch.float64) - 8
        assert abs((change.sum(1) * offsets).sum() / total) < 1.5
        assert abs((change.sum(0) * offsets).sum() / total) < 1.5


def test_the_same_weights_serve_all_blind_spots():
    network = random_network()
    image = torch.randn(1, 1, 16, 20, dtype=torch.float64)
    outputs = [network(image, blind_spot)[1] for blind_spot in (1, 3, 5, 7)]
    for output in outputs:
        assert output.shape == image.shape
    for first, second in pairwise(outputs):
        assert not torch.allclose(first, second)


@pytest.mark.parametrize("neighbours", [0, 1])
def test_square_images_give_what_four_separate_rotations_give(neighbours, monkeypatch):
    network = random_network(neighbours)
    images = torch.randn(3, 1 + 2 * neighbours, 14, 15, dtype=torch.float64)  # a square of 16 when padded
    together = network(images, 3)
    branch = network.branch.forward
    monkeypatch.setattr(
        network.branch, "forward", lambda stack: torch.cat([branch(one[None]) for one in stack])
    )
    separate = [
        torch.cat(parts) for parts in zip(*(network(image[None], 3) for image in images), strict=True)
    ]
    for one, other in zip(together, separate, strict=True):
        torch.testing.assert_close(one, other)


def test_square_and_oblong_images_go_through_the_same_network():
    # Far from the right edge, an image does not tell whether it was continued there.
    network = random_network(width=4)
    oblong = torch.randn(1, 1, 96, 112, dtype=torch.float64)
    square = oblong[..., :96].clone()
    for one, other in zip(network(oblong, 3), network(square, 3), strict=True):
        torch.testing.assert_close(one[..., :32], other[..., :32])


def test_untrained_network_predicts_the_mean_of_the_ring():
    network = BlindSpotNet(4)
    image = torch.randn(2, 1, 12, 9)
    mean, log_variance = network(image, 3)
    torch.testing.assert_close(mean, ring_mean(image, 3))
    assert torch.all(log_variance == 0)


@pytest.mark.parametrize("blind_spot", [1, 3, 5, 7])
def test_ring_mean_of_a_constant_is_that_constant_up_to_the_border(blind_spot):
    image = torch.full((1, 1, 9, 16), 0.7, dtype=torch.float64)
    torch.testing.assert_close(ring_mean(image, blind_spot), image)

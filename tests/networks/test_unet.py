from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdenoise.networks.unet import UNet


def random_unet(**options) -> UNet:
    """A U-Net whose last layer is not zero."""
    torch.manual_seed(5)
    network = UNet(2, 1, 4, **options)
    torch.nn.init.normal_(network.exit.weight)
    return network


@settings(max_examples=25, deadline=None)
@given(height=st.integers(8, 40), width=st.integers(8, 40), levels=st.integers(1, 4))
def test_any_size_comes_out_as_it_went_in(height, width, levels):
    network = UNet(3, 2, 4, levels=levels)
    with torch.no_grad():
        assert network(torch.zeros(2, 3, height, width)).shape == (2, 2, height, width)


def test_untrained_output_is_zero():
    network = UNet(2, 1, 4, level_input=True)
    assert torch.all(network(torch.randn(2, 2, 12, 9), torch.zeros(2)) == 0)


def test_output_depends_on_the_level_of_its_own_image():
    network = random_unet(level_input=True)
    image = torch.randn(1, 2, 12, 12).repeat(2, 1, 1, 1)
    output = network(image, torch.tensor([-1.0, 2.0]))
    assert not torch.allclose(output[0], output[1])
    torch.testing.assert_close(network(image[:1], torch.tensor([-1.0]))[0], output[0])


def test_gradients_reach_every_parameter():
    network = random_unet(level_input=True)
    network(torch.randn(4, 2, 16, 16), torch.linspace(-3, 3, 4)).square().sum().backward()
    untouched = [
        name for name, one in network.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0
    ]
    assert untouched == []


def test_a_network_without_level_input_holds_no_weights_for_it():
    plain = {name for name, _ in UNet(1, 1, 4).named_parameters()}
    with_level = {name for name, _ in UNet(1, 1, 4, level_input=True).named_parameters()}
    assert plain < with_level
    assert all(name.startswith(("embed.", "level_biases.")) for name in with_level - plain)


def test_padding_to_whole_cells_is_not_seen_in_the_inside():
    # Sizes that need padding give, away from the edge, what the uncut image gives.
    network = random_unet(levels=2)
    image = torch.randn(1, 2, 48, 48)
    whole, cut = network(image), network(image[..., :45, :46])
    torch.testing.assert_close(whole[..., :24, :24], cut[..., :24, :24])


def test_full_resolution_goes_past_the_coarser_levels():
    network = random_unet(levels=2)
    for parameter in network.down.parameters():
        torch.nn.init.zeros_(parameter)
    image = torch.randn(1, 2, 16, 16)
    other = image.clone()
    other[..., 8, 8] += 1
    assert not torch.allclose(network(image)[..., 8, 8], network(other)[..., 8, 8])

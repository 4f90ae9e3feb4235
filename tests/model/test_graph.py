"""The graph that is built from a folder's weights is the network that was trained."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from diffdenoise.model.backends import OnnxBackend, TorchBackend
from diffdenoise.model.graph import LEVELS, STEP, reach, shapes, student_graph
from diffdenoise.networks.unet import UNet
from tests.model.students import images, student, weights_of


@pytest.mark.parametrize(("channels", "width"), [(1, 4), (3, 8), (7, 20)])
def test_shapes_are_those_of_the_network(channels: int, width: int) -> None:
    network = UNet(channels, 1, width)
    assert network.levels == LEVELS
    assert shapes(channels, width) == {name: tuple(each.shape) for name, each in network.state_dict().items()}


def test_the_graph_is_valid_onnx_with_free_sizes() -> None:
    model = onnx.load_from_string(student_graph(weights_of(student())))
    onnx.checker.check_model(model, full_check=True)
    [noisy], [denoised] = model.graph.input, model.graph.output
    sides = [
        [side.dim_param or side.dim_value for side in each.type.tensor_type.shape.dim]
        for each in (noisy, denoised)
    ]
    assert sides == [["n", 3, "h", "w"], ["n", 1, "h", "w"]]


@pytest.mark.parametrize(
    ("channels", "width", "shape"), [(1, 4, (1, 64, 64)), (3, 8, (3, 32, 48)), (7, 20, (2, 4, 8))]
)
def test_both_backends_give_what_the_trained_network_gives(
    channels: int, width: int, shape: tuple[int, int, int]
) -> None:
    network = student(channels, width)
    noisy = images((shape[0], channels, *shape[1:]))
    with torch.no_grad():
        # In units of the noise, where what is added and what it is added to are the same.
        expected = noisy[:, :1] + network(torch.from_numpy(noisy)).numpy()
    assert np.abs(expected - noisy[:, :1]).max() > 0.1
    weights = weights_of(network)
    for backend in (OnnxBackend(weights, 1), TorchBackend(weights, "cpu")):
        found = backend.run(noisy)
        assert found.dtype == np.float32
        # Within 1e-4 of the range, whose width is 1, even where corrections are as large as the range.
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_pixel_depends_on_those_within_reach_and_no_others() -> None:
    network = student(1, 4)
    torch.nn.init.ones_(network.entry.weight)
    for parameter in network.parameters():
        # Positive throughout: nothing is cut off or cancels.
        parameter.data.abs_()
    # An output pixel at the start and one at the end of a step, between which reach is symmetric.
    for at in (64, 64 + STEP - 1):
        image = torch.rand(1, 1, 128, 128, requires_grad=True)
        network(image)[0, 0, at, at].backward()
        assert image.grad is not None
        rows = torch.nonzero(image.grad[0, 0].abs().amax(1)).flatten()
        first, last = at - int(rows.min()), int(rows.max()) - at
        assert max(first, last) == reach() if at == 64 else last == reach()

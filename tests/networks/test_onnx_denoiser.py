"""Which slices an exported model is given, in programs that know nothing of this package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffdenoise.networks.onnx_denoiser import OnnxDenoiser, _across, _beside
from diffdenoise.scan.neighbours import with_neighbours
from diffdenoise.scan.read import from_array
from diffdenoise.scan.slices import choose_axis
from tests.model.test_export import instant, white


@pytest.mark.parametrize(
    ("shape", "sizes", "axis"),
    [
        ((90, 80, 70), (1.0, 3.0, 1.0), 1),
        ((90, 80, 70), (1.0, 1.1, 1.0), 2),
        ((10, 80, 70), None, 0),
        ((90, 80, 70), None, 2),
        ((90, 80, 70), (1.0, 1.0, 1.0), 2),
    ],
)
def test_volumes_are_cut_as_here(shape: tuple[int, ...], sizes: tuple[float, ...] | None, axis: int) -> None:
    assert _across(shape, sizes) == axis
    assert choose_axis(replace(from_array(np.zeros(shape)), spacing_mm=sizes)) == axis


@pytest.mark.parametrize("neighbours", [0, 1, 3])
def test_slices_have_the_same_ones_beside_them(neighbours: int) -> None:
    assert [_beside(k, neighbours, 7) for k in range(7)] == [
        with_neighbours(k, neighbours, 7) for k in range(7)
    ]


def test_what_it_cannot_take_is_said(tmp_path: Path) -> None:
    network = OnnxDenoiser(instant(white((96, 100, 4))).save_onnx(tmp_path / "model.onnx"))
    with pytest.raises(ValueError, match=r"expected \(n, 1, height, width\)"):
        network(torch.zeros(1, 2, 40, 40))
    with pytest.raises(ValueError, match="found 1 slices; the model takes 1 on either side"):
        network(torch.rand(1, 1, 40, 40))

"""An exported file gives other programs, of raw intensities, what the model gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.errors import ModelError, OutputError
from diffdenoise.model.export import exported
from diffdenoise.model.instant import instant_model
from diffdenoise.model.trained import Model
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.place import PlaceMap
from diffdenoise.noise.simulate import gaussian
from diffdenoise.plan import make_plan
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.neighbours import with_neighbours
from diffdenoise.scan.read import from_array
from diffdenoise.types import Array

Shape = tuple[int, int, int]
Noisy = Callable[[Shape], Array]


def smooth(shape: Shape) -> Array:
    y, x, z = np.indices(shape, dtype=float)
    return 900 + 500 * np.sin(x / 9 + z / 4) * np.cos(y / 7) + 300 * (x > shape[1] / 2)


def white(shape: Shape) -> Array:
    return gaussian(smooth(shape), 60.0, rng=np.random.default_rng(0)).astype(np.float32)


def counts(shape: Shape) -> Array:
    return (12 * np.random.default_rng(0).poisson(smooth(shape) / 12)).astype(np.float32)


def instant(noisy: Array) -> Model:
    settings = Settings.build(assignments=["stage3.orientations=1", "data.axis=2"])
    return instant_model(make_plan([from_array(noisy)], settings), "cpu", 1)


def run(path: Path, noisy: Array, neighbours: int) -> Array:
    """As another program would: slices along the last axis, each with those beside it."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    slices = np.moveaxis(noisy, 2, 0)
    count = len(slices)
    channels = np.stack([slices[with_neighbours(k, neighbours, count)] for k in range(count)])
    known = IntensityMap.fit(noisy)
    ends = {"low": np.array(known.low, np.float32), "high": np.array(known.high, np.float32)}
    [found] = session.run(["denoised"], {"noisy": channels, **ends})
    return np.moveaxis(found[:, 0], 0, 2)


@pytest.mark.parametrize("shape", [(96, 100, 4), (101, 98, 6)], ids=["whole pools", "odd sides"])
@pytest.mark.parametrize("noise", [white, counts])
def test_it_gives_what_the_model_gives(tmp_path: Path, noise: Noisy, shape: Shape) -> None:
    noisy = noise(shape)
    model = instant(noisy)
    assert (model.noise.is_constant, model.noise.place) == (noise is white, None)
    path = model.save_onnx(tmp_path / "model.onnx")
    scan = from_array(noisy)
    expected = model.denoise_scan(scan, model.noise_of(scan), own=True).scan.data
    found = run(path, noisy, model.details.neighbours)
    assert np.abs(expected - noisy).std() > 20
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.ptp(noisy))
    assert np.abs(found - expected).mean() < 2e-5 * np.ptp(noisy)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    model = instant(white((96, 100, 4)))
    path = model.save_onnx(tmp_path / "model.onnx")
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    assert [one.name for one in made.graph.input] == ["noisy", "low", "high"]
    about = {entry.key: entry.value for entry in made.metadata_props}
    assert about["version"] == dd.__version__
    assert about["trained_on"] == "no scan"
    assert "NoiseModel" in about["noise"]
    with pytest.raises(OutputError, match="exists already"):
        model.save_onnx(path)
    assert model.save_onnx(path, overwrite=True) == path


def test_a_map_of_places_is_no_part_of_it() -> None:
    model = instant(white((96, 100, 4)))
    place = PlaceMap((((0.0, 0.4), (0.1, 0.2)),))
    domain = Domain(replace(model.noise, place=place), model.details.level)
    with pytest.raises(ModelError, match="varies from place to place"):
        exported({}, domain, {})

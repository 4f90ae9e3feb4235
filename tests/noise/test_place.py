"""The noise's level by place: what a map says between its knots, and that maps are found."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from diffdenoise.model.record import NoiseRecord
from diffdenoise.noise.correlation import WHITE
from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.model import NoiseModel, model_of_curve
from diffdenoise.noise.place import PlaceMap, placed

RAMP = PlaceMap.of_grid(np.log([[[1.0, 2.0], [1.0, 2.0]]]))


def test_a_map_is_linear_in_the_logarithm_between_its_knots():
    found = RAMP.of_slice((5, 3, 9), 2)
    assert found.shape == (3, 9)
    np.testing.assert_allclose(found, np.broadcast_to(2 ** (np.arange(9) / 8), (3, 9)), rtol=1e-3)


def test_a_map_may_differ_from_slice_to_slice():
    place = PlaceMap.of_grid(np.log([[[1.0]], [[4.0]]]))
    levels = [float(place.of_slice((5, 2, 2), number)[0, 0]) for number in range(5)]
    np.testing.assert_allclose(levels, [1, 2**0.5, 2, 8**0.5, 4], rtol=1e-3)
    # A single slice is in the middle.
    assert float(place.of_slice((1, 2, 2), 0)[0, 0]) == pytest.approx(2, rel=1e-3)


def test_a_part_of_a_slice_is_what_the_whole_has_there():
    rng = np.random.default_rng(0)
    place = PlaceMap.of_grid(rng.normal(0, 0.4, (3, 5, 4)))
    whole = place.over((7, 40, 33))
    assert len(whole) == 7
    part = place.of_slice((7, 40, 33), 4, (11, 30), (2, 21))
    np.testing.assert_array_equal(part, whole[4][11:30, 2:21])
    assert float(whole[0].min()) >= place.least - 1e-6
    assert float(whole[0].max()) <= place.most + 1e-6


def test_slices_with_a_map_keep_their_intensities():
    stack = np.random.default_rng(0).normal(size=(3, 8, 9)).astype(np.float32)
    (found,) = placed([stack], RAMP)
    assert (len(found), found.shape) == (3, (3, 8, 9))
    np.testing.assert_array_equal(found[1], stack[1])
    assert placed([stack], None) == [stack]


def test_levels_are_those_of_the_brightness_times_those_of_the_place():
    noise = NoiseModel((0.0, 1.0), (0.1, 0.3), place=RAMP)
    found = noise.levels(np.array([0.0, 0.5, 1.0]), np.array([1.0, 2.0, 0.5]))
    np.testing.assert_allclose(found, [0.1, 0.4, 0.15])
    assert noise.least_std == pytest.approx(0.1)
    weaker = NoiseModel((0.0, 1.0), (0.1, 0.3), place=PlaceMap.of_grid(np.log([[[0.5, 2.0]]])))
    assert weaker.least_std == pytest.approx(0.05, rel=1e-3)
    assert "times 0.50 to 2.00 by place" in repr(weaker)
    for points in (3, 1):
        curve = [LevelPoint(0.3 * one, 0.05 + 0.1 * one, 500) for one in range(points)]
        assert getattr(model_of_curve(curve, WHITE, place=RAMP), "place", None) == RAMP


def test_a_map_is_kept_in_a_models_record():
    noise = NoiseModel((0.0,), (0.1,), place=RAMP)
    text = json.dumps(noise.as_dict())
    assert NoiseRecord.model_validate_json(text).model() == noise
    # Folders of before have none.
    old = json.dumps(NoiseModel.constant(0.1).as_dict())
    assert "place" not in old
    assert NoiseRecord.model_validate_json(old).model().place is None


@pytest.mark.parametrize("place", [[[[0.0, 0.1], [0.0]]], [[[0.0]], [[0.0], [0.1]]], [[[9.0]]], [[[]]], []])
def test_a_damaged_map_is_refused(place):
    with pytest.raises(ValidationError, match="place"):
        NoiseRecord.model_validate_json(json.dumps({**NoiseModel.constant(0.1).as_dict(), "place": place}))

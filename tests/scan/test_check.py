from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdenoise.errors import IntensityError, ShapeError
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.read import from_array

from .files import values

GOOD = values((9, 11, 4), np.float32)


def _with(value):
    data = GOOD.copy()
    data.flat[[3, 5]] = value
    return data


@pytest.mark.parametrize(
    "shape", [(8, 8), (9, 11), (9, 11, 1), (1, 9, 11), (9, 1, 11), (9, 11, 4, 1), (9, 11, 1, 3)]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_images_volumes_and_series_pass(shape, dtype):
    check_scan(from_array(values(shape, dtype)))


@pytest.mark.parametrize(
    "shape", [(), (9,), (9, 9, 9, 2, 2), (1, 1), (7, 20), (9, 7, 1), (0, 9), (9, 9, 0), (9, 9, 9, 0)]
)
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"scan: .*expected"):
        check_scan(from_array(np.ones(shape), "scan"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_with(-np.inf), r"holds 2 infinite values of 396"),
        (np.full((9, 9), np.nan), "nothing but NaN"),
        (np.where(np.eye(9) > 0, 5.0, np.nan), "constant"),
        (np.zeros((9, 9)), "constant"),
        (np.full((9, 9), 7, np.uint8), "constant"),
        (np.eye(9), "two values"),
        (np.eye(9, dtype=bool), "true/false"),
        (np.ones((9, 9), complex), "magnitude"),
        (np.full((9, 9), "x"), "expected numbers"),
        (np.full((9, 9), None), "expected numbers"),
        (values((9, 11, 3), np.uint8), r"colour \(RGB\).*move the slices to the first axis"),
        (values((9, 11, 4), np.uint8), r"colour \(RGB\)"),
    ],
)
def test_values_that_cannot_be_denoised_are_refused(data, reason):
    with pytest.raises(IntensityError, match=f"scan: .*{reason}") as caught:
        check_scan(from_array(data, "scan"))
    assert "\n" not in str(caught.value)


def test_nan_stands_for_no_data():
    check_scan(from_array(_with(np.nan)))


def test_a_mask_that_leaves_nothing_is_refused():
    scan = replace(from_array(values((9, 9), np.float32), "scan"), outside=np.ones((9, 9), bool))
    with pytest.raises(IntensityError, match="scan: nothing is inside"):
        check_scan(scan)


def test_three_slices_on_the_first_axis_are_no_colour():
    check_scan(from_array(values((3, 9, 11), np.uint8)))

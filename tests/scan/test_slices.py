from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffdenoise.errors import SettingsError, ShapeError
from diffdenoise.scan.cut import from_stacks, to_stacks
from diffdenoise.scan.read import from_array
from diffdenoise.scan.slices import choose_axis


def scan(*shape, spacing=None, stated=None):
    return replace(from_array(np.zeros(shape), "scan"), spacing_mm=spacing, slice_axis=stated)


@pytest.mark.parametrize(
    ("given_scan", "expected", "why"),
    [
        (scan(20, 20), None, "single image"),
        (scan(20, 20, 20), 2, "nothing known: the last"),
        (scan(20, 20, 20, stated=0), 0, "stated by the file"),
        (scan(20, 20, 20, spacing=(3.0, 1.0, 1.0), stated=1), 1, "stated before voxel size"),
        (scan(20, 20, 20, spacing=(1.0, 3.0, 1.0)), 1, "thickest"),
        (scan(20, 20, 20, spacing=(1.1, 1.0, 1.0)), 2, "not clearly thicker"),
        (scan(20, 20, 20, spacing=(3.0, 3.0, 1.0)), 2, "two thick ones"),
        (scan(20, 9, 20, spacing=(1.0, 1.0, 1.0)), 1, "fewest samples"),
        (scan(20, 9, 20, spacing=(3.0, 1.0, 1.0)), 0, "voxel size before samples"),
        (scan(20, 10, 20), 2, "not clearly fewer"),
        (scan(1, 20, 20, spacing=(1.0, 3.0, 1.0)), 0, "a slice cannot be one pixel high"),
        (scan(20, 20, 1, stated=0), 2, "nor if the file says so"),
        (scan(7, 20, 20, spacing=(1.0, 3.0, 1.0)), 0, "nor seven"),
        (scan(20, 20, 20, 3, spacing=(1.0, 3.0, 1.0)), 1, "series"),
        (scan(20, 20, 1, 40), 2, "series of one slice"),
    ],
)
def test_the_slice_axis(given_scan, expected, why):
    assert choose_axis(given_scan) == expected, why


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_asked_for_wins(axis):
    assert choose_axis(scan(20, 20, 20, spacing=(1.0, 1.0, 3.0), stated=2), axis) == axis


@pytest.mark.parametrize(
    ("given_scan", "axis", "error"),
    [
        (scan(20, 20, 20), 3, SettingsError),
        (scan(20, 20, 20), -1, SettingsError),
        (scan(20, 20, 20, 5), 3, SettingsError),
        (scan(20, 20), 0, ShapeError),
        (scan(20, 20, 1), 0, ShapeError),
        (scan(20, 7, 7), None, ShapeError),
        (scan(7, 20), None, ShapeError),
    ],
)
def test_axes_that_do_not_fit_are_refused(given_scan, axis, error):
    with pytest.raises(error, match=r"expected|leave out"):
        choose_axis(given_scan, axis)


shapes = arrays.array_shapes(min_dims=2, max_dims=4, max_side=5)


@given(data=shapes.flatmap(lambda shape: arrays.arrays(np.float32, shape)), axis=st.integers(0, 2))
def test_cut_then_join_is_the_identity(data, axis):
    stacks = to_stacks(data, axis)
    assert all(stack.ndim == 3 for stack in stacks)
    assert len(stacks) == (data.shape[3] if data.ndim == 4 else 1)
    if data.ndim > 2:
        assert stacks[0].shape[0] == data.shape[axis]
    joined = from_stacks([stack.copy() for stack in stacks], data.shape, axis)
    assert joined.dtype == data.dtype
    assert np.array_equal(joined, data, equal_nan=True)


def test_slices_are_the_planes_across_the_axis():
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert np.array_equal(to_stacks(data, 1)[4][2], data[:, 2, :, 4])


def test_stacks_that_do_not_fit_are_refused():
    stack = np.zeros((4, 5, 6))
    with pytest.raises(ShapeError, match="expected"):
        from_stacks([stack], (4, 5, 7), 0)
    with pytest.raises(ShapeError, match="expected"):
        from_stacks([stack, stack], (4, 5, 6), 0)
    with pytest.raises(SettingsError, match="expected 0, 1 or 2"):
        to_stacks(stack, None)

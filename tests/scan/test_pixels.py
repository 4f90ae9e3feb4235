from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffdenoise.errors import OutputError
from diffdenoise.scan.pixels import to_stored

INTEGERS = [np.dtype(code) for code in ("u1", "i1", "u2", "<i2", ">i2", "u4", ">i4", "u8", "i8")]


@given(
    data=arrays.arrays(np.float64, 9, elements=st.floats(allow_nan=False, allow_infinity=False)),
    dtype=st.sampled_from(INTEGERS),
)
def test_reals_become_the_nearest_integer_within_the_limits(data, dtype):
    limits = np.iinfo(dtype)
    stored = to_stored(data, dtype)
    assert stored.dtype == dtype
    for value, found in zip(data.tolist(), stored.tolist(), strict=True):
        expected = min(max(round(value), limits.min), limits.max)
        # Above 2^53 float64 has gaps; the last one below 2^63 is as near as it gets.
        assert abs(found - expected) <= (0 if abs(expected) < 2**53 else 2**11)


@given(data=arrays.arrays(arrays.integer_dtypes(), 9), dtype=st.sampled_from(INTEGERS))
def test_integers_are_clipped_without_a_way_through_floats(data, dtype):
    limits = np.iinfo(dtype)
    expected = [min(max(value, limits.min), limits.max) for value in data.tolist()]
    assert to_stored(data, dtype).tolist() == expected


def test_floats_are_clipped_too():
    assert to_stored(np.array([1e300, -1e300, 0.5]), np.dtype("f4")).tolist() == [
        float(np.finfo("f4").max), float(np.finfo("f4").min), 0.5
    ]  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_no_integer_can_hold_is_refused(value):
    with pytest.raises(OutputError, match="NaN"):
        to_stored(np.array([0.0, value]), np.dtype("i2"))

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffdenoise.errors import IntensityError
from diffdenoise.scan.intensity import IntensityMap

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(data=arrays.arrays(np.float64, (6, 7), elements=numbers), low=numbers, size=st.floats(1e-3, 1e6))
def test_scale_then_unscale_is_the_identity_up_to_float32(data, low, size):
    intensity = IntensityMap(low, low + size)
    assume(intensity.range > 0)
    back = intensity.unscale(intensity.scale(data))
    # A float32 number is right to one part in 2^24, here of the distance from `low`.
    assert np.all(np.abs(back - data) <= 2.0**-23 * np.abs(data - low) + 1e-12 * (abs(low) + 1))


@given(data=arrays.arrays(np.int16, (6, 7)))
def test_sixteen_bit_integers_come_back_exact(data):
    assume(data.min() < data.max())
    intensity = IntensityMap.fit(data)
    assert np.array_equal(np.rint(intensity.unscale(intensity.scale(data))), data)


def test_the_percentiles_become_zero_and_one():
    data = np.arange(1001).reshape(7, 143)
    intensity = IntensityMap.fit(data)
    assert (intensity.low, intensity.high) == (5.0, 995.0)
    assert intensity.range == 990.0
    scaled = intensity.scale(np.array([5, 500, 995]))
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [0.0, 0.5, 1.0]
    assert intensity.unscale(scaled).dtype == np.float64


def test_a_small_object_on_an_empty_background_falls_back_on_the_extremes():
    data = np.zeros((50, 50))
    data[3, 4] = 8
    assert IntensityMap.fit(data) == IntensityMap(0.0, 8.0)


@pytest.mark.parametrize("data", [np.zeros((9, 9)), np.zeros((0, 9))])
def test_no_contrast_is_refused(data):
    with pytest.raises(IntensityError, match="contrast"):
        IntensityMap.fit(data)

"""The eight orientations: each once, each turned back."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.model.orientations import run_turned, turned, turned_back
from diffdenoise.model.tiles import Channels
from tests.model.students import images


def slope(noisy: Channels) -> Channels:
    """What differs from orientation to orientation: an image and its slope along the columns."""
    centre = noisy[:, :1]
    return np.asarray(centre + np.roll(centre, 1, axis=3) - 0.5 * noisy[:, 1:2])


def test_the_eight_orientations_differ_and_are_turned_back() -> None:
    noisy = images((2, 3, 6, 9))
    seen = {turned(noisy, number).tobytes() for number in range(8)}
    assert len(seen) == 8
    for number in range(8):
        assert np.array_equal(turned_back(turned(noisy, number), number), noisy)
        assert turned(noisy, number).shape[2:] == ((6, 9) if number % 2 == 0 else (9, 6))


@pytest.mark.parametrize("orientations", [1, 4, 8])
def test_what_is_left_alone_comes_back_as_it_was(orientations: int) -> None:
    noisy = images((2, 3, 7, 10))
    np.testing.assert_allclose(
        run_turned(lambda each: each[:, :1], noisy, orientations), noisy[:, :1], atol=1e-6
    )


@pytest.mark.parametrize("orientations", [1, 4, 8])
def test_the_mean_is_over_each_orientation_once(orientations: int) -> None:
    noisy = images((1, 3, 6, 9))
    results = []
    for mirrored in (False, True):
        for quarters in range(4):
            one = np.rot90(noisy, quarters, (2, 3))
            output = slope(one[..., ::-1] if mirrored else one)
            results.append(np.rot90(output[..., ::-1] if mirrored else output, -quarters, (2, 3)))
    expected = np.mean(results[:orientations], axis=0)
    found = run_turned(slope, noisy, orientations)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The mean over all quarter turns does not depend on how the image was turned.
    if orientations > 1:
        again = np.rot90(run_turned(slope, np.rot90(noisy, 1, (2, 3)), orientations), -1, (2, 3))
        np.testing.assert_allclose(again, found, atol=1e-6)

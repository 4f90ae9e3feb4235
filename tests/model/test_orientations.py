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


#: Those of which any noise is alike, noise along an axis, noise along a diagonal, and round noise.
TURNS = [(0,), (0, 2), (0, 2, 4, 6), (0, 2, 5, 7), (0, 1, 2, 3), tuple(range(8))]


@pytest.mark.parametrize("turns", TURNS)
def test_what_is_left_alone_comes_back_as_it_was(turns: tuple[int, ...]) -> None:
    noisy = images((2, 3, 7, 10))
    np.testing.assert_allclose(run_turned(lambda each: each[:, :1], noisy, turns), noisy[:, :1], atol=1e-6)


@pytest.mark.parametrize("turns", TURNS)
def test_the_mean_is_over_each_orientation_once(turns: tuple[int, ...]) -> None:
    noisy = images((1, 3, 6, 9))
    results = []
    for mirrored in (False, True):
        for quarters in range(4):
            one = np.rot90(noisy, quarters, (2, 3))
            output = slope(one[..., ::-1] if mirrored else one)
            results.append(np.rot90(output[..., ::-1] if mirrored else output, -quarters, (2, 3)))
    expected = np.mean([results[turn] for turn in turns], axis=0)
    found = run_turned(slope, noisy, turns)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The mean over all quarter turns does not depend on how the image was turned; over half turns, on half.
    for quarters in {1, 2, 3} & set(turns):
        again = np.rot90(run_turned(slope, np.rot90(noisy, quarters, (2, 3)), turns), -quarters, (2, 3))
        np.testing.assert_allclose(again, found, atol=1e-6)

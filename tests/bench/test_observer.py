"""The observer knows d' where it is known in closed form, and contrast as it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.observer import Insert, Phantom, channels, detectability, observe

Array = NDArray[np.float64]
SIZE, REPEATS, STD = 128, 24, 10.0
CENTRE = (63.5, 63.5)
INSERTS = (Insert(40.0, 40.0, 12.0, 8.0, "large"), Insert(40.0, 88.0, 6.0, 14.0, "small"))
PHANTOM = Phantom(INSERTS, (True,) * REPEATS + (False,) * REPEATS, CENTRE)


def signal() -> Array:
    rows, columns = np.ogrid[:SIZE, :SIZE]
    image = np.zeros((SIZE, SIZE))
    for insert in INSERTS:
        inside = np.hypot(rows - insert.row, columns - insert.column) < insert.diameter_px / 2
        image += insert.contrast * inside
    return image


def repeats(seed: int = 0, blur: float = 0.0) -> Array:
    noise = STD * np.random.default_rng(seed).standard_normal((2 * REPEATS, SIZE, SIZE))
    noise[:REPEATS] += signal()
    return np.stack([gaussian_filter(image, blur) if blur else image for image in 1000 + noise])


def test_d_is_that_of_the_channels_in_white_noise() -> None:
    found = observe(repeats(), PHANTOM)
    for insert in INSERTS:
        side = 2 * int(3 * insert.diameter_px / 2) + 1
        functions = channels(insert.diameter_px, side)
        top, left = int(insert.row) - side // 2, int(insert.column) - side // 2
        region = signal()[top : top + side, left : left + side]
        flat = functions - functions.mean(0)
        mean = (region - region.mean()).ravel() @ functions
        exact = np.sqrt(mean @ np.linalg.solve(STD**2 * flat.T @ flat, mean))
        one = found[insert.name]
        assert one["d"] == pytest.approx(exact, abs=3.5 * one["d_se"])
        assert 0 < one["d_se"] < 0.4 * exact
        assert len(one["contrasts"]) == 2 * REPEATS


def test_d_is_unbiased_and_none_where_there_is_nothing() -> None:
    rng = np.random.default_rng(0)
    squares = []
    for _ in range(200):
        present, absent = rng.standard_normal((2, 15, 5))
        present[:, 0] += 2.0
        squares.append(detectability(present, absent) ** 2)
    # Hotelling's own statistic would be 1.6 times as large with so few samples.
    assert np.mean(squares) == pytest.approx(4.0, rel=0.15)
    nothing = [detectability(*rng.standard_normal((2, 15, 5))) for _ in range(200)]
    assert np.median(nothing) < 0.4


def test_contrast_falls_where_inserts_are_blurred_and_d_where_they_are_erased() -> None:
    sharp, blurred = observe(repeats(), PHANTOM), observe(repeats(blur=3.0), PHANTOM)
    for insert in INSERTS:
        one = sharp[insert.name]
        assert one["contrast"] == pytest.approx(insert.contrast, abs=3.5 * one["contrast_se"])
    assert blurred["small"]["contrast"] < 0.5 * INSERTS[1].contrast
    erased = repeats()
    erased[:REPEATS] -= 0.9 * signal()
    assert observe(erased, PHANTOM)["large"]["d"] < 0.4 * sharp["large"]["d"]


def test_too_few_samples_and_regions_beyond_the_image_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        detectability(np.ones((2, 6)), np.ones((3, 6)))
    edge = Phantom((Insert(5.0, 5.0, 12.0, 8.0, "edge"),), PHANTOM.present, CENTRE)
    with pytest.raises(ValueError, match="leaves the image"):
        observe(repeats(), edge)

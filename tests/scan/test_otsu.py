"""Otsu's threshold is scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.filters import threshold_otsu as of_skimage

from diffdenoise.scan.otsu import threshold_otsu


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["two classes", "one class", "two values", "skewed"])
def test_it_is_the_one_of_scikit_image(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = {
        "two classes": np.concatenate([rng.normal(10, 3, 4000), rng.normal(30, 5, 900)]),
        "one class": rng.normal(0, 1, 5000),
        "two values": rng.integers(0, 2, 50).astype(float) * 7 - 3,
        "skewed": rng.exponential(200.0, 3000),
    }[kind]
    assert threshold_otsu(values) == of_skimage(values)

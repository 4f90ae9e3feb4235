"""The map of expected errors is right on average, and 0 where there is no data."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.trust.slab import cut_slab
from diffdenoise.trust.spread import Spread
from diffdenoise.trust.spread_map import uncertainty_map

from .pairs import Blur, noise_like, paired_of, rounds


def mapped(*, hole: bool = False, scale: float = 1.0) -> tuple[object, np.ndarray, np.ndarray, Spread]:
    """The map, the true error, where tissue is, and the pairs."""
    blur, clean = Blur(1.0), rounds(8, 128)
    noisy = clean + noise_like(clean.shape)
    if hole:
        noisy[:, 30:50, 40:70] = np.nan
    denoised = blur.of(np.nan_to_num(noisy))
    paired = paired_of(scale * noisy, scale * denoised, scale=(0.0, scale))
    slab = cut_slab(paired, blur)
    assert slab is not None
    spread = Spread(slab, blur)
    calibration = spread.calibrate()
    assert calibration is not None
    return uncertainty_map(paired, blur, calibration), denoised - clean, spread.slab.tissue, spread


def test_its_mean_square_is_that_of_the_error() -> None:
    found, off, tissue, spread = mapped()
    whole = found.whole()
    assert whole.shape == off.shape
    root = np.sqrt((whole[tissue] ** 2).mean())
    assert root == pytest.approx(spread.rmse, rel=0.06)
    assert root == pytest.approx(np.sqrt((off[tissue] ** 2).mean()), rel=0.08)


def test_it_is_in_the_scans_units() -> None:
    found, _, tissue, spread = mapped(scale=500.0)
    root = np.sqrt((found.whole()[tissue] ** 2).mean())
    assert root == pytest.approx(500 * spread.rmse, rel=0.06)


def test_where_there_is_no_data_it_is_0() -> None:
    whole = mapped(hole=True)[0].whole()
    assert not whole[:, 30:50, 40:70].any()
    assert (whole[:, 60:, 50:80] > 0).all()


def test_slices_that_are_asked_for_one_by_one_are_as_those_together() -> None:
    found, _, tissue, _ = mapped()
    together = found.slab(0, 0, 0, 8)
    single = np.concatenate([found.slab(0, 0, number, number + 1) for number in range(8)])
    # Other draws, but of the same noise.
    assert np.sqrt((single[tissue] ** 2).mean()) == pytest.approx(
        np.sqrt((together[tissue] ** 2).mean()), rel=0.02
    )
    ratio = single[tissue] / together[tissue]
    assert np.median(ratio) == pytest.approx(1, abs=0.02)
    # The same again is the same.
    np.testing.assert_array_equal(found.slab(0, 0, 2, 4), found.slab(0, 0, 2, 4))

"""The mean of a region that the user names, before and after, with its errors."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.trust.slab import cut_slab
from diffdenoise.trust.spread import Spread
from diffdenoise.trust.wanted import Region, region_of

from .pairs import LEVEL, Blur, noise_like, paired_of, rounds


def asked(
    roi: np.ndarray, correlation: Correlation = WHITE, **known: object
) -> tuple[Region | str, np.ndarray, np.ndarray]:
    """What is said of a region, and the scan before and after."""
    blur = Blur(1.0)
    clean = rounds(8, 128)
    noisy = clean + noise_like(clean.shape, correlation=correlation)
    if "hole" in known:
        noisy[:, :60] = np.nan
    denoised = blur.of(np.nan_to_num(noisy))
    paired = paired_of(noisy, denoised, LEVEL, correlation)
    slab = cut_slab(paired, blur)
    assert slab is not None
    return region_of(paired, Spread(slab, blur), roi), noisy, denoised


def square(side: int = 8, slices: slice = slice(3, 5)) -> np.ndarray:
    roi = np.zeros((8, 128, 128), bool)
    roi[slices, 60 : 60 + side, 50 : 50 + side] = True
    return roi


@pytest.mark.parametrize("correlation", [WHITE, Correlation.gaussian(0.8)], ids=["white", "wide"])
def test_means_are_exact_and_errors_those_of_means(correlation: Correlation) -> None:
    roi = square()
    found, noisy, denoised = asked(roi, correlation)
    assert isinstance(found, Region)
    assert (found.voxels, found.slices) == (128, 2)
    assert found.before == pytest.approx(noisy[roi].mean(), abs=1e-6)
    assert found.after == pytest.approx(denoised[roi].mean(), abs=1e-6)
    # Of noise that is correlated inside slices, pixels within its reach count together.
    inside = roi[3, 60:68, 50:58].astype(float).ravel()
    places = np.stack(np.indices((8, 8)).reshape(2, -1), 1)
    lags = np.array([[correlation.at(*(int(x) for x in one - other)) for one in places] for other in places])
    variance = LEVEL**2 * float(inside @ lags @ inside) / 64**2
    assert found.error_before == pytest.approx(np.sqrt(variance / 2), rel=0.25)
    # Smoothing a region says no more of its mean.
    assert found.error_after == pytest.approx(found.error_before, rel=0.35)


def test_it_is_told_in_the_scans_units() -> None:
    roi, blur = square(), Blur(1.0)
    clean = rounds(8, 128)
    noisy = clean + noise_like(clean.shape)
    found = []
    for low, high in ((0.0, 1.0), (-1000.0, 1000.0)):
        scan, result = (low + (high - low) * one for one in (noisy, blur.of(noisy)))
        paired = paired_of(scan, result, scale=(low, high))
        slab = cut_slab(paired, blur)
        assert slab is not None
        region = region_of(paired, Spread(slab, blur), roi)
        assert isinstance(region, Region)
        found.append(region)
    assert found[1].before == pytest.approx(2000 * found[0].before - 1000, abs=0.01)
    assert found[1].after == pytest.approx(2000 * found[0].after - 1000, abs=0.01)
    assert found[1].error_before == pytest.approx(2000 * found[0].error_before, rel=1e-3)
    assert found[1].error_after == pytest.approx(2000 * found[0].error_after, rel=1e-2)
    rows = found[1].rows("HU")
    assert rows[0] == ("voxels, in slices", "128, 2")
    assert rows[1][0] == "mean before, HU"
    assert "±" in rows[2][1]


def test_an_empty_region_is_explained() -> None:
    assert "empty" in str(asked(np.zeros((8, 128, 128), bool))[0])


def test_what_has_no_data_is_no_part_of_it() -> None:
    roi = square()
    found, noisy, _ = asked(square(), hole=True)
    assert isinstance(found, Region)
    assert found.voxels == 128
    roi = np.zeros_like(roi)
    roi[3, 50:70, 50:58] = True
    found, noisy, _ = asked(roi, hole=True)
    assert isinstance(found, Region)
    assert found.voxels == 10 * 8
    assert found.before == pytest.approx(np.nanmean(noisy[roi]), abs=1e-6)
    roi[:, 58:] = False
    assert "no data" in str(asked(roi, hole=True)[0])


def test_a_region_as_large_as_nothing_else_is_explained() -> None:
    assert "too few other regions of 60 x 60" in str(asked(square(60, slice(3, 4)))[0])

"""Widths of edges, and the response to single pixels, are those of known blurs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from diffdenoise.trust.judged import resolution_section
from diffdenoise.trust.sharpness import Edges, edge_spread, local_response
from diffdenoise.trust.slab import Slab, cut_slab

from .pairs import Blur, Volume, noise_like, nothing, paired_of, rounds, same

#: Distance between a quarter and three quarters of a Gaussian edge of std 1.
QUARTERS = 2 * float(ndtri(0.75))


def blocks(width_px: float, side: int = 160, count: int = 3) -> Volume:
    """Squares with edges of this width; all edges lie far apart."""
    y, x = np.mgrid[:side, :side]
    image = 0.2 + 0.6 * (((y // 40) + (x // 40)) % 2)
    return np.tile(gaussian_filter(image, width_px), (count, 1, 1))


def spread_of(noisy: Volume, denoised: Volume) -> Edges:
    found = edge_spread(paired_of(noisy, denoised))
    assert found is not None
    return found


@pytest.mark.parametrize("width", [0.8, 1.2, 1.6])
def test_edges_of_an_ideal_result_are_as_wide_as_they_were(width: float) -> None:
    clean = blocks(width)
    found = spread_of(clean + noise_like(clean.shape), clean)
    assert found.ratio == pytest.approx(1, abs=0.05)
    assert found.after_px == pytest.approx(QUARTERS * width, rel=0.1)
    assert found.count > 200


@pytest.mark.parametrize(("width", "more"), [(1.0, 0.8), (1.0, 1.2), (1.4, 1.4)])
def test_squares_of_widths_add(width: float, more: float) -> None:
    clean, blurred = blocks(width), blocks(float(np.hypot(width, more)))
    found = spread_of(clean + noise_like(clean.shape), blurred)
    assert found.before_px == pytest.approx(QUARTERS * width, rel=0.1)
    assert found.after_px == pytest.approx(QUARTERS * np.hypot(width, more), rel=0.1)
    assert found.ratio == pytest.approx(np.hypot(width, more) / width, rel=0.1)


def test_sharpened_edges_are_narrower() -> None:
    clean = blocks(1.4)
    assert spread_of(clean + noise_like(clean.shape), blocks(0.7)).ratio < 0.7


def test_without_edges_nothing_is_measured() -> None:
    flat = np.full((2, 64, 64), 0.5)
    flat[:, :2, :2] = 0
    assert edge_spread(paired_of(flat + noise_like(flat.shape), flat)) is None
    small = blocks(1.0, 24, 1)
    assert edge_spread(paired_of(small + noise_like(small.shape), small)) is None


def test_edges_of_what_has_no_data_are_none() -> None:
    clean = blocks(1.0)
    noisy = clean + noise_like(clean.shape)
    noisy[:, 50:110, 50:110] = np.nan
    found = spread_of(noisy, np.where(np.isnan(noisy), 9.0, clean))
    assert found.ratio == pytest.approx(1, abs=0.05)


def slab_of(again: object) -> Slab:
    clean = rounds(4, 128)
    noisy = clean + noise_like(clean.shape)
    found = cut_slab(paired_of(noisy, noisy), again)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("width", [0.8, 1.3])
def test_the_response_of_a_linear_filter_is_that_filter(width: float) -> None:
    blur = Blur(width)
    found = local_response(slab_of(blur), blur)
    assert found is not None
    unit = np.zeros((1, 31, 31))
    unit[0, 15, 15] = 1
    assert found.total == pytest.approx(1, abs=0.01)
    assert found.peak == pytest.approx(blur.of(unit).max(), rel=0.01)
    # Full width at half maximum of a Gaussian, on a grid.
    assert found.width_px == pytest.approx(2.355 * width, rel=0.1)
    assert found.count > 10


def test_who_leaves_a_pixel_leaves_one_pixel() -> None:
    found = local_response(slab_of(same), same)
    assert found is not None
    assert (found.total, found.peak, found.width_px) == pytest.approx((1, 1, 1), abs=1e-4)


def test_who_ignores_the_scan_keeps_nothing_of_a_pixel() -> None:
    slab = slab_of(nothing)
    lost = local_response(
        replace(slab, known=np.ones_like(slab.known), denoised=slab.noisy), lambda *_: slab.noisy
    )
    assert lost is not None
    assert lost.total == lost.peak == 0
    assert np.isnan(lost.width_px)
    section = resolution_section(None, lost, "")
    assert "could not be measured" in section.findings[-1].words
    assert "too few strong edges" in str(section.missing)


def test_too_little_tissue_has_no_response() -> None:
    clean = rounds(1, 48)
    slab = cut_slab(paired_of(clean + noise_like(clean.shape), clean), nothing)
    assert slab is not None
    assert local_response(slab, nothing) is None

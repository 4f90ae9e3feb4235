"""Metrics against closed forms and scikit-image."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diffdenoise.errors import IntensityError, ShapeError
from diffdenoise.trust.metrics import evaluate


def volume(seed: int = 0, shape: tuple[int, ...] = (24, 21, 3), std: float = 0.0) -> NDArray[np.float64]:
    """Smooth waves between about -400 and 1600, plus white noise of this std."""
    grids = np.meshgrid(*(np.linspace(0, 3, side) for side in shape), indexing="ij")
    waves = 600 + 1000 * np.sin(2 * grids[0]) * np.cos(3 * grids[1] + sum(grids[2:]))
    return np.asarray(waves + np.random.default_rng(seed).normal(0, std, shape))


def range_of(reference: NDArray[np.float64]) -> float:
    low, high = np.percentile(reference, (0.5, 99.5))
    return float(high - low)


def oracle_ssim(image: NDArray[np.float64], truth: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    """SSIM at every pixel of a slice, by scikit-image."""
    _, full = structural_similarity(
        image,
        truth,
        data_range=span,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return np.asarray(full)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scores_agree_with_scikit_image(axis: int) -> None:
    truth, image = volume(shape=(24, 21, 19)), volume(1, (24, 21, 19), std=120)
    found = evaluate(image, truth, axis=axis)
    span = range_of(truth)
    assert found.data_range == pytest.approx(span)
    assert found.denoised.psnr_db == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=span))
    assert found.denoised.rmse == pytest.approx(np.sqrt(np.mean((image - truth) ** 2)))
    each = []
    for index in range(truth.shape[axis]):
        one, other = np.take(truth, index, axis), np.take(image, index, axis)
        each.append(
            structural_similarity(
                other, one, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
        )
        scores = found.denoised_slices[index]
        assert scores.ssim == pytest.approx(each[-1], abs=1e-9)
        assert scores.psnr_db == pytest.approx(peak_signal_noise_ratio(one, other, data_range=span))
        assert scores.rmse == pytest.approx(np.sqrt(np.mean((one - other) ** 2)))
    assert found.denoised.ssim == pytest.approx(np.mean(each), abs=1e-9)


def test_large_slices_score_as_in_one_piece() -> None:
    """Their SSIM is computed in bands of rows: whole, it takes a hundred bytes a pixel."""
    truth, image = volume(shape=(700, 301, 2)), volume(1, (700, 301, 2), std=120)
    found = evaluate(image, truth, axis=2)
    maps = [oracle_ssim(image[..., i], truth[..., i], found.data_range)[5:-5, 5:-5] for i in range(2)]
    assert found.denoised.ssim == pytest.approx(np.mean(maps), abs=1e-9)


def test_a_mask_limits_all_scores() -> None:
    truth, image = volume(), volume(1, std=100)
    mask = np.zeros(truth.shape, np.uint8)
    mask[6:15, 7:14, :2] = 3
    image[mask == 0] += 5000
    found = evaluate(image, truth, mask=mask, axis=2)
    inside = mask != 0
    span = range_of(truth)
    error = np.mean((image - truth)[inside] ** 2)
    assert found.voxels == inside.sum()
    assert found.denoised.rmse == pytest.approx(math.sqrt(error))
    assert found.denoised.psnr_db == pytest.approx(10 * math.log10(span**2 / error))
    maps = np.stack([oracle_ssim(image[..., i], truth[..., i], span) for i in range(3)], axis=2)
    assert found.denoised.ssim == pytest.approx(maps[inside].mean(), abs=1e-9)
    assert found.denoised_slices[1].ssim == pytest.approx(maps[..., 1][inside[..., 1]].mean(), abs=1e-9)
    assert math.isnan(found.denoised_slices[2].psnr_db)


def test_gains_are_differences_to_the_noisy_scan() -> None:
    truth = volume()
    noisy, denoised = volume(1, std=200), volume(2, std=20)
    found = evaluate(denoised, truth, noisy=noisy, axis=2)
    alone = evaluate(noisy, truth, axis=2)
    assert found.noisy == alone.denoised
    assert found.noisy_slices == alone.denoised_slices
    assert found.psnr_gain_db == pytest.approx(20, abs=0.8)
    assert found.ssim_gain is not None
    assert found.ssim_gain > 0
    assert alone.psnr_gain_db is None
    assert alone.ssim_gain is None


def test_a_known_error_gives_the_known_psnr() -> None:
    truth = np.tile(np.linspace(0, 1, 50), (40, 1))
    found = evaluate(truth + 0.1, truth, data_range=1.0)
    assert found.denoised.psnr_db == pytest.approx(20)
    assert found.denoised.rmse == pytest.approx(0.1)


def test_nothing_is_clipped() -> None:
    truth = np.tile(np.linspace(0, 100, 50), (40, 1)).astype(np.uint8)
    far = truth.astype(np.float32) - 300
    assert evaluate(far, truth).denoised.rmse == pytest.approx(300)


def test_integers_do_not_wrap_around() -> None:
    truth = np.tile(np.arange(50, dtype=np.uint8), (40, 1))
    assert evaluate(truth[:, ::-1].copy(), truth).denoised.rmse > 20


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e4), shift=st.floats(-1e4, 1e4))
def test_units_change_only_the_rmse_and_an_image_is_its_own_best(scale: float, shift: float) -> None:
    truth, image = volume(shape=(16, 17)), volume(3, (16, 17), std=150)
    plain = evaluate(image, truth).denoised
    other = evaluate(scale * image, scale * truth).denoised
    assert other.psnr_db == pytest.approx(plain.psnr_db)
    assert other.ssim == pytest.approx(plain.ssim)
    assert other.rmse == pytest.approx(scale * plain.rmse)
    assert evaluate(image + shift, truth + shift).denoised.psnr_db == pytest.approx(plain.psnr_db, abs=1e-6)
    same = evaluate(truth, truth).denoised
    assert (same.psnr_db, same.rmse) == (math.inf, 0)
    assert same.ssim == pytest.approx(1)


def test_series_are_scored_volume_after_volume() -> None:
    truth = volume(shape=(14, 15, 3, 2))
    image = truth.copy()
    image[:, :, 2, 1] += 100
    found = evaluate(image, truth, axis=2)
    assert [scores.rmse for scores in found.denoised_slices] == pytest.approx([0, 0, 0, 0, 0, 100])
    mask = np.zeros(truth.shape[:3])
    mask[..., 2] = 1
    assert evaluate(image, truth, mask=mask, axis=2).denoised.rmse == pytest.approx(100 / math.sqrt(2))


def test_json_has_no_numbers_that_json_lacks() -> None:
    truth = volume()
    mask = np.zeros(truth.shape)
    mask[6:12, 6:12, 0] = 1
    found = evaluate(truth, truth, noisy=truth, mask=mask, axis=2).as_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["denoised"]["psnr_db"] is None
    assert again["slices"][2]["denoised"] == {"psnr_db": None, "ssim": None, "rmse": None}
    assert again["data_range"] == pytest.approx(range_of(truth))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"denoised": np.zeros((24, 21, 4))}, ShapeError, "24x21x4"),
        ({"noisy": np.zeros((24, 21))}, ShapeError, "noisy"),
        ({"mask": np.ones((24, 20, 3))}, ShapeError, "mask"),
        ({"mask": np.zeros((24, 21, 3))}, IntensityError, "mask"),
        ({"denoised": np.full((24, 21, 3), np.nan)}, IntensityError, "NaN"),
        ({"reference": np.ones((24, 21, 3))}, IntensityError, "range"),
        ({"reference": np.ones(24)}, ShapeError, "dimensions"),
        ({"denoised": volume(1)[:10], "reference": volume()[:10]}, ShapeError, "11x11"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    change: dict[str, object], error: type[Exception], words: str
) -> None:
    given_: dict[str, object] = {"denoised": volume(1), "reference": volume(), "axis": 2}
    with pytest.raises(error, match=words) as caught:
        evaluate(**(given_ | change))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)

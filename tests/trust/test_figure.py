"""The comparison picture: written whole or not at all, turned the right way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from diffdenoise.errors import OutputError, ShapeError
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.scan import Scan
from diffdenoise.trust import figure, noise_figure
from diffdenoise.trust.figure import check_picture, compare, save_comparison
from diffdenoise.trust.metrics import evaluate
from diffdenoise.trust.view import view_of
from diffdenoise.trust.window import window_of


def scan(data: NDArray[np.float64], affine: NDArray[np.float64] | None = None) -> Scan:
    spacing = None if affine is None else tuple(np.sqrt((affine[:3, :3] ** 2).sum(axis=0))[: data.ndim])
    return Scan(data, "array", data.dtype, spacing_mm=spacing, affine=affine)


@pytest.mark.parametrize("shape", [(12, 12), (17, 40), (40, 17, 3), (16, 18, 3, 2)])
@pytest.mark.parametrize("with_reference", [False, True])
def test_a_png_is_written(tmp_path: Path, shape: tuple[int, ...], with_reference: bool) -> None:
    rng = np.random.default_rng(0)
    noisy, denoised = scan(rng.normal(size=shape)), scan(rng.normal(size=shape))
    path = tmp_path / "picture.png"
    save_comparison(path, noisy, denoised, denoised if with_reference else None, title="a [title] $x")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
    assert [entry.name for entry in tmp_path.iterdir()] == ["picture.png"]


def test_one_window_and_a_residual_of_fixed_greys() -> None:
    rng = np.random.default_rng(0)
    clean = np.full((40, 40), 500.0)
    clean[10:30, 10:30] = 900
    noisy, denoised = scan(clean + rng.normal(0, 20, clean.shape)), scan(clean)
    found = compare(noisy, denoised, denoised, noise_std=25.0)
    assert found.bound == 75
    residual = noisy.data - denoised.data
    greys = found.panels[2].greys
    np.testing.assert_allclose(greys, np.clip(residual / 75, -1, 1) / 2 + 0.5)
    assert found.panels[2].caption == (
        f"residual: noisy \N{MINUS SIGN} denoised, std {residual.std():.3g}\nblack to white: ±3 noise std"
    )
    assert found.panels[0].caption == "noisy\nnoise std 25"
    assert np.array_equal(found.panels[1].greys, found.panels[3].greys)
    np.testing.assert_allclose(found.panels[0].greys, found.window.grey(noisy.data))
    own = compare(noisy, denoised)
    assert own.bound == pytest.approx(3 * residual.std())
    assert "±3 residual std" in own.panels[2].caption


def test_a_ct_says_its_units_and_window() -> None:
    y, x = np.mgrid[:40, :40] - 19.5
    clean = np.where(np.hypot(y, x) < 15, 40.0, -1000.0)
    noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)
    found = compare(scan(noisy), scan(clean), noise_std=25.0)
    assert (found.window.low, found.window.high) == (-160, 240)
    assert "noise std 25 HU" in found.panels[0].caption
    assert f"std {(noisy - clean).std():.3g} HU" in found.panels[2].caption
    assert "soft tissue: centre 40, width 400 HU" in found.foot


def test_a_scan_that_was_left_says_so() -> None:
    image = scan(np.random.default_rng(0).normal(size=(20, 20)))
    found = compare(image, image.with_data(image.data.copy()), noise_std=0.0)
    assert found.panels[1].caption == "denoised\nleft as it was"
    assert (found.panels[2].greys == 0.5).all()
    changed = compare(image, image.with_data(image.data + 1e-3))
    assert changed.panels[1].caption == "denoised"


def test_the_slice_is_the_one_that_most_was_taken_off_and_is_named() -> None:
    rng = np.random.default_rng(0)
    clean = np.zeros((30, 28, 9, 2))
    clean[8:22, 8:22] = 800
    noise = rng.normal(0, 20, clean.shape)
    noise[:, :, 6, 1] *= 3
    found = compare(scan(clean + noise), scan(clean), axis=2)
    assert (found.view.index, found.view.volume) == (6, 1)
    assert found.foot.startswith("slice 6 (of 0 to 8); volume 1 (of 0 to 1); ")
    asked = compare(scan(clean + noise), scan(clean), axis=2, index=3)
    assert (asked.view.index, asked.view.volume) == (3, 0)


def test_what_is_no_data_counts_nowhere() -> None:
    rng = np.random.default_rng(0)
    clean = np.full((40, 40), 500.0)
    clean[10:30, 10:30] = 900
    noisy = clean + rng.normal(0, 20, clean.shape)
    holed, outside = noisy.copy(), np.zeros(clean.shape, bool)
    outside[:, :5] = True
    holed[outside] = -30000
    holed[0, 39] = np.nan
    after = np.where(outside, -29000, clean)
    found = compare(replace(scan(holed), outside=outside), scan(after))
    inside = ~outside & np.isfinite(holed)
    assert found.bound == pytest.approx(3 * (noisy - clean)[inside].std())
    assert (found.window.low, found.window.high) == tuple(np.percentile(clean[inside], (0.5, 98.5)))
    assert np.isfinite(found.panels[0].greys).all()
    assert (found.panels[2].greys[outside] == 0.5).all()


def test_scores_are_written_above_the_images() -> None:
    rng = np.random.default_rng(0)
    noisy, denoised = rng.normal(size=(20, 20)), rng.normal(size=(20, 20))
    scores = evaluate(denoised, noisy * 0.5, noisy=noisy)
    found = compare(scan(noisy), scan(denoised), evaluation=scores, noise_std=1.0)
    assert scores.noisy is not None
    assert found.panels[0].caption == (
        f"noisy, noise std 1\nPSNR {scores.noisy.psnr_db:.2f} dB, SSIM {scores.noisy.ssim:.3f}"
    )
    assert f"PSNR {scores.denoised.psnr_db:.2f} dB" in found.panels[1].caption


def test_what_is_drawn_has_letters_scale_frame_and_true_proportions() -> None:
    data = np.random.default_rng(0).normal(500, 20, (30, 40, 9))
    data[5:25, 5:35] += 800
    image = scan(data, np.diag([2.0, 1.0, 5.0, 1.0]))
    found = compare(image, image.with_data(data * 0.5), axis=2)
    drawn = figure._draw(found, "a title")
    upper, lower = drawn.axes[0], drawn.axes[1]
    # 60 mm from right to left and 40 mm from front to back.
    box = upper.get_position()
    size = drawn.get_size_inches()
    assert box.width * size[0] / (box.height * size[1]) == pytest.approx(1.5, abs=0.02)
    written = {text.get_text() for text in upper.texts}
    assert written == {"R", "L", "A", "P", "10 mm"}
    bar = next(line for line in upper.lines if line.get_label() == "scale")
    assert np.ptp(bar.get_xdata()) == pytest.approx(10 / 60)
    assert {text.get_text() for text in lower.texts} == {"5 mm"}
    frame = upper.patches[0]
    rows, columns = found.part
    assert (frame.get_x(), frame.get_y()) == (columns.start - 0.5, rows.start - 0.5)
    assert np.array_equal(lower.images[0].get_array(), found.panels[0].greys[found.part])


@pytest.mark.parametrize("shape", [(8, 8), (8, 300), (3000, 4000), (8, 9, 2, 2)])
def test_tiny_and_large_images_are_drawn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    save_comparison(tmp_path / "picture.png", scan(noisy), scan(noisy * 0.9), noise_std=10.0)
    with Image.open(tmp_path / "picture.png") as image:
        assert 120 < min(image.size) <= max(image.size) < 4500


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = scan(np.random.default_rng(0).normal(size=(20, 20)))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OutputError, match="disk is full"):
        save_comparison(tmp_path / "picture.png", image, image)
    assert list(tmp_path.iterdir()) == []


def test_wrong_places_for_a_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "folder.png").mkdir()
    for name, words in [
        ("p.jpg", ".png"),
        ("old.png/p.png", "not a folder"),
        ("old.png", "exists"),
        ("folder.png", "is a folder"),
    ]:
        with pytest.raises(OutputError, match=words):
            check_picture(tmp_path / name)
    check_picture(tmp_path / "old.png", overwrite=True)
    with pytest.raises(OutputError):
        check_picture(tmp_path / "folder.png", overwrite=True)


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="denoised"):
        save_comparison(tmp_path / "p.png", scan(np.ones((20, 20))), scan(np.ones((20, 21))))


CASES = Path(__file__).parents[1] / "cases" / "nifti-ct-padding"


def test_a_padded_ct_is_shown_by_what_it_holds() -> None:
    noisy = read_scan(CASES / "ct_padding_-3024.nii.gz")
    inside = noisy.data != -3024
    # What a smoothing filter does to the padding is no residual.
    smoothed = gaussian_filter(np.where(inside, noisy.data, -1000).astype(float), (1, 1, 0))
    found = compare(noisy, noisy.with_data(np.where(inside, smoothed, -2500.0)), noise_std=25.0)
    assert (found.window.low, found.window.high) == (-160, 240)
    shown = found.view.of(inside) > 0
    assert (found.panels[2].greys[~shown] == 0.5).all()
    residual = (noisy.data - smoothed)[..., found.view.index][inside[..., found.view.index]]
    assert f"std {residual.std():.3g} HU" in found.panels[2].caption


def test_the_noises_picture_shows_the_fullest_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).normal(0, 20, (40, 36, 9))
    data[15:25, 15:25] += 800
    data[5:35, 5:31, 2] = 800 + data[5:35, 5:31, 2]
    image = scan(data, np.diag([1.0, 1.0, 3.0, 1.0]))
    drawn: list[Figure] = []
    monkeypatch.setattr(noise_figure, "write_figure", lambda figure, path, background: drawn.append(figure))
    noise_figure.save_noise_picture(tmp_path / "picture.png", image, diagnose(image))
    first = drawn[0].axes[0]
    assert first.get_title().startswith("slice 2 (of 0 to 8)")
    assert {text.get_text() for text in first.texts} == {"R", "L", "A", "P", "10 mm"}
    view = view_of(image, 2, 2)
    window = window_of(image, view.display, view.of(data))
    np.testing.assert_allclose(first.images[0].get_array(), window.grey(view.of(data)))

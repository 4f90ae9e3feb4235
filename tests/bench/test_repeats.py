"""Real repeats: what is learned from is not scored, and a repeat is not in its own reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data import MissingDataError
from bench.observer import observe
from bench.repeats import _real, load_phantom

SIDE = 256
#: Row, column, radius and contrast of the made-up phantom's inserts.
INSERTS = ((95, 95, 4, 40), (160, 160, 8, 20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten repeats with and without inserts, as FDA's files are laid out."""
    root = tmp_path_factory.mktemp("data")
    rows, columns = np.ogrid[:SIDE, :SIDE]
    body = 1000.0 * (np.hypot(rows - 127.5, columns - 127.5) < 100)
    truth = body.copy()
    for row, column, radius, contrast in INSERTS:
        truth += contrast * (np.hypot(rows - row, columns - column) < radius)
    below = root / "ct-lcd-repeats-fda"
    rng = np.random.default_rng(0)
    for kind, image in (("present", truth), ("absent", body)):
        place = below / "dose_100" / f"signal_{kind}"
        place.mkdir(parents=True)
        for number in range(1, 11):
            noisy = image + 10 * rng.standard_normal((SIDE, SIDE))
            noisy.round().astype("<i2").tofile(place / f"signal_{kind}_{number:03d}.raw")
    truth.round().astype("<u2").tofile(below / "ground_truth.raw")
    return root


def test_nine_of_each_kind_are_scored_and_none_of_them_is_learned_from(folder: Path) -> None:
    data = load_phantom(folder, 3, dose=100)
    assert len(data.noisy) == len(data.scored) == 18
    assert data.phantom is not None
    assert data.phantom.present == (True,) * 9 + (False,) * 9
    for learned in data.train:
        assert not any(np.array_equal(learned, one) for one in data.noisy)
    # A reference without the repeat itself: their noises have nothing in common.
    inside = np.s_[0, 110:146, 110:146]
    pairs = zip(data.noisy, data.clean, strict=True)
    errors = np.array([[(one - one.mean())[inside] for one in pair] for pair in pairs])
    assert abs(np.corrcoef(errors[:, 0].ravel(), errors[:, 1].ravel())[0, 1]) < 0.05


def test_levels_are_those_of_the_repeats(folder: Path) -> None:
    data = load_phantom(folder, 0, dose=100)
    span = float(10 / np.std(data.differences[0]))
    assert span == pytest.approx(1000, rel=0.1)
    assert data.reference_std == pytest.approx(10 / 3 / span, rel=0.03)
    power = data.repeats_power((SIDE, SIDE))
    assert np.sqrt(power.mean() / SIDE**2) == pytest.approx(10 / span, rel=0.03)


def test_the_inserts_are_found_in_the_ground_truth_and_seen_in_the_repeats(folder: Path) -> None:
    data = load_phantom(folder, 0, dose=100)
    assert data.phantom is not None
    found = [(insert.row, insert.column, insert.name) for insert in data.phantom.inserts]
    assert found == [(95, 95, "40 HU, 8 px"), (160, 160, "20 HU, 16 px")]
    images = np.stack([data.noisy[s][k] for s, k in data.scored]).astype(np.float64)
    for insert in data.phantom.inserts:
        one = observe(images, data.phantom)[insert.name]
        assert one["contrast"] == pytest.approx(insert.contrast, rel=0.15)
        assert one["d"] > 3


def test_an_eleventh_repeat_and_missing_files_are_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="ten repeats"):
        load_phantom(folder, 10, dose=100)
    with pytest.raises(MissingDataError, match="is missing"):
        load_phantom(tmp_path, 0, dose=100)


def test_a_difference_from_the_mean_of_others_is_scaled_to_one_repeats_noise() -> None:
    rng = np.random.default_rng(0)
    repeats = 0.05 * rng.standard_normal((3, 4, 64, 64))
    data = _real(repeats[0], repeats[1:].mean(0), 0.05 / np.sqrt(2), np.sqrt(2 / 3))
    assert np.std(data.differences[0]) == pytest.approx(0.05, rel=0.03)

"""What was erased or invented is found in the residual, and noise alone is not."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.trust.places import Found, disc, find_places, line, shapes

from .pairs import LEVEL, Volume, noise_like, paired_of, rounds

WIDE = Correlation.gaussian(0.7)
#: Where lesions are: slice, row, column.
AT = (2, 40, 60)


def lesion(contrast: float, size: int = 8, shape: tuple[int, ...] = (6, 96, 96)) -> Volume:
    """A disc of a contrast in stds of the noise, and nothing else."""
    image = np.zeros(shape)
    rows, columns = np.indices(shape[1:])
    image[AT[0]] = contrast * LEVEL * disc(rows - AT[1], columns - AT[2], size)
    return image


def found_in(noisy: Volume, denoised: Volume, **known: object) -> Found:
    found = find_places(paired_of(noisy, denoised, **known))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("correlation", [WHITE, WIDE], ids=["white", "wide"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("erased", [True, False], ids=["erased", "invented"])
def test_a_lesion_is_found_where_it_is(correlation: Correlation, sign: int, erased: bool) -> None:
    clean, there = rounds(), lesion(3.0 * sign)
    noisy = clean + noise_like(clean.shape, correlation=correlation)
    pair = (noisy + there, clean) if erased else (noisy, clean + there)
    found = found_in(*pair, correlation=correlation)
    place = found.places[0]
    assert (place.volume, place.slice) == (0, AT[0])
    assert np.hypot(place.row - AT[1], place.column - AT[2]) <= 3
    assert np.sign(place.contrast) == (sign if erased else -sign)
    # Its brightness has residuals of its own, of whose std it is a multiple.
    assert 1.6 < abs(place.contrast) < 3.3
    assert 5 <= place.size_px <= 10
    assert place.strength > found.threshold
    # Nothing else but its own rim is one.
    assert all(np.hypot(one.row - AT[1], one.column - AT[2]) < 12 for one in found.places)


@pytest.mark.parametrize("correlation", [WHITE, WIDE], ids=["white", "wide"])
def test_chance_gives_a_place_in_one_of_twenty_scans_at_most(correlation: Correlation) -> None:
    clean, scans = rounds(2), 40
    pairs = ((clean + noise_like(clean.shape, LEVEL, seed, correlation), clean) for seed in range(scans))
    found = [found_in(*pair, correlation=correlation) for pair in pairs]
    # Two are expected, more than five in one of sixty tries.
    assert sum(one.count > 0 for one in found) <= 5
    assert (found[0].slices, found[0].searched) == (2, clean.size)


def test_skewed_noise_of_air_is_no_place() -> None:
    rng = np.random.default_rng(1)
    clean = np.zeros((120, 96, 96))
    clean[:, 34:62, 34:62] = 1.0
    noisy = np.abs(clean + LEVEL * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)))
    mean = np.where(clean > 0, 1.0, LEVEL * np.sqrt(np.pi / 2))
    assert found_in(noisy, mean).count == 0


def test_a_lesion_that_noise_explains_is_not_told() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape)
    assert found_in(noisy + lesion(0.7, size=4), clean).count == 0


def test_the_more_is_searched_the_more_a_place_must_stand_out() -> None:
    few, many = (rounds(count) for count in (1, 40))
    thresholds = [
        found_in(clean + noise_like(clean.shape), clean, std=LEVEL).threshold for clean in (few, many)
    ]
    assert thresholds[0] < thresholds[1]
    # What both tails of a Gaussian variable pass once in twenty scans, tried as often as there are pixels and
    # shapes that differ.
    expected = [-NormalDist().inv_cdf(0.05 / (5 * clean.size) / 2) for clean in (few, many)]
    assert thresholds == pytest.approx(expected, abs=1e-3)


def test_what_is_fainter_than_tissues_noise_counts_for_nothing_in_calm_air() -> None:
    # Air has a third of the noise: what stands out of it may still be fainter than all tissue's noise.
    clean = np.zeros((6, 96, 96))
    clean[:, 50:] = 0.7
    level = np.where(clean > 0, LEVEL, 0.3 * LEVEL)
    noisy = clean + level * noise_like(clean.shape, 1.0)
    rows, columns = np.indices((96, 96))

    stated = NoiseModel((0.0, 0.3), (0.3 * LEVEL, LEVEL), typical=LEVEL)

    def near(contrast: float, model: NoiseModel = stated) -> list[float]:
        """Contrasts of places near a disc in air."""
        changed = noisy.copy()
        changed[2] += contrast * LEVEL * disc(rows - 24, columns - 60, 9)
        places = found_in(changed, clean, model=model).places
        return [one.contrast for one in places if np.hypot(one.row - 24, one.column - 60) <= 3]

    assert near(0.6) == []
    assert near(1.4) == pytest.approx([1.4], rel=0.2)
    # Where no level is known, all is held against the residual itself.
    assert near(0.6, NoiseModel.constant(0.0)) == pytest.approx([0.6 / 0.3], rel=0.2)


def test_places_are_those_of_the_whole_slice() -> None:
    # Larger than a part: the lesion is in the last of four.
    rng = np.random.default_rng(0)
    clean = np.zeros((1, 1100, 1060))
    clean[:, 100:1000, 100:1000] = 0.5
    noisy = clean + LEVEL * rng.standard_normal(clean.shape)
    rows, columns = np.indices(clean.shape[1:])
    noisy[0] += 3 * LEVEL * disc(rows - 800, columns - 700, 9)
    found = found_in(noisy, clean)
    assert (found.places[0].row, found.places[0].column) == pytest.approx((800, 700), abs=3)
    assert found.slices == 1
    assert found.searched == clean.size


def test_where_nothing_was_taken_off_nothing_is_searched() -> None:
    clean = rounds(2) + noise_like((2, 96, 96))
    assert find_places(paired_of(clean, clean)) is None


def test_what_has_no_data_holds_no_place() -> None:
    clean = rounds()
    noisy = clean + noise_like(clean.shape) + lesion(4.0)
    noisy[:, 28:52, 48:72] = np.nan
    found = found_in(noisy, np.where(np.isnan(noisy), 0.9, clean))
    assert found.count == 0


def test_shapes_have_the_size_that_they_are_said_to_have() -> None:
    rows, columns = np.indices((41, 41)) - 20
    for size in (4, 9, 20):
        assert disc(rows, columns, size).sum() == pytest.approx(np.pi * size**2 / 4, rel=0.1)
    for angle in (0.0, 1.0):
        found = line(rows, columns, 14, angle)
        assert found.sum() == pytest.approx(14 * 1.5, rel=0.1)
        # It lies along its angle.
        assert (found * (columns * np.sin(angle) - rows * np.cos(angle)) ** 2).sum() / found.sum() < 1
    assert len(shapes()) == 5 + 8
    assert all(image.max() == 1 for _, image in shapes())


def test_at_most_a_hundred_are_told_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = np.full((4, 96, 96), 0.5)
    clean[:, :8] = 0
    noisy = clean + noise_like(clean.shape)
    rows, columns = np.indices((96, 96))
    for row in (30, 60, 85):
        noisy[1] += 3 * LEVEL * disc(rows - row, columns - 20 - row / 2, 9)
    monkeypatch.setattr("diffdenoise.trust.places.MOST_TOLD", 2)
    found = found_in(noisy, clean)
    assert found.count >= 3
    assert len(found.places) == 2
    assert found.places[0].strength >= found.places[1].strength
    assert replace(found.places[0], contrast=1.0).as_dict()["size_px"] == found.places[0].size_px

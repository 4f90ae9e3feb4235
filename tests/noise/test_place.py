"""The noise's level by place: what a map says between its knots, and that maps are found."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from diffdenoise.cli.app import app
from diffdenoise.model.record import NoiseRecord
from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.curve import LevelPoint
from diffdenoise.noise.diagnosis import diagnose_stacks
from diffdenoise.noise.model import NoiseModel, model_of_curve
from diffdenoise.noise.patches import find_patches
from diffdenoise.noise.place import PlaceMap, placed
from diffdenoise.noise.place_fit import find_place
from diffdenoise.noise.simulate import gaussian
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from diffdenoise.work.maps import noise_map_of
from tests.noise.test_autocorrelation import textured
from tests.noise.test_level import smooth_stack
from tests.noise.test_rician import object_in_air

RAMP = PlaceMap.of_grid(np.log([[[1.0, 2.0], [1.0, 2.0]]]))


def test_a_map_is_linear_in_the_logarithm_between_its_knots():
    found = RAMP.of_slice((5, 3, 9), 2)
    assert found.shape == (3, 9)
    np.testing.assert_allclose(found, np.broadcast_to(2 ** (np.arange(9) / 8), (3, 9)), rtol=1e-3)


def test_a_map_may_differ_from_slice_to_slice():
    place = PlaceMap.of_grid(np.log([[[1.0]], [[4.0]]]))
    levels = [float(place.of_slice((5, 2, 2), number)[0, 0]) for number in range(5)]
    np.testing.assert_allclose(levels, [1, 2**0.5, 2, 8**0.5, 4], rtol=1e-3)
    # A single slice is in the middle.
    assert float(place.of_slice((1, 2, 2), 0)[0, 0]) == pytest.approx(2, rel=1e-3)


def test_a_part_of_a_slice_is_what_the_whole_has_there():
    rng = np.random.default_rng(0)
    place = PlaceMap.of_grid(rng.normal(0, 0.4, (3, 5, 4)))
    whole = place.over((7, 40, 33))
    assert len(whole) == 7
    part = place.of_slice((7, 40, 33), 4, (11, 30), (2, 21))
    np.testing.assert_array_equal(part, whole[4][11:30, 2:21])
    assert float(whole[0].min()) >= place.least - 1e-6
    assert float(whole[0].max()) <= place.most + 1e-6


def test_slices_with_a_map_keep_their_intensities():
    stack = np.random.default_rng(0).normal(size=(3, 8, 9)).astype(np.float32)
    (found,) = placed([stack], RAMP)
    assert (len(found), found.shape) == (3, (3, 8, 9))
    np.testing.assert_array_equal(found[1], stack[1])
    assert placed([stack], None) == [stack]


def test_levels_are_those_of_the_brightness_times_those_of_the_place():
    noise = NoiseModel((0.0, 1.0), (0.1, 0.3), place=RAMP)
    found = noise.levels(np.array([0.0, 0.5, 1.0]), np.array([1.0, 2.0, 0.5]))
    np.testing.assert_allclose(found, [0.1, 0.4, 0.15])
    assert noise.least_std == pytest.approx(0.1)
    weaker = NoiseModel((0.0, 1.0), (0.1, 0.3), place=PlaceMap.of_grid(np.log([[[0.5, 2.0]]])))
    assert weaker.least_std == pytest.approx(0.05, rel=1e-3)
    assert "times 0.50 to 2.00 by place" in repr(weaker)
    for points in (3, 1):
        curve = [LevelPoint(0.3 * one, 0.05 + 0.1 * one, 500) for one in range(points)]
        assert getattr(model_of_curve(curve, WHITE, place=RAMP), "place", None) == RAMP


def test_a_map_is_kept_in_a_models_record():
    noise = NoiseModel((0.0,), (0.1,), place=RAMP)
    text = json.dumps(noise.as_dict())
    assert NoiseRecord.model_validate_json(text).model() == noise
    # Folders of before have none.
    old = json.dumps(NoiseModel.constant(0.1).as_dict())
    assert "place" not in old
    assert NoiseRecord.model_validate_json(old).model().place is None


@pytest.mark.parametrize("place", [[[[0.0, 0.1], [0.0]]], [[[0.0]], [[0.0], [0.1]]], [[[9.0]]], [[[]]], []])
def test_a_damaged_map_is_refused(place):
    with pytest.raises(ValidationError, match="place"):
        NoiseRecord.model_validate_json(json.dumps({**NoiseModel.constant(0.1).as_dict(), "place": place}))


def levels_of(shape, height, width):
    """Maps from 1 to 3, as geometry factors, coils and bodies make them."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    ridges = np.exp(-(((x - 0.35) / 0.2) ** 2) / 2) + np.exp(-(((x + 0.35) / 0.2) ** 2) / 2)
    return (
        1
        + 2
        * {
            "ramp": (x + 1) / 2,
            "centre": np.exp(-(x**2 + y**2) / (2 * 0.4**2)),
            "ridges": ridges / ridges.max(),
            "radial": np.minimum(np.hypot(x, y), 1),
        }[shape]
    )


def unit_noise(width_px, shape, seed=0):
    rng = np.random.default_rng(seed)
    return gaussian(np.zeros(shape), 1.0, correlation_px=width_px, axis=0, rng=rng)


def errors(found, truth):
    """Relative errors of levels, but for their common factor."""
    off = np.log(found) - np.log(truth)
    return np.abs(np.expm1(off - np.median(off)))


@pytest.mark.parametrize("width_px", [0.0, 0.8, 1.2])
@pytest.mark.parametrize("shape", ["ramp", "centre", "ridges", "radial"])
def test_a_map_is_found_whatever_its_shape(shape, width_px):
    clean = smooth_stack(6)
    level = 0.03 * levels_of(shape, 150, 130)
    noisy = (clean + level * unit_noise(width_px, clean.shape)).astype(np.float32)
    place = find_place([noisy], Correlation.gaussian(width_px), adjacent=True)
    assert place is not None
    off = errors(place.over((6, 150, 130))[2], level)
    assert np.median(off) < 0.1
    assert np.quantile(off, 0.9) < 0.25


@pytest.mark.parametrize("width_px", [0.0, 1.2])
@pytest.mark.parametrize("std", [0.02, 0.08])
def test_noise_of_one_level_has_no_map_or_next_to_none(std, width_px):
    clean = smooth_stack(6)
    noisy = (clean + std * unit_noise(width_px, clean.shape)).astype(np.float32)
    place = find_place([noisy], Correlation.gaussian(width_px), adjacent=True)
    if place is not None:
        off = errors(place.over((6, 150, 130))[2], np.ones((150, 130)))
        assert np.median(off) < 0.05
        assert np.quantile(off, 0.9) < 0.1


def test_noise_that_grows_with_brightness_has_no_map():
    clean = smooth_stack(6)
    noisy = (clean + (0.02 + 0.1 * clean) * unit_noise(0.0, clean.shape)).astype(np.float32)
    assert find_place([noisy], WHITE, adjacent=True) is None


def test_place_and_brightness_are_told_apart():
    clean = smooth_stack(6)
    level = levels_of("ramp", 150, 130) * (0.02 + 0.08 * clean) / 2
    noisy = (clean + level * unit_noise(0.0, clean.shape)).astype(np.float32)
    noise = diagnose_stacks([noisy], [0.0]).noise
    assert noise.place is not None
    assert np.median(errors(noise.place.over((6, 150, 130))[2], levels_of("ramp", 150, 130))) < 0.08
    found = noise.levels(clean[2], noise.place.over((6, 150, 130))[2])
    assert np.median(np.abs(found / level[2] - 1)) < 0.15


def test_a_map_follows_the_slices():
    clean = smooth_stack(15)
    level = 0.03 * np.linspace(1, 3, 15)[:, None, None]
    noisy = (clean + level * unit_noise(0.0, clean.shape)).astype(np.float32)
    place = find_place([noisy], WHITE, adjacent=True)
    assert place is not None
    found = np.array([np.median(factors) for factors in (place.over((15, 150, 130))[k] for k in range(15))])
    assert np.median(errors(found, level.ravel())) < 0.1


def test_the_level_of_a_magnitude_image_is_known_at_each_place():
    rng = np.random.default_rng(0)
    clean = object_in_air(6, 200)
    level = 0.03 * levels_of("ramp", 200, 200)
    real, imaginary = (level * rng.standard_normal(clean.shape) for _ in range(2))
    noisy = np.hypot(clean + real, imaginary)
    found = diagnose_stacks([noisy.astype(np.float32)], [0.0])
    assert found.noise.place is not None
    factors = found.noise.place.over((6, 200, 200))[2]
    inside = clean[2] > 0.2
    stated = found.noise.levels(clean[2], factors)
    assert np.median(np.abs(stated / level - 1)[inside]) < 0.1
    # Divided by the map, the noise is Rician of one level.
    assert found.rician_std == pytest.approx(float(np.median(level / factors)), rel=0.2)
    assert found.coils == 1


def test_residuals_of_slices_with_a_map_are_in_units_of_its_level():
    level = 0.05 * levels_of("ramp", 150, 130)
    place = PlaceMap.of_grid(np.log(np.array([[np.linspace(0.5, 1.5, 9)]])))
    signal = np.linspace(0.1, 0.9, 150)[:, None]
    noisy = (signal + level * unit_noise(0.0, (5, 150, 130))).astype(np.float32)
    (stack,) = placed([noisy], place)
    for side in (8, 16):
        before = find_patches([noisy], side, adjacent=True)
        after = find_patches([stack], side, adjacent=True)
        np.testing.assert_array_equal(after.mean, before.mean)
        assert np.corrcoef(before.variance, before.place[:, 2])[0, 1] > 0.5
        assert abs(np.corrcoef(after.variance, after.place[:, 2])[0, 1]) < 0.05
        assert float(after.residual.std()) == pytest.approx(float(np.sqrt(after.variance.mean())), rel=0.05)
        assert np.corrcoef(before.surroundings, before.place[:, 2])[0, 1] > 0.5
        assert abs(np.corrcoef(after.surroundings, after.place[:, 2])[0, 1]) < 0.2


def test_patches_say_where_they_are():
    y, x = np.meshgrid(np.arange(40), np.arange(60), indexing="ij")
    coded = np.stack([1e4 * k + 100.0 * y + x for k in range(3)]).astype(np.float64)
    coded += np.random.default_rng(0).normal(0, 1e-6, coded.shape)
    patches = find_patches([coded], 8, adjacent=False)
    at = patches.place * np.array([2, 39, 59])
    np.testing.assert_allclose(at @ [1e4, 100, 1], patches.mean, atol=1e-3)


@pytest.mark.parametrize(
    ("grid", "strong", "weak"),
    [
        ([[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]], "centre", "rim"),
        ([[[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]], "rim", "centre"),
        ([[[0.0, 1.0]]], "last columns", "first columns"),
        ([[[1.0], [0.0]]], "first rows", "last rows"),
        ([[[0.0]], [[1.0]]], "last slices", "first slices"),
    ],
)
def test_where_noise_is_strongest_is_said(grid, strong, weak):
    found = PlaceMap.of_grid(np.array(grid)).contrast()
    assert (found.strong, found.weak) == (strong, weak)
    assert 1.6 < found.times < np.e


def test_info_says_how_the_level_varies(tmp_path):
    clean = smooth_stack(6)
    noisy = 1000 * (clean + 0.03 * levels_of("ramp", 150, 130) * unit_noise(0.0, clean.shape))
    path, even = tmp_path / "noisy.nii.gz", tmp_path / "even.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(noisy, 0, 2).astype(np.float32), np.eye(4)), path)
    flat = 1000 * (clean + 0.05 * unit_noise(0.0, clean.shape))
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(flat, 0, 2).astype(np.float32), np.eye(4)), even)
    said = CliRunner().invoke(app, ["info", str(path), "--axis", "2", "--picture", str(tmp_path / "a.png")])
    assert said.exit_code == 0
    assert "times stronger in the last columns than in the first columns" in " ".join(said.output.split())
    assert (tmp_path / "a.png").stat().st_size > 20_000
    facts = json.loads(CliRunner().invoke(app, ["info", str(path), "--axis", "2", "--json"]).output)
    assert facts["noise_map"]["times"] == pytest.approx(2.6, rel=0.15)
    assert facts["noise_std"] == pytest.approx(60, rel=0.1)
    assert json.loads(CliRunner().invoke(app, ["info", str(even), "--json"]).output)["noise_map"] is None


def test_a_noise_map_is_that_of_brightness_times_that_of_place():
    clean = 1000 * np.moveaxis(smooth_stack(6), 0, 2)
    level = 30 * levels_of("ramp", 150, 130)[..., None]
    noisy = from_array(
        (clean + level * np.random.default_rng(0).standard_normal(clean.shape)).astype(np.float32)
    )
    stated = noise_map_of(noisy, noisy.with_data(clean), diagnose(noisy, 2)).whole()
    assert stated.shape == clean.shape
    assert np.median(np.abs(stated / level - 1)) < 0.08


def test_with_a_map_the_correlation_is_not_that_of_the_calmest_places():
    # Where noise is weakest, texture has the larger part.
    rng = np.random.default_rng(5)
    rough = gaussian_filter(rng.standard_normal((6, 200, 200)), (0, 1.5, 1.5))
    rows, columns = np.indices((200, 200)) - 100
    level = 0.01 * (1 + 3 * np.exp(-(rows**2 + columns**2) / (2 * 44**2)))
    noise = level * np.random.default_rng(0).standard_normal(rough.shape)
    noisy = (textured((6, 200, 200)) + 0.02 * rough / rough.std() + noise).astype(np.float32)
    found = diagnose_stacks([noisy], [-9.0])
    assert found.noise.place is not None
    assert found.correlation.is_white

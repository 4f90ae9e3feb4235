from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from diffdenoise.config import Settings
from diffdenoise.errors import InputError, IntensityError, SettingsError, ShapeError
from diffdenoise.noise.place import PlaceMap
from diffdenoise.noise.simulate import gaussian, rician
from diffdenoise.plan import already_clean, blind_spot_for, make_plan, noise_of
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import from_array


def volume(shape=(5, 90, 80), std=60.0, width_px=0.0, seed=0):
    """Smooth shapes of about 300 to 900 with noise; slices along the first axis."""
    k, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    clean = 600 + 250 * np.cos(3 * x + k) * np.sin(3 * y)
    return gaussian(clean, std, correlation_px=width_px, axis=0, rng=np.random.default_rng(seed))


def plan_of(*arrays, **overrides):
    overrides.setdefault("data", {})
    if arrays[0].ndim > 2:
        overrides["data"] = {"axis": 0, **overrides["data"]}
    return make_plan([from_array(array) for array in arrays], Settings.build(**overrides))


@pytest.mark.parametrize(("slices", "expected"), [(2, 0), (3, 1), (9, 1)])
def test_neighbours_follow_from_the_number_of_slices(slices, expected):
    assert plan_of(volume((slices, 40, 40))).neighbours == expected


@pytest.mark.parametrize(
    ("spacing_mm", "slices", "expected"),
    [
        ((1.0, 1.0, 1.0), 9, 3),
        ((1.25, 1.0, 1.1), 9, 3),
        ((0.5, 1.0, 1.0), 6, 3),
        ((1.3, 1.0, 1.0), 9, 1),
        ((1.3, 1.3, 1.0), 9, 1),
        ((1.0, 1.0, 1.0), 5, 1),
        ((1.0, 1.0, 1.0), 2, 0),
        (None, 9, 1),
    ],
)
def test_neighbours_follow_from_how_near_they_are(spacing_mm, slices, expected):
    scan = replace(from_array(volume((slices, 40, 40))), spacing_mm=spacing_mm)
    assert make_plan([scan], Settings.build(data={"axis": 0})).neighbours == expected


def test_slices_of_one_noise_are_no_neighbours_however_near():
    data = np.repeat(volume((5, 40, 40)), 2, axis=0)
    scan = replace(from_array(data), spacing_mm=(1.0, 1.0, 1.0))
    assert make_plan([scan], Settings.build(data={"axis": 0})).neighbours == 0


def test_neighbours_follow_from_the_thinnest_volume_and_from_the_settings():
    assert plan_of(volume((9, 40, 40)), volume((2, 40, 40))).neighbours == 0
    assert plan_of(volume()[0]).neighbours == 0
    assert plan_of(volume(), data={"neighbours": 0}).neighbours == 0
    assert plan_of(volume(), data={"neighbours": 2}).neighbours == 2


@pytest.mark.parametrize(
    ("width_px", "side"),
    [((0.0, 0.0), 1), ((0.5, 0.4), 1), ((0.0, 0.6), 3), ((0.7, 0.7), 3), ((1.0, 0.8), 5), ((0.0, 2.4), 7)],
)
def test_the_blind_spot_covers_the_wider_correlation(width_px, side):
    assert blind_spot_for(width_px) == side


def test_the_blind_spot_follows_from_the_scan_and_from_the_settings():
    assert plan_of(volume()).blind_spot == 1
    assert plan_of(volume(width_px=1.0)).blind_spot in (5, 7)
    assert plan_of(volume(width_px=1.0), stage1={"blind_spot": 3}).blind_spot == 3


def test_the_noise_is_estimated_in_shares_of_the_range():
    plan = plan_of(volume(std=60.0))
    assert plan.noise.typical_std == pytest.approx(60.0 / IntensityMap.fit(volume(std=60.0)).range, rel=0.08)


def test_a_given_noise_level_wins_in_the_scans_own_units():
    data = volume(std=60.0)
    plan = plan_of(data, noise_std=50.0)
    assert plan.noise.typical_std == pytest.approx(50.0 / IntensityMap.fit(data).range)
    assert plan.noise.correlation == plan_of(data).noise.correlation
    # Of scans with different ranges, the middle one.
    plan = plan_of(data, 2 * data, 3 * data, noise_std=100.0)
    assert plan.noise.typical_std == pytest.approx(100.0 / IntensityMap.fit(2 * data).range)


@pytest.mark.parametrize("told", [25.0, 120.0])
def test_a_level_that_the_scan_contradicts_is_not_taken(told):
    data = volume(std=60.0)
    own, plan = plan_of(data), plan_of(data, noise_std=told)
    assert plan.noise == own.noise
    assert plan.settings.noise_std is None
    assert plan.contradiction.told == told
    assert plan.contradiction.shown == pytest.approx(60.0, rel=0.08)
    assert plan.as_dict()["contradiction"]["told"] == told
    with pytest.raises(SettingsError, match="has an effect with noise_std only"):
        plan_of(data, noise_std_as_told=True)
    insisting = plan_of(data, noise_std=told, noise_std_as_told=True)
    assert insisting.contradiction is None
    assert insisting.noise.typical_std == pytest.approx(told / IntensityMap.fit(data).range)


def test_a_told_level_says_nothing_of_how_it_varies_with_brightness():
    clean = 600 + 400 * np.sin(np.linspace(0, 12, 160))[:, None] * np.cos(np.linspace(0, 9, 160))
    noisy = 12.0 * np.random.default_rng(0).poisson(np.broadcast_to(clean, (5, 160, 160)) / 12)
    own = plan_of(noisy)
    assert not own.noise.is_constant
    std = 1.2 * own.noise.typical_std * IntensityMap.fit(noisy).range
    plan = plan_of(noisy, noise_std=std)
    assert plan.noise.stds == pytest.approx([1.2 * one for one in own.noise.stds])
    assert plan_of(noisy, noise_std=std, noise_std_as_told=True).noise.is_constant


def test_a_scan_without_noise_is_given_a_level_above_zero():
    clean = np.zeros((40, 40))
    clean[10:30, 10:30] = 5
    clean[12:20, 12:20] = 3
    assert plan_of(clean).noise.typical_std > 0


def test_the_fingerprint_depends_on_the_values_and_not_on_names():
    data = volume()
    first = make_plan([from_array(data, "a.nii"), from_array(data[1:4], "b.nii")], Settings())
    renamed = make_plan([from_array(data, "x.nii"), from_array(data[1:4], "y.nii")], Settings(seed=5))
    assert first.fingerprint() == renamed.fingerprint()
    changed = data.copy()
    changed[2, 30, 30] += 20
    others = [
        make_plan([from_array(changed), from_array(data[1:4])], Settings()),
        make_plan([from_array(data[1:4]), from_array(data)], Settings()),
        make_plan([from_array(data)], Settings()),
    ]
    assert len({plan.fingerprint() for plan in [first, *others]}) == 4


def test_the_fingerprint_depends_on_the_shape():
    values = volume()[0]
    assert plan_of(values).fingerprint() != plan_of(values.reshape(60, 120)).fingerprint()


def test_as_dict_is_json_and_says_what_was_chosen():
    plan = plan_of(volume(), volume((6, 64, 50), seed=1), minutes=3.0)
    told = json.loads(json.dumps(plan.as_dict()))
    assert (told["scans"], told["volumes"], told["slices"]) == (2, 2, 11)
    assert told["slice_sizes"] == ["64x50", "90x80"]
    assert told["slice_axes"] == [0]
    assert (told["neighbours"], told["blind_spot"]) == (1, 1)
    assert told["noise_std_of_range"] == pytest.approx(plan.noise.typical_std, abs=1e-5)
    assert told["settings"]["minutes"] == 3.0


def test_slices_of_volumes_and_of_time_series_are_stacked():
    plan = plan_of(volume())
    assert [volume.shape for volume in plan.volumes] == [(5, 90, 80)]
    assert plan.volumes[0].slab(1, 4).dtype == np.float32
    series = np.stack([volume(), volume(seed=1)], axis=-1)
    plan = plan_of(series)
    assert [volume.shape for volume in plan.volumes] == [(5, 90, 80)] * 2
    assert plan.axes == (0,)
    # One intensity map for the whole file.
    low, high = np.percentile(series, [0.5, 99.5])
    assert plan.volumes[1].slab(0, 5) == pytest.approx((series[..., 1] - low) / (high - low), abs=1e-5)


def test_what_cannot_be_denoised_is_refused():
    with pytest.raises(InputError, match="no scan"):
        make_plan([], Settings())
    with pytest.raises(IntensityError):
        plan_of(volume(), np.full((5, 40, 40), 3.0))
    with pytest.raises(ShapeError):
        plan_of(np.arange(100.0))


def test_neighbours_with_shared_noise_are_left_out():
    apart = np.random.default_rng(3).standard_normal((32, 32, 8))
    between = (apart[..., :-1] + apart[..., 1:]) / 2
    assert make_plan([from_array(apart)], Settings()).neighbours == 1
    assert make_plan([from_array(between)], Settings()).neighbours == 0


def test_networks_work_where_the_noise_has_one_level_at_every_place():
    level = np.broadcast_to(np.linspace(20, 100, 120), (120, 120))
    clean = volume((6, 120, 120), std=1e-6)
    noisy = clean + level * np.random.default_rng(0).standard_normal(clean.shape)
    plan = plan_of(noisy)
    assert plan.places[0] is not None
    assert plan.domain.level == plan.noise.typical_std
    (entered,), (given,) = plan.entered, plan.volumes
    inside, outside = entered.slab(0, 6), given.slab(0, 6)
    # Of the clean image there is next to nothing in differences of pixels.
    apart = [np.diff(stack, axis=1) / np.sqrt(2) for stack in (inside, outside)]
    stds = [[float(one[..., part].std()) for part in (slice(0, 30), slice(90, 120))] for one in apart]
    assert stds[1][1] > 2 * stds[1][0]
    assert stds[0] == pytest.approx([plan.domain.level] * 2, rel=0.15)
    np.testing.assert_allclose(entered.leave(0, inside), outside, atol=1e-5)


def test_each_volume_is_divided_about_its_own_true_zero():
    y, x = np.mgrid[:128, :128] - 64.0
    clean = np.where(np.hypot(y, x) < 44, 600 + 150 * np.cos(x / 20), 0.0)[None].repeat(3, 0)
    scans = [rician(times * clean, 80.0, rng=np.random.default_rng(0)) for times in (1, 1.4)]
    plan = make_plan([from_array(scan) for scan in scans], Settings.build(data={"axis": 0}))
    maps = [IntensityMap.fit(scan) for scan in scans]
    assert plan.zeros == pytest.approx([-one.low / one.range for one in maps])
    assert plan.zeros[0] != plan.zeros[1]
    assert plan.domain.zero == plan.known.zero == plan.zeros[0]
    assert plan.domain.level == pytest.approx(80 / maps[0].range, rel=0.3)
    told = make_plan([from_array(scans[0])], Settings.build(data={"axis": 0}, noise_std=65.0))
    assert told.domain.level == pytest.approx(65 / maps[0].range)
    # As scanned, but for the map, which is about the true zero.
    place = PlaceMap.of_grid(np.array([[[0.7]]]))
    twice = replace(plan, places=(place, place))
    for entered, given, zero in zip(twice.entered, plan.volumes, plan.zeros, strict=True):
        expected = (given.slab(0, 3) - zero) / np.exp(0.7)
        np.testing.assert_allclose(entered.slab(0, 3) - zero, expected, atol=1e-5)


def test_the_weights_are_told_what_the_plan_knows():
    scan = replace(from_array(volume((9, 90, 80), width_px=0.8)), spacing_mm=(3.0, 1.5, 1.0))
    plan = make_plan([scan], Settings.build(data={"axis": 0}))
    assert plan.spacing == 3.0
    known = plan.known
    assert (known.level, known.neighbours, known.spacing, known.zero) == (plan.domain.level, 1, 3.0, None)
    # Noise that is smooth has most of its power at low frequencies.
    assert known.power[0, 1] > 2
    assert known.power[8, 8] < 0.2
    # What is told of the level doesn't change what the scan shows.
    told = make_plan([scan], Settings.build(data={"axis": 0}, noise_std=50.0))
    assert told.known.level == pytest.approx(plan.known.level * 50 / 60, rel=0.1)
    assert told.shown == plan.shown


def test_no_time_and_no_steps_is_refused():
    settings = Settings.model_validate({"minutes": None, "schedule": {"blind-spot": {"steps": 3}}})
    with pytest.raises(SettingsError, match="diffusion, targets, student, refine"):
        make_plan([from_array(np.random.default_rng(0).random((32, 32)))], settings)


def test_one_clean_scan_among_noisy_ones_does_not_make_them_clean():
    noisy = [volume((5, 160, 150), seed=seed) for seed in range(3)]
    clean = volume((5, 160, 150), std=0.5)
    plan = plan_of(*noisy, clean)
    assert plan.noise.typical_std == pytest.approx(plan_of(noisy[0]).noise.typical_std, rel=0.1)
    settings = Settings.build(data={"axis": 0})
    found = [noise_of(from_array(each), settings) for each in (clean, *noisy)]
    assert already_clean(found[:1], settings)
    assert not already_clean(found, settings)
    assert not already_clean(found[:1], Settings.build(data={"axis": 0}, clean_below_contrast=0))
    # Whoever tells a level that the scan bears out, or insists, wants it taken off.
    (shown,) = {one.std for one in found[:1]}
    assert shown is not None
    for told in ({"noise_std": shown}, {"noise_std": 5.0, "noise_std_as_told": True}):
        assert not already_clean(found[:1], Settings.build(data={"axis": 0}, **told))
    assert already_clean(found[:1], Settings.build(data={"axis": 0}, noise_std=10 * shown))


def test_without_a_level_the_stages_are_those_that_need_none():
    from tests.noise.test_evenness import everywhere

    noisy = everywhere() + 0.01 * np.random.default_rng(1).standard_normal((6, 96, 96))
    scan = from_array(np.moveaxis(noisy.astype(np.float32), 0, 2))
    plan = make_plan([scan], Settings())
    assert plan.diagnosis.is_upper_bound
    assert plan.is_blind
    assert not plan.settings.stage3.refine
    assert plan.settings.stage3.target == "srds"
    assert plan.as_dict()["blind"]
    told = make_plan([scan], Settings(noise_std=0.01))
    assert not told.is_blind
    assert told.settings.stage3.refine

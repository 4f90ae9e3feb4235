"""Train and denoise end to end, tiny: what comes back, and that it can be repeated."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.errors import InputError, IntensityError, ModelError, OutputError, SettingsError, ShapeError
from diffdenoise.method.train import train
from diffdenoise.model.denoiser import Denoiser
from diffdenoise.noise.simulate import rician
from diffdenoise.plan import noise_of
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import from_array
from tests.conftest import make_volume, tiny_settings


def test_model_folder_is_complete_and_holds_no_names(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(make_volume(), np.diag([1.0, 1.0, 4.0, 1.0]))
    image.header["descrip"] = b"CANARY^PATIENT"
    nibabel.save(image, tmp_path / "CANARY.nii.gz")
    model = dd.train(tmp_path / "CANARY.nii.gz", tmp_path / "model", settings=tiny_settings())
    files = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert files == [
        "README.md",
        "blind_spot.safetensors",
        "diffusion.safetensors",
        "record.json",
        "settings.yaml",
        "student.safetensors",
    ]
    for path in (tmp_path / "model").iterdir():
        assert b"CANARY" not in path.read_bytes()
    assert model.record["noise"]["stds"][0] > 0
    assert set(model.record["stages"]) == {"blind-spot", "diffusion", "targets", "student", "refine"}


def test_same_settings_data_and_seed_give_the_same_weights(tmp_path: Path) -> None:
    scan = from_array(make_volume())
    first = train([scan], tiny_settings(), tmp_path / "first")
    repeat = Settings.build(tmp_path / "first" / "settings.yaml")
    train([scan], repeat, tmp_path / "second")
    other = train([scan], tiny_settings(seed=1), tmp_path / "other")
    one, two, three = (
        load_file(tmp_path / name / "student.safetensors") for name in ("first", "second", "other")
    )
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert any(not np.array_equal(one[key], three[key]) for key in one)
    volume = make_volume(seed=5)
    assert np.array_equal(dd.load(first.folder).denoise(volume), dd.load(tmp_path / "second").denoise(volume))
    assert not np.array_equal(dd.load(first.folder).denoise(volume), dd.load(other.folder).denoise(volume))


def test_a_time_budget_becomes_steps_that_repeat_it(tmp_path: Path) -> None:
    scan = from_array(make_volume())
    timed = tiny_settings(minutes=0.05, schedule={})
    train([scan], timed, tmp_path / "timed")
    repeat = Settings.build(tmp_path / "timed" / "settings.yaml")
    assert set(repeat.schedule) == {"blind-spot", "diffusion", "targets", "student", "refine"}
    train([scan], repeat, tmp_path / "again")
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("timed", "again"))
    assert all(np.array_equal(one[key], two[key]) for key in one)


Array = NDArray[np.float32]
#: Networks of the default widths, whose synthetic weights fit, trained for a moment.
_SHORT = {"blind-spot": {"steps": 2}, "diffusion": {"steps": 2}, "refine": {"steps": 2}}


def test_a_student_that_knows_more_than_its_teacher_is_not_distilled(tmp_path: Path) -> None:
    scan = from_array(make_volume())
    settings = Settings.build(minutes=1.0, schedule=_SHORT, data={"patch": 32, "batch": 2})
    model = train([scan], settings, tmp_path / "first")
    taught, own = model.record["risks"]["risks"]
    assert own < taught
    assert model.record["stages"]["targets"]["steps"]["steps"] == 0
    assert model.record["stages"]["student"]["steps"]["steps"] == 0
    assert model.record["synthetic_start"] == ["stage1", "stage2", "stage3"]
    # The settings that were written leave it out again, and give the same weights.
    train([scan], Settings.build(tmp_path / "first" / "settings.yaml"), tmp_path / "second")
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("first", "second"))
    assert all(np.array_equal(one[key], two[key]) for key in one)


def magnitude(std: float = 80.0) -> Array:
    """A magnitude image, whose noise scatters less near its floor."""
    y, x = np.mgrid[:128, :128] - 64.0
    clean = np.where(np.hypot(y, x) < 44, 600 + 150 * np.cos(x / 20), 0.0)[..., None].repeat(3, -1)
    return rician(clean, std, rng=np.random.default_rng(0)).astype(np.float32)


def test_a_student_that_knows_nothing_is_distilled(tmp_path: Path) -> None:
    schedule = {**_SHORT, "blind-spot": {"steps": 20}, "diffusion": {"steps": 20}}
    settings = tiny_settings(minutes=0.1, schedule=schedule)
    model = train([from_array(make_volume())], settings, tmp_path / "model")
    taught, own = model.record["risks"]["risks"]
    assert taught < own
    assert model.record["stages"]["student"]["steps"]["steps"] >= 1
    assert model.record["synthetic_start"] == []


def test_a_student_is_always_distilled_where_nothing_comes_after(tmp_path: Path) -> None:
    schedule = {name: _SHORT[name] for name in ("blind-spot", "diffusion")}
    settings = Settings.build(
        minutes=0.2, schedule=schedule, data={"patch": 32, "batch": 2}, stage3={"refine": False}
    )
    model = train([from_array(make_volume())], settings, tmp_path / "model")
    assert model.record["stages"]["student"]["steps"]["steps"] >= 1


@pytest.mark.parametrize("shape", [(33, 47), (21, 30, 1), (25, 19, 4), (24, 22, 3, 2)])
def test_any_size_comes_back_in_kind(shape: tuple[int, ...]) -> None:
    volume = make_volume(shape)
    settings = tiny_settings(data={"patch": 16, "batch": 2, "axis": 2 if len(shape) > 2 else None})
    denoised = dd.denoise(volume, settings=settings)
    assert denoised.shape == shape
    assert denoised.dtype == volume.dtype
    assert not np.array_equal(denoised, volume)


def test_nibabel_image_in_and_out() -> None:
    image = nibabel.Nifti1Image(make_volume(), np.diag([1.0, 1.0, 4.0, 1.0]))
    denoised = dd.denoise(image, settings=tiny_settings())
    assert isinstance(denoised, nibabel.Nifti1Image)
    assert np.array_equal(denoised.affine, image.affine)
    assert denoised.get_data_dtype() == np.int16


def test_iterations_train_every_round(tmp_path: Path) -> None:
    schedule = {}
    for turn in ("", "-2", "-3"):
        for stage in ("diffusion", "student", "refine"):
            schedule[stage + turn] = {"steps": 3}
        schedule["targets" + turn] = {"steps": 1}
    schedule["blind-spot"] = {"steps": 3}
    settings = tiny_settings(iterations=3, schedule=schedule)
    model = train([from_array(make_volume())], settings, tmp_path / "model")
    assert "refine-3" in model.record["stages"]
    assert len(set(model.record["residual_std"].values())) == 3


def test_the_paper_literally(tmp_path: Path) -> None:
    settings = tiny_settings(
        stage2={"width": 4, "jointly_blind": False},
        stage3={"width": 4, "target": "srds", "refine": False},
    )
    model = train([from_array(make_volume())], settings, tmp_path / "model")
    assert "refine" not in model.record["stages"]


@pytest.mark.parametrize("target", ["srds", "corrected"])
def test_other_targets(tmp_path: Path, target: str) -> None:
    settings = tiny_settings(stage3={"width": 4, "target": target, "draws": 2})
    model = train([from_array(make_volume())], settings, tmp_path / "model")
    assert model.settings.stage3.target == target


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_constant_image_is_refused(value: float) -> None:
    with pytest.raises(IntensityError):
        dd.denoise(np.full((32, 32), value), settings=tiny_settings())


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_non_finite_values_are_refused(bad: float) -> None:
    volume = make_volume((32, 32)).astype(float)
    volume[3, 4] = bad
    with pytest.raises(IntensityError):
        dd.denoise(volume, settings=tiny_settings())


def test_model_with_neighbours_refuses_a_single_image(tmp_path: Path) -> None:
    model = train([from_array(make_volume())], tiny_settings(), tmp_path / "model")
    with pytest.raises(ModelError, match="neighbours=0"):
        dd.load(model.folder).denoise(make_volume((32, 32)))


@pytest.mark.parametrize(
    ("where", "error", "told"),
    [
        ("scan.bin", InputError, r"scan\.bin: cannot be read \(Input/output error\).* resume=True"),
        ("model/work/state.json", OutputError, r"model: cannot be written \(Input/output error\)"),
    ],
)
def test_what_cannot_be_read_is_told_from_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: type[Exception], told: str
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str(tmp_path / where))

    monkeypatch.setattr("diffdenoise.method.train.train_all_stages", refused)
    with pytest.raises(error, match=told):
        dd.train(make_volume(), tmp_path / "model", settings=tiny_settings())


def test_finished_model_is_not_overwritten(tmp_path: Path) -> None:
    scan = from_array(make_volume())
    train([scan], tiny_settings(), tmp_path / "model")
    with pytest.raises(OutputError, match="finished"):
        train([scan], tiny_settings(), tmp_path / "model")


def test_damaged_model_is_refused(tmp_path: Path) -> None:
    train([from_array(make_volume())], tiny_settings(), tmp_path / "model")
    (tmp_path / "model" / "student.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="damaged"):
        dd.load(tmp_path / "model")


def test_several_sizes_are_one_data_set(tmp_path: Path) -> None:
    scans = [make_volume((40, 36, 4)), make_volume((28, 44, 6), seed=1)]
    model = dd.train(scans, tmp_path / "model", settings=tiny_settings())
    assert model.record["data"]["slices"] == 10
    assert model.denoise(scans[1]).shape == scans[1].shape


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "work").mkdir(parents=True)
    (folder / "README.md").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        dd.train(make_volume(), folder, settings=tiny_settings())
    assert (folder / "README.md").read_text() == "mine"
    assert (folder / "work").is_dir()


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    settings = tiny_settings(data={"patch": 16, "batch": 2, "neighbours": 1})
    with pytest.raises(SettingsError, match="neighbours=0"):
        dd.train(make_volume((32, 32)), tmp_path / "model", settings=settings)
    assert not (tmp_path / "model").exists()


def test_an_axis_that_does_not_fit_is_refused_before_training() -> None:
    with pytest.raises(ShapeError):
        dd.denoise(make_volume((32, 32)), axis=1)


def test_integers_do_not_wrap_around() -> None:
    volume = (make_volume((32, 32)).astype(np.int64) - 500) * (2**62 // 700)
    denoised = dd.denoise(volume, settings=tiny_settings())
    assert denoised.dtype == np.int64
    assert np.abs(denoised.astype(float) - volume).max() < 2.0**61


def test_large_slices_get_targets_of_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffdenoise.method.stages._TARGET_SIDE", 24)
    model = dd.train(make_volume((40, 37)), tmp_path / "model", settings=tiny_settings())
    assert model.denoise(make_volume((40, 37), seed=2)).shape == (40, 37)


def test_simulated_noise_comes_back_as_floats() -> None:
    clean = make_volume((32, 32), std=0)
    noisy = dd.simulate(clean, "gaussian", 60.0, seed=3)
    assert np.issubdtype(noisy.dtype, np.floating)
    assert float((noisy - clean).std()) == pytest.approx(60, rel=0.1)


def test_a_time_asked_for_wins_over_step_counts(tmp_path: Path) -> None:
    long = tiny_settings(schedule={"blind-spot": {"steps": 10**6}})
    model = dd.train(make_volume((32, 32)), tmp_path / "model", settings=long, minutes=0.03)
    assert model.settings.schedule["blind-spot"].steps < 10**5


def test_the_bias_of_rician_noise_is_undone(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :128] - 64.0
    noisy = magnitude()
    scan = from_array(noisy)
    model = dd.load(train([scan], tiny_settings(), tmp_path / "on").folder)
    assert model.record["rician_std"] * IntensityMap.fit(noisy).range == pytest.approx(80, rel=0.06)
    kept = dd.load(train([scan], tiny_settings(rician_bias=False), tmp_path / "off").folder)
    assert kept.record["rician_std"] is None
    air = np.hypot(y, x) >= 44
    assert model.denoise(scan).data[air].mean() < 0.5 * kept.denoise(scan).data[air].mean()
    # Values below zero are of no magnitude image: nothing is undone there.
    shifted = from_array(noisy - 50)
    with pytest.raises(ModelError, match="no Rician noise"):
        model.denoise(shifted)
    assert model.denoise(shifted, force=True).data.min() < 0


def test_the_bias_of_rician_noise_is_undone_by_the_scans_own_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    louder, quieter = magnitude(80.0), magnitude(62.0)
    model = train([from_array(louder)], tiny_settings(), tmp_path / "model")
    levels = []

    def noted(
        denoised: list[Any], std: float, coils: int, zero: float, factors: object
    ) -> Callable[[Any, float], Any]:
        assert coils == 1
        assert factors is None
        levels.append(std)
        return lambda slices, factor: slices

    monkeypatch.setattr("diffdenoise.model.trained.bias_correction", noted)
    dd.load(model.folder).denoise(quieter)
    assert levels == [pytest.approx(62 / IntensityMap.fit(quieter).range, rel=0.06)]


@pytest.mark.parametrize("magnitudes", [False, True])
def test_a_scan_is_denoised_for_its_own_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, magnitudes: bool
) -> None:
    own, other = (
        magnitude(std) if magnitudes else make_volume((96, 96, 6), std=std).astype(np.float32)
        for std in (80.0, 62.0)
    )
    model = train([from_array(own)], tiny_settings(noise_std=66.0), tmp_path / "model")
    levels: list[float] = []
    run = Denoiser._run_own

    def noted(self: Denoiser, noisy: Array, level: float) -> Array:
        levels.append(level)
        return run(self, noisy, level)

    monkeypatch.setattr(Denoiser, "_run_own", noted)
    dd.load(model.folder).denoise(other, force=True)
    assert levels == pytest.approx([62 / IntensityMap.fit(other).range] * len(levels), rel=0.06)
    # Of those that it was trained on, what was told of them then.
    levels.clear()
    model.denoise_scan(from_array(own), noise_of(from_array(own), model.settings), own=True)
    assert set(levels) == {model.details.level}
    assert model.details.level == pytest.approx(66 / IntensityMap.fit(own).range)


def test_no_more_orientations_are_averaged_than_leave_the_noise_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train([from_array(make_volume())], tiny_settings(), tmp_path / "model")
    record = json.loads((model.folder / "record.json").read_text())
    record["noise"]["correlation"]["plane"] = [[0.5, 1.0, 0.5]]
    (model.folder / "record.json").write_text(json.dumps(record))
    turns = []

    def noted(run: Callable[[Array], Array], noisy: Array, given: Sequence[int]) -> Array:
        turns.append(tuple(given))
        return run(noisy)

    monkeypatch.setattr("diffdenoise.model.denoiser.run_turned", noted)
    dd.load(model.folder).denoise(make_volume(), force=True)
    assert record["orientations"] == 8
    assert set(turns) == {(0, 2, 4, 6)}


def test_orientations_fit_the_budget_and_are_repeated(tmp_path: Path) -> None:
    scan = from_array(make_volume())
    given = train([scan], tiny_settings(stage3={"width": 4, "draws": 1, "orientations": 4}), tmp_path / "a")
    assert given.record["orientations"] == 4
    chosen = train([scan], tiny_settings(), tmp_path / "b")
    assert chosen.record["orientations"] == 8
    assert chosen.settings.stage3.orientations == 8

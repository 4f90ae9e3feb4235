"""The Python calls: what is given and what comes back."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import diffdenoise as dd
from diffdenoise.config import Settings
from diffdenoise.errors import InputError, IntensityError, OutputError, SettingsError, ShapeError
from diffdenoise.model import Model
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.model import NoiseModel
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import read_scan
from tests.conftest import make_volume, tiny_settings
from tests.scan.dicom.files import pixels, read, slices

SHAPE = (32, 28, 5)
AFFINE = np.diag([-1.0, 1.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "model"
    return dd.train(make_volume(SHAPE), folder, settings=tiny_settings())


def save(path: Path, data: NDArray[Any]) -> Path:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, AFFINE), path)
    return path


def mixed_folder(folder: Path) -> Path:
    """A DICOM series, two NIfTI images, one of which is constant, and a text file."""
    side = 24
    y, x = np.mgrid[:side, :side] / side
    smooth = 400 + 200 * np.cos(3 * x) * y + np.zeros((4, 1, 1))
    noise = 30 * np.random.default_rng(0).standard_normal(smooth.shape)
    slices(folder / "dicom", count=4, values=(smooth + noise).astype(np.int16))
    save(folder / "a.nii.gz", make_volume(SHAPE))
    save(folder / "b.nii.gz", np.full(SHAPE, 7, np.int16))
    (folder / "notes.txt").write_text("none")
    return folder


def test_a_path_gives_a_result(tmp_path: Path, model: Model) -> None:
    volume = make_volume(SHAPE, seed=4)
    path = save(tmp_path / "scan.nii.gz", volume)
    result = model.denoise(path)
    assert isinstance(result, dd.Result)
    assert np.array_equal(np.rint(np.asarray(result)), model.denoise(volume, axis=2))
    assert np.array_equal(result.affine, AFFINE)
    assert (result.spacing_mm, result.shape, result.name) == ((1.0, 1.0, 4.0), SHAPE, "scan.nii.gz")
    assert np.array_equal(result.residual, volume - result.data)
    record = result.record
    assert record["noise_std"] == pytest.approx(60, rel=0.15)
    assert record["residual_std"] == result.residual.std()
    assert record["version"] == dd.__version__
    assert record["seconds"] > 0
    assert record["training"]["stages"]["blind-spot"]["steps"]["steps"] == 6
    assert record["slice_axis"] == 2
    assert record["already_clean"] is False


def test_a_result_is_saved_in_the_sources_format(tmp_path: Path, model: Model) -> None:
    result = model.denoise(save(tmp_path / "scan.nii.gz", make_volume(SHAPE)))
    assert result.save(tmp_path / "out.nii.gz") == tmp_path / "out.nii.gz"
    written = nibabel.load(tmp_path / "out.nii.gz")
    assert written.get_data_dtype() == np.int16
    assert np.array_equal(written.dataobj, np.rint(result.data))
    assert np.array_equal(written.affine, AFFINE)
    image = result.to_nibabel()
    assert np.array_equal(image.dataobj, written.dataobj)
    assert np.array_equal(image.affine, AFFINE)
    with pytest.raises(OutputError, match="exists"):
        result.save(tmp_path / "out.nii.gz")
    result.save(tmp_path / "out.nii.gz", overwrite=True, float32=True)
    assert nibabel.load(tmp_path / "out.nii.gz").get_data_dtype() == np.float32
    result.save_picture(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 0


def test_a_dicom_result_is_saved_as_a_series_or_as_nifti(tmp_path: Path, model: Model) -> None:
    slices(tmp_path / "in", count=4, values=pixels(4, rows=20, columns=18))
    # One series, and nothing else: one scan.
    result = model.denoise(tmp_path / "in", force=True)
    assert isinstance(result, dd.Result)
    result.save(tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    old, new = read(tmp_path / "in" / names[0]), read(tmp_path / "out" / names[0])
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    result.save(tmp_path / "out.nii.gz")
    written = nibabel.load(tmp_path / "out.nii.gz")
    assert np.array_equal(written.dataobj, np.rint(result.data))
    assert written.get_data_dtype() == np.int16
    assert np.allclose(written.affine, result.affine)
    assert np.array_equal(result.to_nibabel().dataobj, written.dataobj)


def test_a_mixed_folder_gives_all_of_its_scans(tmp_path: Path, model: Model) -> None:
    with pytest.warns(UserWarning, match="left out: b.nii.gz: is constant") as caught:
        results = dd.denoise(mixed_folder(tmp_path / "study"), model=model, force=True)
    assert caught[0].filename == __file__
    assert [result.name for result in results] == ["a.nii.gz", "series 7 (MR, 4 slices of 24x24)"]
    assert [result.shape for result in results] == [SHAPE, (24, 24, 4)]


def test_a_folder_of_two_series_gives_both(tmp_path: Path, model: Model) -> None:
    for number in (1, 2):
        values = pixels(4, rows=20, columns=18, seed=number)
        slices(tmp_path / "in" / str(number), count=4, values=values, series=f"1.2.{number}")
    assert len(model.denoise(tmp_path / "in", force=True)) == 2
    assert len(dd.info(tmp_path / "in")) == 2


def test_a_mixed_folder_is_trained_on_in_parts(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="left out"):
        results = dd.denoise(mixed_folder(tmp_path / "study"), settings=tiny_settings())
    # The file and the series are a data set each: the levels are their own.
    assert [result.record["training"]["data"]["scans"] for result in results] == [1, 1]
    levels = [result.record["noise_std"] for result in results]
    assert levels == pytest.approx([60, 30], rel=0.15)


def test_a_folder_of_unusable_scans_is_refused(tmp_path: Path, model: Model) -> None:
    save(tmp_path / "in" / "b.nii.gz", np.full(SHAPE, 7, np.int16))
    with pytest.warns(UserWarning, match="left out"), pytest.raises(IntensityError, match="constant"):
        model.denoise(tmp_path / "in")


def test_lists_folders_and_globs_give_lists(tmp_path: Path, model: Model) -> None:
    volume = make_volume(SHAPE)
    path = save(tmp_path / "in" / "a.nii.gz", volume)
    image = nibabel.Nifti1Image(volume, AFFINE)
    array, nifti, result, folder = model.denoise([volume, image, str(path), path.parent], axis=2)
    assert isinstance(array, np.ndarray)
    assert isinstance(nifti, nibabel.Nifti1Image)
    assert isinstance(result, dd.Result)
    assert [each.name for each in folder] == ["a.nii.gz"]
    for each in (nifti.dataobj, np.rint(result), np.rint(folder[0])):
        assert np.array_equal(each, array)
    assert [each.name for each in model.denoise(tmp_path / "in" / "*.nii.gz")] == ["a.nii.gz"]


def test_images_in_one_list_are_one_data_set() -> None:
    first, second = dd.denoise(
        [make_volume(SHAPE), torch.from_numpy(make_volume(SHAPE, seed=1))],
        settings=tiny_settings(),
        return_result=True,
    )
    assert first.record["training"]["data"]["scans"] == 2
    assert first.record["training"] == second.record["training"]


def test_what_was_named_is_refused_before_anything_is_done(model: Model) -> None:
    with pytest.raises(IntensityError, match="image 1: is constant"):
        model.denoise([make_volume(SHAPE), np.ones(SHAPE)])
    with pytest.raises(InputError, match="empty list"):
        model.denoise([])
    with pytest.raises(InputError, match="list of numbers"):
        model.denoise([1.0, 2.0])
    with pytest.raises(IntensityError, match="looks like a mask"):
        model.denoise(make_volume(SHAPE) > 0)


def test_results_of_arrays_are_asked_for(model: Model) -> None:
    volume = make_volume(SHAPE)
    result = dd.denoise(volume, model=model, return_result=True)
    assert isinstance(result, dd.Result)
    assert np.array_equal(np.rint(result), dd.denoise(volume, model=model))


def test_a_mask_keeps_the_rest(model: Model) -> None:
    volume = make_volume(SHAPE)
    inside = np.zeros(SHAPE, bool)
    inside[8:20, 5:15] = True
    result = model.denoise(volume, mask=inside, return_result=True)
    assert not result.residual[~inside].any()
    assert result.residual[inside].any()
    assert np.array_equal(result.scan.outside, ~inside)
    # Turned against the image, but at the same places.
    image = nibabel.Nifti1Image(volume, AFFINE)
    turned = nibabel.Nifti1Image(
        inside[::-1].astype(np.uint8), AFFINE @ nibabel.affines.from_matvec(np.diag([-1, 1, 1]), [31, 0, 0])
    )
    placed = model.denoise(image, mask=turned, return_result=True)
    assert np.array_equal(placed.scan.outside, ~inside)


def test_a_mask_must_fit(model: Model) -> None:
    volume = make_volume(SHAPE)
    for mask, word in [
        (np.ones((5, 5, 5)), "mask: has shape"),
        (np.zeros(SHAPE), "zero everywhere"),
    ]:
        with pytest.raises(ShapeError, match=word):
            model.denoise(volume, mask=mask)
    with pytest.raises(ShapeError, match="list of 2 masks"):
        model.denoise([volume, volume], mask=np.ones(SHAPE))


def test_a_volumes_mask_holds_for_all_of_a_series(model: Model) -> None:
    series = np.stack([make_volume(SHAPE, seed=seed) for seed in (1, 2)], axis=-1)
    inside = np.zeros(SHAPE)
    inside[8:20] = 1
    result = model.denoise(series, mask=inside, return_result=True)
    assert not result.residual[:8].any()
    assert all(result.residual[8:20, ..., time].any() for time in (0, 1))


def test_strength_is_the_share_of_the_residual(model: Model) -> None:
    volume = make_volume(SHAPE)
    whole = model.denoise(volume, return_result=True)
    part = model.denoise(volume, strength=0.25, return_result=True)
    np.testing.assert_allclose(part.residual, 0.25 * whole.residual, atol=1e-9)
    assert part.record["strength"] == 0.25
    assert np.array_equal(model.denoise(volume, strength=0.0), volume)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingsError, match="strength"):
            dd.denoise(volume, strength=wrong)


def test_clean_scans_are_left_and_say_so(tmp_path: Path) -> None:
    clean = make_volume((64, 60, 5), std=1)
    settings = tiny_settings(clean_below_contrast=5)
    with pytest.warns(UserWarning, match="already clean") as caught:
        result = dd.denoise(clean, settings=settings, return_result=True)
    assert caught[0].filename == __file__
    assert not result.residual.any()
    assert result.record["already_clean"] is True
    assert "already clean" in repr(result)


def test_progress_is_a_bar_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    dd.denoise(make_volume(SHAPE), settings=tiny_settings(), progress=True)
    shown = capsys.readouterr().err
    for stage in ("stage 1 of 3", "stage 2 of 3", "stage 3 of 3", "denoising"):
        assert stage in shown
    assert "6/6" in shown
    assert "5/5" in shown
    assert "loss=" in shown
    dd.denoise(make_volume(SHAPE), settings=tiny_settings(), progress=False)
    assert capsys.readouterr().err == ""


def test_a_progress_object_is_told(model: Model) -> None:
    class Told:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def start(self, stage: str) -> None:
            self.lines.append(stage)

        def advance(self, step: int, total: int | None, loss: Any, seconds_left: Any) -> None:
            self.lines.append(f"{step} of {total}")

        def finish(self) -> None:
            self.lines.append("done")

        def say(self, text: str) -> None:
            self.lines.append(text)

    told = Told()
    model.denoise(make_volume(SHAPE), progress=told)
    assert told.lines == ["denoising", *(f"{step} of 5" for step in range(1, 6)), "done"]


def test_info_is_that_of_the_command(tmp_path: Path) -> None:
    path = save(tmp_path / "in" / "a.nii.gz", make_volume((64, 60, 5)))
    facts = dd.info(path)
    assert facts["shape"] == [64, 60, 5]
    assert facts["orientation"] == "LAS"
    assert facts["noise_std"] == pytest.approx(60, rel=0.1)
    assert repr(facts).startswith("<a.nii.gz: nifti 64 x 60 x 5 int16, 1 x 1 x 4 mm, LAS, noise std ")
    array = dd.info(make_volume((64, 60, 5)), axis=2)
    assert (array["spacing_mm"], array["noise_std"]) == (None, facts["noise_std"])
    save(tmp_path / "in" / "b.nii.gz", np.full(SHAPE, 7, np.int16))
    listed = dd.info(tmp_path / "in")
    assert [each["name"] for each in listed] == ["a.nii.gz", "b.nii.gz"]
    assert "is constant" in listed[1]["problem"]
    assert "is constant" in repr(listed[1])
    assert dd.info([path, path]) == [facts, facts]
    with pytest.raises(IntensityError, match="is constant"):
        dd.info(tmp_path / "in" / "b.nii.gz")


def test_info_of_a_series_names_it(tmp_path: Path) -> None:
    slices(tmp_path / "in", count=4, values=pixels(4, rows=20, columns=18))
    facts = dd.info(tmp_path / "in")
    assert (facts["series_uid"], facts["files"], facts["shape"]) == ("1.2.3", 4, [18, 20, 4])


def test_convert_goes_to_nifti_and_back(tmp_path: Path) -> None:
    values = slices(tmp_path / "in", count=4, values=pixels(4, rows=20, columns=18))
    assert dd.convert(tmp_path / "in", tmp_path / "out.nii.gz") == [tmp_path / "out.nii.gz"]
    written = nibabel.load(tmp_path / "out.nii.gz")
    assert np.array_equal(np.sort(written.dataobj, axis=None), np.sort(values, axis=None))
    back = dd.convert(str(tmp_path / "out.nii.gz"), tmp_path / "back", like=tmp_path / "in")
    assert back == [tmp_path / "back"]
    assert np.array_equal(read_scan(tmp_path / "back").data, read_scan(tmp_path / "in").data)
    with pytest.raises(OutputError, match="exists"):
        dd.convert(tmp_path / "in", tmp_path / "out.nii.gz")


def test_evaluate_takes_results_images_and_paths(tmp_path: Path, model: Model) -> None:
    clean = make_volume(SHAPE, std=0)
    path = save(tmp_path / "clean.nii.gz", clean)
    result = model.denoise(save(tmp_path / "noisy.nii.gz", make_volume(SHAPE)))
    found = dd.evaluate(result, path, nibabel.Nifti1Image(make_volume(SHAPE), AFFINE))
    same = dd.evaluate(result.data, clean, make_volume(SHAPE))
    assert found == same
    assert found.noisy is not None


def test_representations_are_a_line(tmp_path: Path, model: Model) -> None:
    scan = read_scan(save(tmp_path / "scan.nii.gz", make_volume(SHAPE)))
    assert repr(scan) == "Scan('scan.nii.gz', nifti, 32 x 28 x 5, int16, 1 x 1 x 4 mm, LAS)"
    noise = NoiseModel((0.0, 1.0), (0.01, 0.03))
    evaluation = dd.evaluate(make_volume(SHAPE, seed=1), make_volume(SHAPE, std=0))
    plan = make_plan([scan], Settings())
    shown = [
        repr(each)
        for each in (
            scan,
            model,
            noise,
            Diagnosis(noise, 0.0, (), None),
            evaluation,
            plan,
            model.denoise(scan),
        )
    ]
    assert (
        shown[2]
        == "NoiseModel(std 3.00% of the range, 1.00% to 3.00% by brightness, correlated over 0 x 0 px)"
    )
    assert all(line.count("\n") == 0 and len(line) < 250 for line in shown), shown
    assert repr(model).startswith(f"Model('{model.folder}', trained on 5 slices of 32x28 pixels, noise ")
    result = model.denoise(scan, return_result=True)
    said = f"noise std {result.record['noise_std']:.4g}, residual std {result.record['residual_std']:.4g}"
    assert repr(result) == f"Result('scan.nii.gz', 32 x 28 x 5, {said})"


def test_no_warning_where_nothing_is_wrong(model: Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.denoise(make_volume(SHAPE))


def test_what_a_trained_model_takes_no_notice_of_is_refused(model: Model) -> None:
    volume = make_volume()
    for wish in ({"minutes": 1.0}, {"seed": 1}, {"settings": tiny_settings()}):
        with pytest.raises(SettingsError, match="no effect with a trained model"):
            dd.denoise(volume, model=model, **wish)

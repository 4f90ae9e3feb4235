"""At once: what the weights that come with the package give without learning anything from the scan.

Each gain asked for is 0.3 dB below the one that was measured.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

import diffdenoise as dd
from diffdenoise.cli.app import app
from diffdenoise.config import Settings
from diffdenoise.errors import SettingsError
from diffdenoise.model.instant import instant_model
from diffdenoise.noise.correlation import WHITE
from diffdenoise.plan import make_plan, noise_of
from diffdenoise.scan.read import from_array
from tests.end_to_end.phantom import NOISES, clean_phantom, noisy_phantom
from tests.noise.test_evenness import everywhere

#: Gain in dB over the noisy phantom, in one pass.
LEAST_GAIN = {"white": 8.15, "correlated": 8.5, "level-varying": 7.0, "rician": 9.3}


def gain(kind: str, denoised: NDArray[np.generic]) -> float:
    found = dd.evaluate(denoised, clean_phantom(), noisy_phantom(kind)).psnr_gain_db
    assert found is not None
    return found


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def saved(volume: NDArray[np.generic], path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1.0, 1.0, 4.0, 1.0])), path)
    return path


@pytest.mark.parametrize("kind", NOISES)
def test_a_noisy_phantom_comes_nearer_to_the_clean_one(kind: str) -> None:
    one, eight = (
        gain(kind, dd.denoise(noisy_phantom(kind), settings=Settings.build(stage3={"orientations": turns})))
        for turns in (1, 8)
    )
    assert one > LEAST_GAIN[kind]
    assert eight > one + 0.02


def test_python_and_the_command_do_the_same(tmp_path: Path) -> None:
    source = saved(noisy_phantom("white"), tmp_path / "noisy.nii.gz")
    result = run("denoise", source, "-o", tmp_path / "denoised.nii.gz", "--threads", "1", "--json")
    assert result.exit_code == 0, result.output
    image = nibabel.load(tmp_path / "denoised.nii.gz")
    assert np.array_equal(image.affine, nibabel.load(source).affine)
    from_python = dd.denoise(source, threads=1)
    np.testing.assert_allclose(np.asarray(image.dataobj), from_python.data, atol=0.01)
    # Nothing is left of a training, as there was none.
    assert {path.name for path in tmp_path.iterdir()} == {"noisy.nii.gz", "denoised.nii.gz"}
    assert from_python.record["training"]["kept"] == "start"
    assert from_python.record["training"]["stages"] == {}


def test_a_stated_level_is_believed_of_those_who_insist() -> None:
    kind = "white"
    half, right, twice = (
        gain(kind, dd.denoise(noisy_phantom(kind), settings=Settings(noise_std=std, noise_std_as_told=True)))
        for std in (45.0, 90.0, 180.0)
    )
    assert right > half + 0.5
    assert right > twice + 0.3
    # A wrong one costs much less than denoising is worth.
    assert min(half, twice) > 3


def test_the_spectrum_is_told() -> None:
    scan = from_array(noisy_phantom("correlated"))
    plan = make_plan([scan], Settings())
    wrong = replace(plan, noise=replace(plan.noise, correlation=WHITE))
    right, white = (
        gain(
            "correlated",
            instant_model(each, "cpu", 1).denoise_scan(scan, noise_of(scan, Settings()), own=True).scan.data,
        )
        for each in (plan, wrong)
    )
    assert right > white + 0.5


def test_several_scans_are_denoised_each_by_itself(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for kind in ("white", "correlated"):
        saved(noisy_phantom(kind), source / f"{kind}.nii.gz")
    result = run("denoise", source, "-o", tmp_path / "out", "--threads", "1", "--json")
    assert result.exit_code == 0, result.output
    for kind in ("white", "correlated"):
        values = np.asarray(nibabel.load(tmp_path / "out" / f"{kind}.nii.gz").dataobj)
        assert gain(kind, values) > LEAST_GAIN[kind]
    again = run("denoise", source, "-o", tmp_path / "out", "--threads", "1", "--json", "--resume")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["done_before"] == 2


def test_a_scan_whose_noise_cannot_be_told_is_left_as_it_is(tmp_path: Path) -> None:
    noisy = (everywhere() + 0.01 * np.random.default_rng(1).standard_normal((6, 96, 96))).astype(np.float32)
    settings = Settings.build(data={"axis": 0})
    result = dd.denoise(noisy, settings=settings, threads=1, return_result=True)
    np.testing.assert_array_equal(result.data, noisy)
    assert result.record["strength"] == 0
    assert "cannot be told" in result.record["doubts"][0]
    told = dd.denoise(noisy, settings=Settings.build(data={"axis": 0}, noise_std=0.01), threads=1)
    assert np.abs(told - noisy).std() > 0.002


@pytest.mark.parametrize(
    "words", [("--iterations", "3"), ("--seed", "1"), ("--pairs", "2"), ("--save-model", "model")]
)
def test_what_only_a_training_takes_is_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    source = saved(noisy_phantom("white"), tmp_path / "noisy.nii.gz")
    result = run("denoise", source, "-o", tmp_path / "denoised.nii.gz", *words)
    assert result.exit_code == 2
    assert words[0] in result.stderr
    assert "--minutes 10" in result.stderr
    assert not (tmp_path / "denoised.nii.gz").exists()


def test_a_seed_for_nothing_is_refused_in_python() -> None:
    with pytest.raises(SettingsError, match="minutes=10"):
        dd.denoise(noisy_phantom("white"), seed=3)


def cubic(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noisy and clean volume of balls, alike along all axes."""
    rng = np.random.default_rng(3)
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"))
    clean = np.full((side, side, side), 200.0)
    for _ in range(30):
        centre, radius = rng.uniform(0, side, 3), rng.uniform(3, side / 4)
        inside = ((places - centre[:, None, None, None]) ** 2).sum(0) < radius**2
        clean[inside] = rng.uniform(0, 1000)
    return clean + 100 * rng.standard_normal(clean.shape), clean


def test_voxels_alike_along_all_axes_are_seen_along_all() -> None:
    noisy, clean = cubic(48)
    scan = replace(from_array(noisy.astype(np.float32)), spacing_mm=(1.0, 1.0, 1.0))
    settings = Settings.build(stage3={"orientations": 1}, data={"axis": 2})
    noise = noise_of(scan, settings)
    model = instant_model(make_plan([scan], settings, [noise]), "cpu", 1)
    assert model.details.axes == 3
    errors = {}
    for axes in (1, 3):
        model.details = model.details.model_copy(update={"axes": axes})
        denoised = model.denoise_scan(scan, noise, own=True).scan.data
        errors[axes] = float(np.sqrt(np.mean((denoised - clean) ** 2)))
    assert errors[3] < 0.98 * errors[1]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 3.0), None])
def test_voxels_that_are_not_or_not_known_to_be_are_seen_along_one(
    spacing: tuple[float, float, float] | None,
) -> None:
    scan = replace(from_array(cubic(48)[0].astype(np.float32)), spacing_mm=spacing)
    assert instant_model(make_plan([scan], Settings.build(data={"axis": 2})), "cpu", 1).details.axes == 1


@pytest.mark.parametrize("setting", ["iterations=3", "stage2.width=16", "start=random", "sampling.nodes=5"])
def test_settings_of_a_training_are_refused_where_there_is_none(tmp_path: Path, setting: str) -> None:
    name = setting.partition("=")[0]
    source = saved(noisy_phantom("white"), tmp_path / "noisy.nii.gz")
    result = run("denoise", source, "-o", tmp_path / "denoised.nii.gz", "--set", setting)
    assert result.exit_code == 2
    assert name in result.stderr
    assert "--minutes 10" in result.stderr
    with pytest.raises(SettingsError, match=f"{name}.*minutes=10"):
        dd.denoise(noisy_phantom("white"), settings=Settings.build(assignments=[setting]))


def test_a_scan_that_was_left_is_not_called_denoised(tmp_path: Path) -> None:
    noisy = (everywhere() + 0.01 * np.random.default_rng(1).standard_normal((6, 96, 96))).astype(np.float32)
    source = saved(np.moveaxis(noisy, 0, 2), tmp_path / "noisy.nii.gz")
    left = run("denoise", source, "-o", tmp_path / "left.nii.gz")
    assert left.exit_code == 0, left.output
    assert left.stdout.startswith("written")
    assert "cannot be told" in left.stdout
    assert "--minutes" in left.stdout
    taken = run("denoise", source, "-o", tmp_path / "taken.nii.gz", "--noise-std", "0.01")
    assert taken.stdout.startswith("denoised")


def test_a_result_says_what_weights_made_it() -> None:
    result = dd.denoise(noisy_phantom("white"), return_result=True)
    assert "synthetic images" in result._derivation().method
    assert not result.is_unchanged
    assert dd.denoise(noisy_phantom("white"), strength=0, return_result=True).is_unchanged

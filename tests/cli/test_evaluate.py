"""`diffdenoise simulate` and `diffdenoise evaluate`, one after the other."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from .conftest import Outcome, save_nifti

Run = Callable[..., Outcome]


@pytest.fixture
def simulated(run: Run, tmp_path: Path, clean: Path) -> Path:
    """The clean scan with Gaussian noise of 10 % of its range."""
    path = tmp_path / "simulated.nii.gz"
    outcome = run("simulate", clean, "-o", path, "--noise", "gaussian", "--std", "10%", "--seed", "3")
    assert outcome.code == 0, outcome.err
    return path


def test_ten_percent_of_gaussian_noise_is_20_db(run: Run, clean: Path, simulated: Path) -> None:
    outcome = run("evaluate", simulated, clean, "--json")
    assert outcome.code == 0
    found = outcome.json
    # PSNR = 20 log10(range / std) = 20 dB; 19,200 draws leave it uncertain by 0.05 dB.
    assert found["denoised"]["psnr_db"] == pytest.approx(20, abs=0.25)
    data = nibabel.load(clean).get_fdata()
    low, high = np.percentile(data, (0.5, 99.5))
    assert found["data_range"] == pytest.approx(high - low)
    assert found["denoised"]["rmse"] == pytest.approx(0.1 * (high - low), rel=0.03)
    assert len(found["slices"]) == 5
    assert found["noisy"] is None
    mean_square = np.mean([one["denoised"]["rmse"] ** 2 for one in found["slices"]])
    assert math.sqrt(mean_square) == pytest.approx(found["denoised"]["rmse"])


def test_a_bare_std_is_in_the_scans_units(run: Run, tmp_path: Path, clean: Path) -> None:
    path = tmp_path / "n.nii.gz"
    found = run("simulate", clean, "-o", path, "--noise", "gaussian", "--std", "25", "--json").json
    assert found["noise_std"] == 25
    assert found["added_std"] == pytest.approx(25, rel=0.05)
    assert run("evaluate", path, clean, "--json").json["denoised"]["rmse"] == pytest.approx(25, rel=0.05)


def test_the_seed_decides_the_noise(run: Run, tmp_path: Path, clean: Path) -> None:
    def draw(name: str, seed: int) -> NDArray[np.float64]:
        words = ["--noise", "rician", "--std", "5%", "--seed", str(seed)]
        assert run("simulate", clean, "-o", tmp_path / name, *words).code == 0
        return np.asarray(nibabel.load(tmp_path / name).get_fdata())

    first = draw("a.nii", 1)
    assert np.array_equal(first, draw("b.nii", 1))
    assert not np.array_equal(first, draw("c.nii", 2))


@pytest.mark.parametrize("noise", ["gaussian", "rician", "poisson"])
def test_every_kind_of_noise_is_added_and_the_type_kept_if_told(
    run: Run, tmp_path: Path, clean: Path, noise: str
) -> None:
    path = tmp_path / "n.nii.gz"
    outcome = run("simulate", clean, "-o", path, "--noise", noise, "--std", "10%", "--keep-type", "--json")
    assert outcome.code == 0, outcome.err
    assert nibabel.load(path).get_data_dtype() == np.int16
    assert 0.3 < outcome.json["added_std"] / outcome.json["noise_std"] < 1.2


def test_wrong_noise_is_refused(run: Run, tmp_path: Path, clean: Path) -> None:
    base = ["simulate", clean, "-o", tmp_path / "n.nii.gz"]
    for words in (
        ["--noise", "gaussian", "--std", "-3"],
        ["--noise", "gaussian", "--std", "ten"],
        ["--noise", "speckle", "--std", "3"],
        ["--noise", "gaussian"],
        ["--noise", "poisson", "--std", "3", "--correlation", "1"],
        ["--noise", "gaussian", "--std", "3", "--correlation", "-1"],
    ):
        outcome = run(*base, *words)
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert not (tmp_path / "n.nii.gz").exists()


def test_the_noisy_scan_gives_the_gain(run: Run, tmp_path: Path, clean: Path, simulated: Path) -> None:
    halved = tmp_path / "half.nii.gz"
    truth, noisy = (np.asarray(nibabel.load(path).get_fdata()) for path in (clean, simulated))
    save_nifti(halved, (truth + 0.5 * (noisy - truth)).astype(np.float32))
    found = run("evaluate", halved, clean, "--noisy", simulated, "--json").json
    assert found["psnr_gain_db"] == pytest.approx(20 * math.log10(2), abs=0.01)
    assert found["ssim_gain"] > 0
    outcome = run("evaluate", halved, clean, "--noisy", simulated)
    lines = outcome.out.splitlines()
    assert lines[0].split("\t")[-2:] == ["PSNR gain dB", "SSIM gain"]
    assert len(lines) == 1 + 5 + 1 + 1
    assert lines[-2].split("\t")[0] == "all"
    assert "+6.02" in lines[-2]


def test_a_mask_limits_the_comparison(run: Run, tmp_path: Path, clean: Path, simulated: Path) -> None:
    mask = np.zeros((64, 60, 5), np.uint8)
    mask[10:30, 10:30, 1:4] = 7
    path = save_nifti(tmp_path / "mask.nii.gz", mask)
    found = run("evaluate", simulated, clean, "--mask", path, "--json").json
    truth, noisy = (np.asarray(nibabel.load(name).get_fdata()) for name in (clean, simulated))
    assert found["voxels"] == 20 * 20 * 3
    assert found["denoised"]["rmse"] == pytest.approx(np.sqrt(np.mean((noisy - truth)[mask > 0] ** 2)))
    assert found["slices"][0]["denoised"]["psnr_db"] is None


def test_folders_are_compared_where_they_hold_one_scan_each(
    run: Run, tmp_path: Path, clean: Path, simulated: Path
) -> None:
    for name, files in {"one": [simulated], "other": [clean], "several": [simulated, clean]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            shutil.copyfile(file, tmp_path / name / file.name)
    by_file = run("evaluate", simulated, clean, "--mask", clean, "--json").json
    by_folder = run(
        "evaluate", tmp_path / "one", tmp_path / "other", "--mask", tmp_path / "other", "--json"
    ).json
    assert by_folder["denoised"] == by_file["denoised"]
    for words in (("several", "other"), ("one", "several")):
        outcome = run("evaluate", *(tmp_path / word for word in words))
        assert outcome.code == 2
        assert "several: is a folder of 2 scans; expected one; compare them pair by pair" in outcome.err


def test_a_picture_is_written(run: Run, tmp_path: Path, clean: Path, simulated: Path) -> None:
    picture = tmp_path / "new" / "p.png"
    outcome = run("evaluate", clean, clean, "--noisy", simulated, "--picture", picture, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["picture"] == str(picture)
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_other_formats_are_compared_too(run: Run, tmp_path: Path, phantom: NDArray[np.int16]) -> None:
    grey = (phantom[:, :, 2] / 5).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert (
        run("simulate", tmp_path / "a.png", "-o", tmp_path / "b.png", "--noise", "rician", "--std", "10").code
        == 0
    )
    found = run("evaluate", tmp_path / "b.png", tmp_path / "a.png", "--json").json
    assert found["axis"] is None
    assert 5 < found["denoised"]["rmse"] < 15


def test_the_whole_alone_is_printed_if_that_is_enough(
    run: Callable[..., Outcome], phantom: NDArray[np.int16], tmp_path: Path
) -> None:
    nibabel.save(nibabel.Nifti1Image(phantom, np.eye(4)), tmp_path / "clean.nii")
    nibabel.save(nibabel.Nifti1Image(phantom + np.int16(10), np.eye(4)), tmp_path / "other.nii")
    words = ("evaluate", tmp_path / "other.nii", tmp_path / "clean.nii")
    long, short = (run(*words, *more).out.splitlines() for more in ((), ("--brief",)))
    assert [line.split("\t")[0].split()[0] for line in short] == ["slice", "all", "range"]
    assert len(long) == len(short) + 5
    assert short[1] == long[-2]

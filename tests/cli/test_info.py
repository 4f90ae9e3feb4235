"""`diffdenoise info`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffdenoise.noise.simulate import rician
from tests.noise.test_evenness import fine_anatomy
from tests.noise.test_interpolation import zero_filled
from tests.noise.test_level import smooth_stack

from .conftest import Outcome, save_nifti

Run = Callable[..., Outcome]


def test_info_tells_geometry_type_intensities_and_noise(
    run: Run, noisy: Path, phantom: NDArray[np.int16]
) -> None:
    outcome = run("info", noisy, "--json")
    assert outcome.code == 0
    found = outcome.json
    assert found["name"] == str(noisy)
    assert found["format"] == "nifti"
    assert found["shape"] == [64, 60, 5]
    assert found["spacing_mm"] == [1, 1, 4]
    assert found["orientation"] == "RAS"
    assert found["slice_axis"] == 2
    assert found["slices"] == 5
    assert found["dtype"] == "int16"
    levels = found["intensities"]
    ordered = [levels[key] for key in ("min", "percentile_0.5", "median", "percentile_99.5", "max")]
    assert ordered == sorted(ordered)
    assert 40 < found["noise_std"] < 80
    span = levels["percentile_99.5"] - levels["percentile_0.5"]
    assert found["noise_percent_of_range"] == pytest.approx(100 * found["noise_std"] / span, rel=1e-4)


def test_the_percentiles_span_the_range_that_noise_is_a_share_of_where_values_are_cut_off(
    run: Run, tmp_path: Path, phantom: NDArray[np.int16]
) -> None:
    noise = 60 * np.random.default_rng(0).standard_normal(phantom.shape)
    # Air lies at zero, where half of its noise is cut off.
    path = save_nifti(tmp_path / "cut.nii.gz", np.clip(phantom + noise, 0, 1000).astype(np.int16))
    found = run("info", path, "--json").json
    levels = found["intensities"]
    span = levels["percentile_99.5"] - levels["percentile_0.5"]
    assert levels["range"] == pytest.approx(span)
    assert found["noise_percent_of_range"] == pytest.approx(100 * found["noise_std"] / span)
    assert levels["min"] == 0 < levels["percentile_0.5"]


def test_info_for_people_has_every_property_on_a_line(run: Run, noisy: Path) -> None:
    outcome = run("info", noisy)
    assert outcome.code == 0
    assert outcome.err == ""
    lines = outcome.out.splitlines()
    assert len(lines) == 12
    assert "1 x 1 x 4 mm" in outcome.out
    assert "% of the range" in lines[8]
    assert lines[9].startswith("in tissue")
    assert lines[10].startswith("noise kind")
    assert "noise of their own" in lines[11]


def test_info_says_what_kind_of_noise_it_is(run: Run, tmp_path: Path, phantom: NDArray[np.int16]) -> None:
    noisy = rician(phantom.astype(np.float64), 60.0, rng=np.random.default_rng(0))
    save_nifti(tmp_path / "rician.nii.gz", noisy.astype(np.float32))
    found = run("info", tmp_path / "rician.nii.gz", "--json").json
    span = found["intensities"]["percentile_99.5"] - found["intensities"]["percentile_0.5"]
    assert found["noise"]["rician_std"] * span == pytest.approx(60, rel=0.1)
    assert "Rician" in run("info", tmp_path / "rician.nii.gz").out


def test_info_says_along_which_axis_a_scan_was_zero_filled(run: Run, tmp_path: Path) -> None:
    stack = smooth_stack(6, 160, 160)
    stack = stack + 0.06 * zero_filled(stack.shape, (1.6, 1), np.random.default_rng(0))
    save_nifti(tmp_path / "finer.nii.gz", np.moveaxis(1000 * stack, 0, 2).astype(np.float32))
    assert "1.6 times along axis 0" in run("info", tmp_path / "finer.nii.gz").out
    found = run("info", tmp_path / "finer.nii.gz", "--json").json["noise"]["interpolation"]
    assert found == [pytest.approx(1.6, abs=0.1), None]


def test_info_says_of_a_clean_scan_that_it_is(run: Run, tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(0, 6, 160), np.linspace(0, 6, 150), indexing="ij")
    smooth = 500 + 400 * np.sin(x) * np.cos(y) + np.random.default_rng(0).normal(0, 1, (3, 160, 150))
    save_nifti(tmp_path / "clean.nii.gz", np.rint(np.moveaxis(smooth, 0, 2)).astype(np.int16))
    assert run("info", tmp_path / "clean.nii.gz", "--json").json["already_clean"]
    assert "already clean" in run("info", tmp_path / "clean.nii.gz").out


def test_info_says_where_noise_cannot_be_told_from_anatomy(run: Run, tmp_path: Path) -> None:
    # Of both signs: nowhere constant, which would be no data.
    anatomy = np.where(fine_anatomy() == 0.5, fine_anatomy(sign=-1), fine_anatomy())
    save_nifti(tmp_path / "coarse.nii.gz", np.moveaxis(1000 * anatomy, 0, 2).astype(np.float32))
    assert run("info", tmp_path / "coarse.nii.gz", "--json").json["noise"]["is_upper_bound"]
    assert "taken for clean" in run("info", tmp_path / "coarse.nii.gz").out


def test_info_of_a_folder_lists_scans_and_says_which_cannot_be_used(
    run: Run, tmp_path: Path, phantom: NDArray[np.int16]
) -> None:
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(0, 50, phantom.shape)
    save_nifti(folder / "a.nii.gz", (phantom + noise).astype(np.float32))
    save_nifti(folder / "sub" / "b.nii", np.rint(phantom + noise).astype(np.int16))
    np.save(folder / "zero.npy", np.zeros((16, 16)))
    found = run("info", folder, "--json").json
    assert [scan["name"] for scan in found["scans"]] == ["a.nii.gz", str(Path("sub", "b.nii")), "zero.npy"]
    assert "problem" in found["scans"][2]
    assert (found["usable"], found["unusable"]) == (2, 1)
    assert found["dtypes"] == ["float32", "int16"]
    outcome = run("info", folder)
    assert outcome.code == 0
    assert "2 of 3 scans" in outcome.out


def test_info_is_quiet_when_told(run: Run, noisy: Path) -> None:
    outcome = run("info", noisy, "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_info_and_help_import_nothing_heavy(noisy: Path) -> None:
    program = (
        "import sys\n"
        "from diffdenoise.cli.app import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        "heavy = {'torch', 'matplotlib', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for words in (["info", str(noisy)], ["info", str(noisy), "--json"], ["--help"], ["denoise", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_noise_of_a_tiny_scan_is_told_roughly(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.random.default_rng(0).normal(size=(12, 12)))
    found = run("info", tmp_path / "small.npy", "--json").json
    assert found["noise_std"] == pytest.approx(1, rel=0.4)
    assert found["noise"]["floor"] is None
    assert not found["already_clean"]


def test_info_draws_the_noise(run: Run, noisy: Path, tmp_path: Path) -> None:
    picture = tmp_path / "noise.png"
    assert run("info", noisy, "--picture", picture).code == 0
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert image.width > 2 * image.height
    again = run("info", noisy, "--picture", picture)
    assert again.code != 0
    assert "--overwrite" in again.err
    assert run("info", noisy, "--picture", picture, "--overwrite").code == 0
    refused = run("info", tmp_path, "--picture", tmp_path / "other.png")
    assert refused.code != 0
    assert "folder" in refused.err


def test_info_does_not_draw_over_the_scan(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(tmp_path / "scan.png")
    before = (tmp_path / "scan.png").read_bytes()
    refused = run("info", tmp_path / "scan.png", "--picture", tmp_path / "scan.png", "--overwrite")
    assert refused.code != 0
    assert "the scan itself" in refused.err
    assert (tmp_path / "scan.png").read_bytes() == before
    assert run("info", tmp_path / "scan.png", "--picture", tmp_path / "noise.png").code == 0


def test_a_model_folder_is_told_from_a_folder_of_images(run: Run, tmp_path: Path) -> None:
    for name in ("record.json", "settings.yaml", "student.safetensors"):
        (tmp_path / name).write_text("{}")
    found = run("denoise", tmp_path, "-o", tmp_path.parent / "out")
    assert found.code == 2
    assert "is a model folder, expected images; use it with --model" in found.err
    assert "--model" in found.err

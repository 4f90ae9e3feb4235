"""--mask, --strength, -o DIR/, --picture DIR, --save-residual and --save-noise, by the values they give."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cli.test_wrong_use import refused

from .conftest import TINY, Outcome, save_nifti

Run = Callable[..., Outcome]


def values(path: Path) -> NDArray[np.float64]:
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float64)


@pytest.fixture
def scan(tmp_path: Path, phantom: NDArray[np.int16]) -> Path:
    noisy = phantom + np.random.default_rng(0).normal(0, 60, phantom.shape)
    save_nifti(tmp_path / "scan.nii.gz", noisy.astype(np.float32))
    return tmp_path / "scan.nii.gz"


def test_strength_is_the_share_of_the_residual(run: Run, tmp_path: Path, scan: Path) -> None:
    for strength in ("0", "0.5", "1"):
        assert (
            run("denoise", scan, "-o", tmp_path / f"{strength}.nii.gz", "--strength", strength, *TINY).code
            == 0
        )
    none, half, full = (values(tmp_path / f"{name}.nii.gz") for name in ("0", "0.5", "1"))
    assert np.array_equal(none, values(scan))
    assert not np.array_equal(full, none)
    assert half == pytest.approx((none + full) / 2, abs=1e-3)


@pytest.mark.parametrize("strength", ["-0.1", "1.5", "nan"])
def test_a_strength_that_is_no_share_is_refused(run: Run, tmp_path: Path, scan: Path, strength: str) -> None:
    refused(run("denoise", scan, "-o", tmp_path / "out.nii.gz", f"--strength={strength}"), "strength")


def test_outside_of_a_mask_nothing_changes(run: Run, tmp_path: Path, scan: Path) -> None:
    before = values(scan)
    inside = np.zeros(before.shape, np.uint8)
    inside[16:50, 12:44] = 1
    save_nifti(tmp_path / "mask.nii.gz", inside)
    out = tmp_path / "out.nii.gz"
    assert run("denoise", scan, "-o", out, "--mask", tmp_path / "mask.nii.gz", *TINY).code == 0
    after = values(out)
    assert np.array_equal(after[inside == 0], before[inside == 0])
    assert np.mean(after[inside == 1] != before[inside == 1]) > 0.99


def test_a_mask_of_another_shape_is_refused(run: Run, tmp_path: Path, scan: Path) -> None:
    np.save(tmp_path / "mask.npy", np.ones((9, 9, 9), np.uint8))
    refused(
        run("denoise", scan, "-o", tmp_path / "out.nii.gz", "--mask", tmp_path / "mask.npy", *TINY),
        "mask",
        "shape",
    )
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_as_output_keeps_the_name(run: Run, tmp_path: Path, scan: Path, there: bool) -> None:
    if there:
        (tmp_path / "results").mkdir()
    found = run("denoise", scan, "-o", f"{tmp_path / 'results'}{'' if there else '/'}", "--json", *TINY)
    assert found.json["output"] == str(tmp_path / "results" / "scan.nii.gz")
    assert values(tmp_path / "results" / "scan.nii.gz").shape == values(scan).shape


def test_residual_and_noise_are_written_in_the_inputs_format(run: Run, tmp_path: Path, scan: Path) -> None:
    residual, noise, out = (tmp_path / f"{name}.nii.gz" for name in ("residual", "noise", "out"))
    found = run(
        "denoise", scan, "-o", out, "--save-residual", residual, "--save-noise", noise, "--json", *TINY
    )
    assert found.code == 0
    assert values(residual) == pytest.approx(values(scan) - values(out), abs=1e-3)
    assert nibabel.load(residual).get_data_dtype() == np.float32
    levels = values(noise)
    assert np.median(levels[levels > 0]) == pytest.approx(found.json["noise_std"], rel=0.01)
    assert found.json["noise_std"] == pytest.approx(60, rel=0.15)


def test_of_several_scans_each_has_a_picture_and_a_residual(run: Run, tmp_path: Path, scan: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    pictures, residuals = tmp_path / "pictures", tmp_path / "residuals"
    words = ["--picture", pictures, "--save-residual", residuals]
    assert run("denoise", tmp_path / "in", "-o", tmp_path / "out", *words, *TINY).code == 0
    assert sorted(path.name for path in pictures.iterdir()) == ["a.png", "b.png"]
    assert sorted(path.name for path in residuals.iterdir()) == ["a.nii.gz", "b.nii.gz"]


def test_an_extra_is_never_written_over_the_output(run: Run, tmp_path: Path, scan: Path) -> None:
    out = tmp_path / "out.nii.gz"
    refused(run("denoise", scan, "-o", out, "--save-residual", out, *TINY), "is also the output")
    refused(run("denoise", scan, "-o", out, "--save-noise", scan, "--overwrite", *TINY), "input")


def test_force_without_a_model_is_refused(run: Run, tmp_path: Path, scan: Path) -> None:
    refused(run("denoise", scan, "-o", tmp_path / "out.nii.gz", "--force", *TINY), "--model")


@pytest.fixture
def two(tmp_path: Path, phantom: NDArray[np.int16]) -> list[Path]:
    """Two scans in two folders: the second brighter, with as much noise."""
    paths = []
    for number, name in enumerate(("one", "two")):
        noise = np.random.default_rng(number).normal(0, 60, phantom.shape)
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / f"{name}.nii.gz")
        save_nifti(paths[-1], (phantom * (1 + 0.05 * number) + noise).astype(np.float32))
    return paths


def test_several_inputs_are_denoised_into_one_folder(run: Run, tmp_path: Path, two: list[Path]) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    found = run("denoise", *two, "-o", out, "--save-model", model, "--json", *TINY)
    assert found.json["input"] == [str(path) for path in two]
    # One data set: one training for both.
    assert json.loads((model / "record.json").read_text())["data"]["scans"] == 2
    again = run("denoise", *two, "-o", f"{tmp_path / 'again'}/", "--model", model, "--json")
    assert [one["output"] for one in again.json["scans"]] == [
        str(tmp_path / "again" / path.name) for path in two
    ]
    for path in two:
        alone = tmp_path / "alone" / path.name
        assert run("denoise", path, "-o", alone, "--model", model).code == 0
        # Learned from together, they are denoised for the noise that they have in common: of a std of 60.
        np.testing.assert_allclose(values(out / path.name), values(alone), atol=0.5)
        assert np.array_equal(values(tmp_path / "again" / path.name), values(alone))
    assert not np.array_equal(values(out / "one.nii.gz"), values(out / "two.nii.gz"))


@pytest.mark.parametrize(
    ("names", "output", "said"),
    [
        (["one/one.nii.gz", "two/two.nii.gz"], "o.nii.gz", "holds 2 scans"),
        (["one/one.nii.gz", "copy/one.nii.gz"], "out", "one of them by itself"),
        (["one", "two/two.nii.gz"], "one/out", "lies inside"),
        (["one/one.nii.gz", "three.nii.gz"], "out", "no such file"),
    ],
)
def test_several_inputs_that_cannot_go_together(
    run: Run, tmp_path: Path, two: list[Path], names: list[str], output: str, said: str
) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copy(two[0], tmp_path / "copy" / "one.nii.gz")
    refused(run("denoise", *(tmp_path / name for name in names), "-o", tmp_path / output, *TINY), said)
    assert not (tmp_path / output).exists()


def test_a_files_name_is_no_place_for_several_pictures(run: Run, tmp_path: Path, two: list[Path]) -> None:
    for option, name in (("--picture", "p.png"), ("--save-residual", "r.nii.gz"), ("--save-noise", "n.nii")):
        found = run("denoise", *two, "-o", tmp_path / "out", option, tmp_path / name, *TINY)
        refused(found, name, "several scans")

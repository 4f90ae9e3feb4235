"""A BIDS data set in, a BIDS derivative out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from .conftest import TINY, Outcome, files_below, save_nifti

Run = Callable[..., Outcome]


@pytest.fixture
def dataset(tmp_path: Path, phantom: NDArray[np.int16]) -> Path:
    """Two subjects with a T1w image each, one with diffusion images, and what else lies about."""
    root = tmp_path / "bids"
    rng = np.random.default_rng(0)
    for name in (
        "sub-01/anat/sub-01_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w",
        "sub-02/ses-a/dwi/sub-02_ses-a_dwi",
        "sub-01/fmap/sub-01_phasediff",
        "sub-01/anat/sub-01_mask",
        "derivatives/other/sub-01/anat/sub-01_T1w",
    ):
        path = root / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_nifti(path, (phantom + 40 * rng.standard_normal(phantom.shape)).astype(np.int16))
    (root / "dataset_description.json").write_text(
        '{"Name": "a study", "BIDSVersion": "1.8.0", "License": "CC0"}'
    )
    (root / "sub-01/anat/sub-01_T1w.json").write_text('{"EchoTime": 0.003}')
    (root / "sub-02/ses-a/dwi/sub-02_ses-a_dwi.bval").write_text("0 1000\n")
    return root


def resolved(uri: str, root: Path) -> Path:
    """The file that a BIDS URI in a data set points to."""
    scheme, name, inside = uri.split(":", 2)
    assert scheme == "bids"
    links = json.loads((root / "dataset_description.json").read_text())["DatasetLinks"]
    return (root / (unquote(links[name]) if name else "") / inside).resolve()


def test_sources_are_found_from_a_derivative_that_lies_elsewhere(
    run: Run, tmp_path: Path, calm: NDArray[np.int16]
) -> None:
    raw, output = tmp_path / "my raw data", tmp_path / "deep" / "out"
    (raw / "sub-1/anat").mkdir(parents=True)
    (raw / "dataset_description.json").write_text('{"Name": "a", "BIDSVersion": "1.8.0"}')
    save_nifti(raw / "sub-1/anat/sub-1_T1w.nii.gz", calm)
    output.parent.mkdir()
    outcome = run("denoise", raw, "-o", output, *TINY)
    assert outcome.code == 0, outcome.err
    told = json.loads((output / "sub-1/anat/sub-1_desc-denoised_T1w.json").read_text())
    assert resolved(told["Sources"][0], output) == raw / "sub-1/anat/sub-1_T1w.nii.gz"
    # A name of a machine's folder or user says nothing elsewhere.
    assert str(tmp_path) not in (output / "dataset_description.json").read_text()


def test_a_data_set_becomes_a_derivative(run: Run, tmp_path: Path, dataset: Path) -> None:
    before = files_below(dataset)
    output = dataset / "derivatives" / "denoised"
    outcome = run("denoise", dataset, "-o", output, *TINY, "--json")
    assert outcome.code == 0, outcome.err
    assert sorted(name for name, content in files_below(output).items() if content != b"folder") == [
        "dataset_description.json",
        "sub-01/anat/sub-01_desc-denoised_T1w.json",
        "sub-01/anat/sub-01_desc-denoised_T1w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_desc-denoised_T1w.json",
        "sub-02/ses-a/anat/sub-02_ses-a_desc-denoised_T1w.nii.gz",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.bval",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.json",
        "sub-02/ses-a/dwi/sub-02_ses-a_desc-denoised_dwi.nii.gz",
    ]
    described = json.loads((output / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "DiffDenoise"
    assert described["License"] == "CC0"
    sidecar = json.loads((output / "sub-01/anat/sub-01_desc-denoised_T1w.json").read_text())
    assert sidecar["EchoTime"] == 0.003
    assert resolved(sidecar["Sources"][0], output) == dataset / "sub-01/anat/sub-01_T1w.nii.gz"
    old = nibabel.load(dataset / "sub-01/anat/sub-01_T1w.nii.gz")
    new = nibabel.load(output / "sub-01/anat/sub-01_desc-denoised_T1w.nii.gz")
    assert np.array_equal(old.affine, new.affine)
    assert not np.array_equal(old.get_fdata(), new.get_fdata())
    after = files_below(dataset)
    assert {name: content for name, content in after.items() if "denoised" not in str(name)} == before


def test_each_kind_of_image_is_learned_from_by_itself(run: Run, tmp_path: Path, dataset: Path) -> None:
    outcome = run("denoise", dataset, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("stage 1 of 3: blind-spot network\n") == 2


def test_what_is_in_the_way_is_kept(run: Run, tmp_path: Path, dataset: Path) -> None:
    for words, reason in [
        (["-o", dataset / "elsewhere"], "inside the input folder"),
        (["-o", dataset / "derivatives"], "inside the input folder"),
    ]:
        outcome = run("denoise", dataset, *words, *TINY)
        assert outcome.code == 2
        assert reason in outcome.err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dataset_description.json").write_text(
        '{"Name": "x", "GeneratedBy": [{"Name": "y"}]}'
    )
    outcome = run("denoise", dataset, "-o", tmp_path / "other", *TINY)
    assert outcome.code == 2
    assert "holds another data set" in outcome.err


def test_an_image_that_is_already_clean_is_not_called_denoised(
    run: Run, tmp_path: Path, calm: NDArray[np.int16]
) -> None:
    (tmp_path / "in/sub-1/anat").mkdir(parents=True)
    (tmp_path / "in/dataset_description.json").write_text('{"Name": "a", "BIDSVersion": "1.8.0"}')
    save_nifti(tmp_path / "in/sub-1/anat/sub-1_T1w.nii.gz", calm)
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert "already clean" in outcome.out
    told = json.loads((tmp_path / "out/sub-1/anat/sub-1_desc-denoised_T1w.json").read_text())
    assert told["Description"].startswith("Left unchanged by DiffDenoise")


def test_phase_is_left_out_with_a_reason(run: Run, tmp_path: Path) -> None:
    case = Path(__file__).parents[1] / "cases" / "bids-part-phase"
    outcome = run("denoise", case, "-o", tmp_path / "out", *TINY)
    assert outcome.code == 0, outcome.err
    assert "passed over" in outcome.out
    assert "1 phase image" in outcome.out
    assert [path.name for path in (tmp_path / "out").rglob("*.nii.gz")] == [
        "sub-1_part-mag_desc-denoised_dwi.nii.gz"
    ]
    named = run("denoise", case / "sub-1/dwi/sub-1_part-phase_dwi.nii.gz", "-o", tmp_path / "a.nii.gz", *TINY)
    assert named.code == 2
    assert "phase image" in named.err
    assert "1 phase image" in run("info", case).out

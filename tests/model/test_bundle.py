"""A MONAI bundle holds what its form asks for, says what is true of the model, and gives what it gives."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import diffdenoise as dd
from diffdenoise.cli.app import app
from diffdenoise.errors import OutputError
from diffdenoise.model.bundle import METADATA
from diffdenoise.networks.onnx_denoiser import OnnxDenoiser
from diffdenoise.scan.read import from_array
from tests.conftest import make_volume, tiny_settings
from tests.model.test_export import counts, instant, white

#: What the schema that `metadata.json` names requires at its top, and of a tensor (meta_schema_20240725).
REQUIRED = {
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"),
    *("task", "description", "authors", "copyright", "network_data_format"),
}
OF_A_TENSOR = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range"}
FILES = {
    *("LICENSE", "configs/inference.json", "configs/metadata.json", "docs/README.md", "models/model.onnx"),
    *("scripts/__init__.py", "scripts/onnx_denoiser.py"),
}
SHAPE = (96, 100, 6)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return instant(white(SHAPE)).save_bundle(tmp_path_factory.mktemp("bundle") / "bundle")


def metadata(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / METADATA).read_text(encoding="utf-8")))


def test_it_has_the_files_of_one(bundle: Path) -> None:
    found = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert found == FILES
    assert "Apache License" in (bundle / "LICENSE").read_text(encoding="utf-8")


def test_its_metadata_is_what_the_schema_requires(bundle: Path) -> None:
    found = metadata(bundle)
    assert set(found) >= REQUIRED
    texts = REQUIRED - {"required_packages_version", "network_data_format"}
    assert all(isinstance(found[name], str) for name in texts)
    for form in ("network_data_format", "onnx_data_format"):
        for tensors in (found[form]["inputs"], found[form]["outputs"]):
            for one in tensors.values():
                assert isinstance(one, str) or set(one) >= OF_A_TENSOR
    channels = found["onnx_data_format"]["inputs"]["noisy"]
    assert channels["num_channels"] == 3
    assert channels["channel_def"] == {"0": "slice", "1": "1 before", "2": "1 after"}


def test_it_says_what_is_true_of_the_model(bundle: Path) -> None:
    said = (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    level = instant(white(SHAPE)).noise.typical_std
    assert f"Std {level:.2%} of the intensity range, white." in said
    assert "six public data sets" in said
    assert "correlations up to 2.2 px" in said
    assert "trained" not in said.lower()


def test_of_a_trained_model_it_says_what_that_learned_from(tmp_path: Path) -> None:
    settings = tiny_settings(data={"patch": 16, "batch": 2, "axis": 2})
    model = dd.train(make_volume(), tmp_path / "model", settings=settings, threads=1)
    made = model.save_bundle(tmp_path / "bundle")
    said = (made / "docs" / "README.md").read_text(encoding="utf-8")
    assert "Trained on 5 slices of 1 noisy scan(s) alone" in said
    # Of a width that no weights of the package have.
    assert "come with DiffDenoise:" not in said
    assert json.loads((made / "configs/inference.json").read_text())["slice_axis"] == 2


@pytest.mark.parametrize("noise", [white, counts])
@pytest.mark.parametrize("axis", [0, 2])
def test_its_network_gives_what_the_model_gives(tmp_path: Path, noise: Any, axis: int) -> None:
    noisy = noise(SHAPE)
    model = instant(noisy)
    made = model.save_bundle(tmp_path / "bundle")
    scan = from_array(noisy)
    expected = model.denoise_scan(scan, model.noise_of(scan), own=True).scan.data
    turned = np.moveaxis(noisy, 2, axis)[None, None]
    network = OnnxDenoiser(made / "models" / "model.onnx")
    found = np.moveaxis(network(torch.from_numpy(turned.copy())).numpy()[0, 0], axis, 2)
    assert np.abs(expected - noisy).std() > 20
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.ptp(noisy))
    assert np.abs(found - expected).mean() < 2e-5 * np.ptp(noisy)


def test_nothing_but_a_bundle_is_replaced(bundle: Path, tmp_path: Path) -> None:
    model = instant(white(SHAPE))
    with pytest.raises(OutputError, match="exists already"):
        model.save_bundle(bundle)
    before = (bundle / METADATA).stat().st_ino
    assert model.save_bundle(bundle, overwrite=True) == bundle
    assert (bundle / METADATA).stat().st_ino != before
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is no bundle, and is not replaced"):
        model.save_bundle(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_command_writes_one(tmp_path: Path) -> None:
    source = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(white(SHAPE), np.diag([1.0, 1.0, 4.0, 1.0])), source)
    words = ["export", "general", "--scan", str(source), "-o", str(tmp_path / "made"), "--format", "monai"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["output"] == str(tmp_path / "made")
    assert metadata(tmp_path / "made")["name"] == "DiffDenoise, weights general"


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("monai", "ignite", "fire"))),
    reason="MONAI isn't installed (pip install 'monai[fire]' pytorch-ignite)",
)
def test_monai_runs_it(bundle: Path, tmp_path: Path) -> None:
    noisy = white(SHAPE)
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    (tmp_path / "scans").mkdir()
    nibabel.save(nibabel.Nifti1Image(noisy, affine), tmp_path / "scans" / "scan.nii.gz")
    words = ["--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json"]
    places = ["--dataset_dir", str(tmp_path / "scans"), "--output_dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "monai.bundle", "run", *words, *places]
    subprocess.run(command, cwd=bundle, check=True, capture_output=True, timeout=300)
    made = nibabel.load(tmp_path / "out" / "scan_denoised.nii.gz")
    model, scan = instant(noisy), from_array(noisy)
    expected = model.denoise_scan(scan, model.noise_of(scan), own=True).scan.data
    np.testing.assert_allclose(made.affine, affine)
    np.testing.assert_allclose(made.get_fdata(), expected, atol=1e-3 * np.ptp(noisy))

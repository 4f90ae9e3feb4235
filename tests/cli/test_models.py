"""The weights that come with the package, listed, and exported for other programs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import nibabel
import numpy as np
import onnx
import pytest

from diffdenoise.errors import ModelError
from diffdenoise.networks import shipped
from diffdenoise.networks.known_noise import Known, start_student
from diffdenoise.noise.simulate import gaussian
from pretraining.card import card

from .conftest import Outcome, save_nifti

Run = Callable[..., Outcome]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    y, x, z = np.indices((96, 100, 6), dtype=float)
    clean = 900 + 500 * np.sin(x / 9 + z / 4) * np.cos(y / 7) + 300 * (x > 50)
    noisy = gaussian(clean, 60.0, rng=np.random.default_rng(0)).astype(np.float32)
    return save_nifti(tmp_path / "scan.nii.gz", noisy)


def test_the_weights_are_listed_with_their_checksums(run: Run) -> None:
    found = {one["name"]: one for one in run("models", "--json").json["models"]}
    assert set(found) == {"general", "magnitude", "blind-spot", "diffusion"}
    for one in found.values():
        content = (files("diffdenoise") / "weights" / one["file"]).read_bytes()
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["bytes"] == len(content)
    told = run("models")
    assert told.code == 0
    assert all(one["sha256"] in told.out and one["data"] in told.out for one in found.values())


def test_the_card_is_of_these_weights() -> None:
    assert (files("diffdenoise") / "weights" / "card.json").read_text(encoding="utf-8") == card()


def test_damaged_weights_are_not_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tuple(shipped.Shipped(**{**one.__dict__, "sha256": "0" * 64}) for one in shipped.shipped())
    monkeypatch.setattr(shipped, "shipped", lambda: wrong)
    with pytest.raises(ModelError, match="weights are damaged; install diffdenoise again"):
        start_student(Known(np.ones((16, 9)), 0.1))


def test_the_packages_weights_are_exported_for_a_scans_noise(run: Run, scan: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.onnx"
    found = run("export", "general", "--scan", scan, "-o", made, "--json").json
    assert found["output"] == str(made)
    (noisy, *_) = onnx.load(made).graph.input
    assert noisy.type.tensor_type.shape.dim[1].dim_value == found["channels"] == 3
    assert run("export", "general", "--scan", scan, "-o", made).code == 2
    assert run("export", "general", "--scan", scan, "-o", made, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["general", "-o", "x.onnx"], "set for a scan's noise; name one"),
        (["none", "-o", "x.onnx"], "none: no such model folder"),
        (["none", "-o", "x.onnx"], "general or magnitude"),
        (["diffusion", "--scan", "scan.nii.gz", "-o", "x.onnx"], "not run by themselves"),
        ([".", "--scan", "scan.nii.gz", "-o", "x.onnx"], "leave it out, or name them (general)"),
        ([".", "-o", "x.onnx"], "is not a model folder"),
        (["general", "--scan", "scan.nii.gz", "-o", "x.bin"], "expected .onnx"),
        (["general", "--scan", "none.nii", "-o", "x.onnx"], "none.nii: no such file"),
    ],
)
def test_what_cannot_be_exported_is_said(
    run: Run, scan: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(scan.parent)
    done = run("export", *words)
    assert done.code == 2
    assert said in done.err
    assert not list(scan.parent.glob("x.*"))


def test_weights_are_taken_by_name(run: Run, scan: Path, tmp_path: Path) -> None:
    found = {}
    for name in (None, "general", "magnitude"):
        out = tmp_path / f"{name}.nii.gz"
        words = ["--model", name] if name is not None else []
        report = run("denoise", scan, "-o", out, "--threads", "1", "--json", *words).json
        assert report["model"] == name
        assert report["weights"] == (name or "general")
        found[name] = nibabel.load(out).get_fdata()
    np.testing.assert_array_equal(found["general"], found[None])
    assert np.abs(found["magnitude"] - found[None]).max() > 1
    told = run("denoise", scan, "-o", tmp_path / "told.nii.gz", "--model", "general", "--threads", "1")
    assert "model        general" in told.out


def test_another_name_is_another_run(run: Run, scan: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("one", "two"):
        (source / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    base = ("denoise", source, "-o", out, "--threads", "1", "--json", "--model")
    assert run(*base, "general").code == 0
    assert run(*base, "general", "--resume").json["done_before"] == 2
    assert "done_before" not in run(*base, "magnitude", "--resume").json


@pytest.mark.parametrize("words", [("--minutes", "3"), ("--set", "minutes=3")])
def test_named_weights_are_not_trained(run: Run, scan: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run("denoise", scan, "-o", tmp_path / "x.nii.gz", "--model", "general", *words)
    assert done.code == 2
    assert "--model general: these weights are taken as they are" in done.err


def test_info_tells_of_weights_by_name(run: Run) -> None:
    told = run("info", "general")
    assert told.code == 0
    assert "30000 steps" in told.out
    assert run("info", "blind-spot", "--json").json["limits"] == "not run by itself"
    assert "is a name of weights; leave it out" in run("info", "general", "--axis", "1").err


def test_a_clean_scan_tells_no_noise(run: Run, tmp_path: Path) -> None:
    y, x, z = np.indices((96, 100, 6), dtype=float)
    clean = (900 + 500 * np.sin(x / 9 + z / 4) * np.cos(y / 7)).astype(np.float32)
    source = save_nifti(tmp_path / "clean.nii.gz", clean)
    done = run("export", "general", "--scan", source, "-o", tmp_path / "x.onnx")
    assert done.code == 2
    assert "too little noise" in done.err

"""Wrong use: exit code 2, one line that says what to do, nothing written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from .conftest import Outcome, files_below, save_nifti

Run = Callable[..., Outcome]


def refused(outcome: Outcome, *words: str) -> None:
    """Check that a command was refused by one line that holds these words."""
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("diffdenoise: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


def bad_scans(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return unusable inputs: name -> (path, word in the message)."""
    colour = np.zeros((32, 32, 3), np.uint8)
    colour[..., 0] = np.arange(32)
    Image.fromarray(colour).save(folder / "colour.png")
    (folder / "notes.txt").write_text("not a scan")
    (folder / "broken.nii.gz").write_bytes(b"\x1f\x8b broken")
    (folder / "no-images").mkdir()
    (folder / "no-images" / "readme.md").write_text("no image here")

    def array(name: str, data: NDArray[Any]) -> Path:
        np.save(folder / name, data)
        return folder / name

    ramp = np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    holed = ramp.copy()
    holed[3, 4] = np.inf
    return {
        "missing": (folder / "absent.nii.gz", "no such file"),
        "folder without images": (folder / "no-images", "no-images"),
        "unreadable": (folder / "broken.nii.gz", "broken.nii.gz"),
        "wrong suffix": (folder / "notes.txt", ".nii.gz"),
        "colour": (folder / "colour.png", "colour"),
        "one pixel": (array("pixel.npy", np.ones((1, 1), np.float32)), "1x1"),
        "all zero": (array("zero.npy", np.zeros((32, 32), np.float32)), "zero.npy"),
        "five dimensions": (array("five.npy", np.ones((9, 9, 9, 2, 2), np.float32)), "5"),
        "infinite": (array("infinite.npy", holed), "infinite"),
    }


CASES = [
    "missing",
    "folder without images",
    "unreadable",
    "wrong suffix",
    "colour",
    "one pixel",
    "all zero",
    "five dimensions",
    "infinite",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("command", ["denoise", "train", "info", "simulate", "evaluate"])
def test_unusable_input_is_refused_in_one_line(
    run: Run, tmp_path: Path, clean: Path, case: str, command: str
) -> None:
    path, word = bad_scans(tmp_path)[case]
    before = files_below(tmp_path)
    output = tmp_path / ("out" if path.is_dir() else "out" + "".join(path.suffixes))
    words: list[str | Path] = {
        "denoise": ["denoise", path, "-o", output],
        "train": ["train", path, "-o", tmp_path / "model"],
        "info": ["info", path],
        "simulate": ["simulate", path, "-o", output, "--noise", "gaussian", "--std", "10%"],
        "evaluate": ["evaluate", path, clean],
    }[command]
    refused(run(*words), word)
    assert files_below(tmp_path) == before


def test_existing_output_is_kept(run: Run, tmp_path: Path, noisy: Path) -> None:
    output = tmp_path / "out.nii.gz"
    output.write_bytes(b"precious")
    refused(run("denoise", noisy, "-o", output), "out.nii.gz", "--overwrite")
    refused(run("simulate", noisy, "-o", output, "--noise", "gaussian", "--std", "5"), "--overwrite")
    assert output.read_bytes() == b"precious"


def test_output_over_the_input_is_refused_even_with_overwrite(run: Run, noisy: Path) -> None:
    before = noisy.read_bytes()
    refused(run("denoise", noisy, "-o", noisy, "--overwrite"), "noisy.nii.gz")
    assert noisy.read_bytes() == before


def test_output_below_a_file_is_refused(run: Run, tmp_path: Path, noisy: Path) -> None:
    (tmp_path / "file").write_text("x")
    refused(run("denoise", noisy, "-o", tmp_path / "file" / "out.nii.gz"), "out.nii.gz")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_unwritable_output_is_refused(run: Run, tmp_path: Path, noisy: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(run("denoise", noisy, "-o", locked / "out.nii.gz"), "out.nii.gz")


def test_output_of_another_format_is_refused(run: Run, tmp_path: Path, noisy: Path) -> None:
    refused(run("denoise", noisy, "-o", tmp_path / "out.xyz"), "out.xyz")
    refused(run("denoise", noisy, "-o", tmp_path / "out.png"), "out.png")


LONG = {
    "name": ("n" * 300, "bytes, at most 255"),
    "bytes": ("\u00e9" * 140, "bytes, at most 255"),
    "folder": ("f" * 300 + "/out", "300 bytes, at most 255"),
    "path": ("/".join(["p" * 200] * 30), "its path is too long for this disk"),
    "null": ("a\0b", "null byte"),
}


@pytest.mark.parametrize("case", LONG)
@pytest.mark.parametrize(
    "words",
    [
        ["denoise", "NOISY", "-o", "OUT.nii.gz"],
        ["denoise", "NOISY", "-o", "OUT.nii.gz", "--model", "FOLDER"],
        ["denoise", "FOLDER", "-o", "OUT"],
        ["denoise", "NOISY", "-o", "fine.nii.gz", "--picture", "OUT.png"],
        ["denoise", "NOISY", "-o", "fine.nii.gz", "--minutes", "1", "--save-model", "OUT"],
        ["train", "NOISY", "-o", "OUT"],
        ["convert", "NOISY", "-o", "OUT.nii.gz"],
        ["convert", "NOISY", "-o", "OUT", "--like", "FOLDER"],
        ["simulate", "NOISY", "-o", "OUT.nii.gz", "--noise", "gaussian", "--std", "5"],
        ["evaluate", "NOISY", "NOISY", "--noisy", "NOISY", "--picture", "OUT.png"],
        ["info", "OUT.nii.gz"],
    ],
    ids=lambda words: " ".join(words),
)
def test_names_that_no_file_can_have_are_refused_at_once(
    run: Run, tmp_path: Path, noisy: Path, words: list[str], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii.gz").write_bytes(noisy.read_bytes())
    before = files_below(tmp_path)
    name, reason = LONG[case]
    given = [
        word.replace("OUT", str(tmp_path / name)).replace("NOISY", str(noisy)).replace("FOLDER", "scans")
        for word in words
    ]
    outcome = run(*given)
    refused(outcome, reason)
    assert len(outcome.err) < 4000
    assert files_below(tmp_path) == before


def test_the_folder_of_a_training_has_a_name_too(run: Run, tmp_path: Path, noisy: Path) -> None:
    output = tmp_path / ("n" * 245 + ".nii.gz")
    refused(run("denoise", noisy, "-o", output, "--minutes", "1"), "257 bytes, at most 255")


def test_file_as_output_for_a_folder_is_refused(run: Run, tmp_path: Path, phantom: NDArray[np.int16]) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    save_nifti(folder / "a.nii.gz", phantom)
    (tmp_path / "out").write_text("x")
    refused(run("denoise", folder, "-o", tmp_path / "out"), "expected a folder")
    refused(run("denoise", folder, "-o", folder / "out"), "inside the input folder")
    refused(run("denoise", folder, "-o", folder), "inside the input folder")


def test_mixed_shapes_are_refused(run: Run, tmp_path: Path, clean: Path, phantom: NDArray[np.int16]) -> None:
    other = save_nifti(tmp_path / "other.nii.gz", phantom[:, :, :4])
    refused(run("evaluate", other, clean), "64x60x4", "64x60x5")
    refused(run("evaluate", clean, clean, "--mask", other), "mask", "64x60x4")


def test_a_misspelt_file_gets_a_suggestion(run: Run, tmp_path: Path, noisy: Path) -> None:
    for command in (["info"], ["train", "-o", "m"], ["denoise", "-o", "x.nii.gz"]):
        refused(run(*command, tmp_path / "nosy.nii.gz"), "no such file", f"did you mean {noisy}?")
    refused(run("info", tmp_path / "absent" / "scan.nii"), "no such file", "folder")


def test_odd_file_names_stay_one_plain_line(run: Run, tmp_path: Path) -> None:
    outcome = run("info", tmp_path / "[bold]a\nb\x1b[2J.nii")
    refused(outcome, "[bold]a b?[2J.nii")


def test_wrong_options_are_refused(run: Run, tmp_path: Path, noisy: Path) -> None:
    out = tmp_path / "out.nii.gz"
    refused(run("denoise", noisy), "--output")
    refused(run("denoise", noisy, "-o", out, "--threads", "0"), "--threads", "1")
    refused(run("denoise", noisy, "-o", out, "--device", "tpu"), "--device", "cuda")
    refused(run("denoise", noisy, "-o", out, "--minuts", "3"), "--minuts", "--minutes")
    refused(run("denoise", noisy, "-o", out, "--minutes", "-1"), "minutes", "greater than 0")
    refused(run("denoise", noisy, "-o", out, "--set", "stage2.wdth=3"), "stage2.wdth")
    refused(run("denoise", noisy, "-o", out, "--set", "stage2"), "key=value")
    refused(run("denoise", noisy, "-o", out, "--config", tmp_path / "none.yaml"), "no such file")
    refused(run("denoise", noisy, "-o", out, "--axis", "5"), "--axis")
    refused(run("denoise", noisy, "-o", out, "--minutes", "1", "--resume"), "no stopped run")
    refused(run("denoise", noisy, "-o", out, "--resume"), "--resume: without training")
    refused(run("nonsense"), "nonsense")
    assert not out.exists()


def test_a_stopped_run_is_not_lost_without_saying_so(run: Run, tmp_path: Path, noisy: Path) -> None:
    work = tmp_path / "out.nii.gz.work"
    (work / "work").mkdir(parents=True)
    (work / "work" / "state.json").write_text("hours of work")
    words = ("denoise", noisy, "-o", tmp_path / "out.nii.gz")
    refused(run(*words, "--minutes", "1"), "--resume", "delete")
    assert (work / "work" / "state.json").read_text() == "hours of work"
    # What is not trained has nothing to do with it.
    assert run(*words).code == 0
    assert (work / "work" / "state.json").read_text() == "hours of work"


def test_what_is_no_stopped_run_is_never_deleted(run: Run, tmp_path: Path, noisy: Path) -> None:
    work = tmp_path / "out.nii.gz.work"
    work.mkdir()
    (work / "thesis.txt").write_text("years of work")
    words = ("denoise", noisy, "-o", tmp_path / "out.nii.gz", "--overwrite")
    refused(run(*words, "--minutes", "1"), "not a stopped run")
    assert run(*words).code == 0
    assert (work / "thesis.txt").read_text() == "years of work"


def test_an_axis_for_a_single_image_is_refused(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.random.default_rng(0).normal(size=(32, 32)))
    words = [tmp_path / "image.npy", "-o", tmp_path / "out.npy", "--axis", "1"]
    refused(run("denoise", *words), "single image")
    assert not (tmp_path / "out.npy").exists()


def test_training_options_are_refused_with_a_trained_model(run: Run, tmp_path: Path, noisy: Path) -> None:
    base: list[str | Path] = ["denoise", noisy, "-o", tmp_path / "out.nii.gz", "--model", tmp_path]
    for option in (
        ["--minutes", "3"],
        ["--iterations", "2"],
        ["--recipe", "paper"],
        ["--pairs", "2"],
        ["--config", "c.yaml"],
        ["--set", "a=1"],
        ["--save-model", "m"],
        ["--noise-std", "2"],
    ):
        refused(run(*base, *option), option[0], "no effect with a trained model")
    refused(run(*base, "--minutes", "3", "--seed", "1"), "--minutes, --seed")


def test_a_folder_that_is_no_model_is_refused(run: Run, tmp_path: Path, noisy: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(run("denoise", noisy, "-o", tmp_path / "out.nii.gz", "--model", tmp_path / "empty"), "empty")
    refused(run("denoise", noisy, "-o", tmp_path / "out.nii.gz", "--model", tmp_path / "none"), "no such")


def test_pictures_are_checked_before_anything_else(run: Run, tmp_path: Path, noisy: Path) -> None:
    out = tmp_path / "out.nii.gz"
    refused(run("denoise", noisy, "-o", out, "--picture", tmp_path / "p.gif"), ".png")
    (tmp_path / "p.png").write_bytes(b"mine")
    refused(run("denoise", noisy, "-o", out, "--picture", tmp_path / "p.png"), "--overwrite")
    refused(run("evaluate", noisy, noisy, "--picture", tmp_path / "q.png"), "--noisy")
    assert (tmp_path / "p.png").read_bytes() == b"mine"


def test_errors_are_json_too(run: Run, tmp_path: Path) -> None:
    outcome = run("info", tmp_path / "none.nii", "--json")
    assert outcome.code == 2
    assert outcome.err == ""
    assert outcome.json["kind"] == "InputError"
    assert "no such file" in outcome.json["error"]
    outcome = run("denoise", "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["kind"] == "UsageError"


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    outcome = run("info", tmp_path / "none.nii", "--debug")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("diffdenoise: ")

"""`diffdenoise train`, with real but very short trainings."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

from diffdenoise.cli.progress import Lines
from diffdenoise.config import Settings

from .conftest import TINY, Outcome, files_below

Run = Callable[..., Outcome]


def test_dry_run_prints_plan_and_settings_and_trains_nothing(run: Run, tmp_path: Path, noisy: Path) -> None:
    before = files_below(tmp_path)
    words = ["train", noisy, "-o", tmp_path / "model", "--dry-run", "--set", "stage3.draws=4", "--axis", "2"]
    outcome = run(*words)
    assert outcome.code == 0, outcome.err
    printed = yaml.safe_load(outcome.out)
    settings = Settings.model_validate(printed["settings"])
    assert settings.stage3.draws == 4
    assert settings.data.axis == 2
    assert printed["plan"]
    assert run(*words, "--json").json == printed
    assert files_below(tmp_path) == before


def test_options_win_over_set_and_set_over_the_file(run: Run, tmp_path: Path, noisy: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(Settings(seed=1, minutes=1, iterations=2).to_yaml())
    outcome = run(
        *("train", noisy, "-o", tmp_path / "m", "--dry-run", "--json", "--config", config),
        *("--set", "seed=2", "--set", "iterations=3", "--seed", "5"),
    )
    settings = outcome.json["settings"]
    assert (settings["seed"], settings["iterations"], settings["minutes"]) == (5, 3, 1)


def test_a_model_is_trained_on_files_globs_and_folders(run: Run, tmp_path: Path, noisy: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "a.nii.gz").write_bytes(noisy.read_bytes())
    (tmp_path / "x1.nii.gz").write_bytes(noisy.read_bytes())
    model = tmp_path / "model"
    outcome = run("train", noisy, folder, tmp_path / "x*.nii.gz", "-o", model, *TINY, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["scans"] == ["noisy.nii.gz", "a.nii.gz", "x1.nii.gz"]
    assert (model / "settings.yaml").is_file()
    used = run("denoise", noisy, "-o", tmp_path / "out.nii.gz", "--model", model)
    assert used.code == 0, used.err
    assert run("train", noisy, "-o", model, *TINY).code == 2


def test_a_models_settings_file_gives_the_same_model(run: Run, tmp_path: Path, noisy: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("train", noisy, "-o", first, *TINY).code == 0
    outcome = run("train", noisy, "-o", second, "--config", first / "settings.yaml", "--threads", "1")
    assert outcome.code == 0, outcome.err
    for model in (first, second):
        words = ["--model", model, "--threads", "1"]
        assert run("denoise", noisy, "-o", tmp_path / f"{model.name}.nii.gz", *words).code == 0
    one, other = (nibabel.load(tmp_path / f"{name}.nii.gz").get_fdata() for name in ("first", "second"))
    assert np.array_equal(one, other)


def test_ctrl_c_says_how_to_go_on(
    run: Run, tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    start = Lines.start

    def stop_in_the_second_stage(self: Lines, stage: str) -> None:
        start(self, stage)
        begun.append(stage)
        if len(begun) == 2:
            raise KeyboardInterrupt

    model = tmp_path / "model with a space"
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "start", stop_in_the_second_stage)
        outcome = run("train", noisy, "-o", model, *TINY)
    assert outcome.code == 130
    command = outcome.err.splitlines()[-1].partition("go on with: ")[2]
    resumed = run(*shlex.split(command)[1:], "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["model"] == str(model)
    assert run("denoise", noisy, "-o", tmp_path / "out.nii.gz", "--model", model).code == 0

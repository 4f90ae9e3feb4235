"""`diffdenoise denoise`, with real but very short trainings."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffdenoise.cli.progress import Lines

from .conftest import TINY, Outcome, files_below, save_nifti

Run = Callable[..., Outcome]


def values(path: Path) -> NDArray[Any]:
    return np.asanyarray(nibabel.load(path).dataobj)


def test_a_scan_is_denoised_with_nothing_but_itself(run: Run, tmp_path: Path, noisy: Path) -> None:
    output, picture = tmp_path / "sub" / "out.nii.gz", tmp_path / "p.png"
    outcome = run("denoise", noisy, "-o", output, *TINY, "--picture", picture, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    found = outcome.json
    assert found["input"] == str(noisy)
    assert found["output"] == str(output)
    assert found["picture"] == str(picture)
    assert found["model"] is None
    assert found["seconds"] > 0
    before, after = nibabel.load(noisy), nibabel.load(output)
    assert after.get_data_dtype() == np.int16
    assert np.array_equal(before.affine, after.affine)
    residual = values(noisy).astype(float) - values(output)
    # The file holds rounded values.
    assert found["residual_std"] == pytest.approx(residual.std(), abs=0.6)
    span = found["noise_std"] / found["noise_percent_of_range"]
    assert found["residual_percent_of_range"] == pytest.approx(found["residual_std"] / span)
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy.nii.gz", "p.png", "sub"]
    assert [path.name for path in output.parent.iterdir()] == ["out.nii.gz"]


def test_people_get_a_line_for_each_stage_and_the_figures(run: Run, tmp_path: Path, noisy: Path) -> None:
    outcome = run("denoise", noisy, "-o", tmp_path / "out.nii.gz", *TINY)
    assert outcome.code == 0, outcome.err
    for word in ("stage 1 of 3", "stage 2 of 3", "stage 3 of 3"):
        assert word in outcome.err
    assert [line.split("  ")[0] for line in outcome.out.splitlines()] == [
        "denoised",
        "took",
        "noise level",
        "residual",
    ]
    assert all(line.isprintable() for line in (outcome.out + outcome.err).splitlines())


def test_a_kept_model_gives_the_same_result_again(run: Run, tmp_path: Path, noisy: Path) -> None:
    model = tmp_path / "model"
    first = run("denoise", noisy, "-o", tmp_path / "a.nii.gz", *TINY, "--save-model", model, "-q")
    assert (first.code, first.out, first.err) == (0, "", "")
    second = run("denoise", noisy, "-o", tmp_path / "b.nii.gz", "--model", model, "--threads", "1", "--json")
    assert second.code == 0, second.err
    assert second.json["model"] == str(model)
    assert np.array_equal(values(tmp_path / "a.nii.gz"), values(tmp_path / "b.nii.gz"))
    as_float = run("denoise", noisy, "-o", tmp_path / "c.nii.gz", "--model", model, "--float")
    assert as_float.code == 0, as_float.err
    assert values(tmp_path / "c.nii.gz").dtype == np.float32
    again = run("denoise", noisy, "-o", tmp_path / "d.nii.gz", *TINY, "--save-model", model)
    assert again.code == 2
    assert again.err.count("\n") == 1
    assert not (tmp_path / "d.nii.gz").exists()


def test_a_folder_becomes_a_folder(run: Run, tmp_path: Path, noisy: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    save_nifti(folder / "a.nii.gz", values(noisy))
    save_nifti(folder / "deep" / "b.nii", values(noisy)[:, :, ::-1])
    outcome = run("denoise", folder, "-o", tmp_path / "out", *TINY, "--json")
    assert outcome.code == 0, outcome.err
    assert set(files_below(tmp_path / "out")) == {"a.nii.gz", "deep", str(Path("deep", "b.nii"))}
    assert [scan["output"] for scan in outcome.json["scans"]] == [
        str(tmp_path / "out" / "a.nii.gz"),
        str(tmp_path / "out" / "deep" / "b.nii"),
    ]
    assert not (tmp_path / "out.work").exists()


def test_ctrl_c_writes_nothing_and_says_how_to_go_on(
    run: Run, tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole.nii.gz"
    assert run("denoise", noisy, "-o", whole, *TINY).code == 0
    output = tmp_path / "out.nii.gz"
    stages: list[str] = []
    start = Lines.start

    def stop_in_the_second_stage(self: Lines, stage: str) -> None:
        start(self, stage)
        stages.append(stage)
        if len(stages) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lines, "start", stop_in_the_second_stage)
        outcome = run("denoise", noisy, "-o", output, *TINY)
    assert outcome.code == 130
    assert outcome.out == ""
    assert not output.exists()
    last = outcome.err.splitlines()[-1]
    assert last.startswith("diffdenoise: stopped, nothing was written; go on with: diffdenoise denoise ")
    assert last.endswith("--resume")

    refused = run("denoise", noisy, "-o", output, *TINY)
    assert refused.code == 2
    assert "--resume" in refused.err

    command = shlex.split(last.partition("go on with: ")[2])
    resumed = run(*command[1:])
    assert resumed.code == 0, resumed.err
    assert np.array_equal(values(output), values(whole))
    assert not (tmp_path / "out.nii.gz.work").exists()


def test_overwrite_starts_a_stopped_run_anew(
    run: Run, tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Lines, stage: str) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "out.nii.gz"
    with monkeypatch.context() as patch:
        patch.setattr(Lines, "start", stop)
        assert run("denoise", noisy, "-o", output, *TINY).code == 130
    outcome = run("denoise", noisy, "-o", output, *TINY, "--overwrite", "--seed", "7")
    assert outcome.code == 0, outcome.err
    assert not (tmp_path / "out.nii.gz.work").exists()


def test_a_device_that_is_not_there_is_refused(run: Run, tmp_path: Path, noisy: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    before = files_below(tmp_path)
    outcome = run("denoise", noisy, "-o", tmp_path / "out.nii.gz", *TINY, "--device", "cuda")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "cuda" in outcome.err.lower()
    assert files_below(tmp_path) == before


def test_a_run_stopped_while_writing_needs_no_second_training(
    run: Run, tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "out.nii.gz"
    with monkeypatch.context() as patch:
        patch.setattr("diffdenoise.work.jobs.write_scan", stop)
        outcome = run("denoise", noisy, "-o", output, *TINY)
    assert outcome.code == 130
    assert "nothing was written; go on with: " in outcome.err
    assert not output.exists()
    resumed = run("denoise", noisy, "-o", output, *TINY, "--resume")
    assert resumed.code == 0, resumed.err
    assert "stage 1" not in resumed.err
    assert output.exists()
    assert not (tmp_path / "out.nii.gz.work").exists()


def test_a_real_interrupt_in_the_middle_of_a_stage(run: Run, tmp_path: Path, noisy: Path) -> None:
    output = tmp_path / "out.nii.gz"
    words = ["denoise", str(noisy), "-o", str(output), *TINY, "--set", "schedule.blind-spot.steps=100000"]
    with subprocess.Popen(
        [sys.executable, "-m", "diffdenoise", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "stage 1 of 3" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.count("\n") == 1
    assert "nothing was written; go on with: diffdenoise denoise " in err
    assert not output.exists()
    assert (tmp_path / "out.nii.gz.work").is_dir()


def test_a_clean_scan_is_left_as_it_is(run: Run, tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(0, 6, 160), np.linspace(0, 6, 150), indexing="ij")
    smooth = 500 + 400 * np.sin(x) * np.cos(y) + np.random.default_rng(0).normal(0, 1, (3, 160, 150))
    data = np.rint(np.moveaxis(smooth, 0, 2)).astype(np.int16)
    save_nifti(tmp_path / "clean.nii.gz", data)
    outcome = run("denoise", tmp_path / "clean.nii.gz", "-o", tmp_path / "out.nii.gz", "--minutes", "1")
    assert outcome.code == 0
    assert "already clean" in outcome.out
    assert "clean_below_contrast=0" in outcome.out
    assert np.array_equal(np.asarray(nibabel.load(tmp_path / "out.nii.gz").dataobj), data)
    assert not (tmp_path / "out.nii.gz.work").exists()


@pytest.mark.parametrize("name", ["a.hdr", "a.img"])
def test_either_file_of_a_pair_becomes_the_file_that_was_asked_for(
    run: Run, tmp_path: Path, noisy: Path, name: str
) -> None:
    image = nibabel.load(noisy)
    nibabel.save(nibabel.Nifti1Pair(np.asanyarray(image.dataobj), image.affine), tmp_path / "a.img")
    outcome = run("denoise", tmp_path / name, "-o", tmp_path / "out.nii.gz", *TINY, "--json")
    assert outcome.code == 0, outcome.err
    assert values(tmp_path / "out.nii.gz").shape == image.shape
    assert "written as NIfTI" in outcome.json["notices"][0]

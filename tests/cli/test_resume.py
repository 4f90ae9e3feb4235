"""`denoise --resume` of a batch: what is done and unchanged stays, everything else is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.errors import InputError, OutputError
from diffdenoise.work.extras import Extras
from diffdenoise.work.jobs import Job
from diffdenoise.work.journal import Journal
from tests.cli.test_wrong_use import refused

from .conftest import TINY, Outcome, save_nifti

Run = Callable[..., Outcome]
NAMES = ("a.nii.gz", "b.nii.gz", "c.nii.gz")


def values(path: Path) -> NDArray[np.float64]:
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float64)


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.nii.gz")}


def scan(path: Path, phantom: NDArray[np.int16], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 60, phantom.shape)
    save_nifti(path, (phantom + noise).astype(np.float32))


@pytest.fixture
def folder(tmp_path: Path, phantom: NDArray[np.int16]) -> Path:
    """Three scans."""
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(NAMES):
        scan(tmp_path / "in" / name, phantom, seed)
    return tmp_path / "in"


@pytest.fixture
def model(run: Run, tmp_path: Path, folder: Path) -> Path:
    """A model of another scan."""
    made = run("train", folder / "a.nii.gz", "-o", tmp_path / "model", *TINY)
    assert made.code == 0, made.err
    return tmp_path / "model"


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the run be stopped by Ctrl-C when this result is written."""
    from diffdenoise.work import jobs

    write = jobs.write_scan

    def stopping(scan: object, target: Path, **how: object) -> None:
        if target.name == name:
            raise KeyboardInterrupt
        write(scan, target, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "write_scan", stopping)


def test_a_batch_goes_on_after_the_last_finished_scan(
    run: Run, tmp_path: Path, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert run("denoise", folder, "-o", whole, "--model", model).code == 0
    with monkeypatch.context() as patch:
        stop_at(patch, "b.nii.gz")
        stopped = run("denoise", folder, "-o", out, "--model", model)
    assert stopped.code == 130
    assert "1 of 3 scans were written; go on with: diffdenoise denoise" in stopped.err
    first = stamps(out)
    assert list(first) == ["a.nii.gz"]
    found = run("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    assert found.code == 0, found.err
    assert found.json["done_before"] == 1
    assert [Path(one["output"]).name for one in found.json["scans"]] == ["b.nii.gz", "c.nii.gz"]
    assert stamps(out)["a.nii.gz"] == first["a.nii.gz"]
    for name in NAMES:
        assert np.array_equal(values(out / name), values(whole / name))


def test_what_changed_is_done_again_and_nothing_else(
    run: Run, tmp_path: Path, folder: Path, model: Path, phantom: NDArray[np.int16]
) -> None:
    out = tmp_path / "out"
    again = ("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    # Nothing is there yet: a job that runs every night says --resume the first time, too.
    assert run(*again).json["scans"]
    before = stamps(out)
    said = run(*again[:-1]).out
    assert said.splitlines()[0].split() == ["output", str(out)]
    assert ["done", "before", "3"] in [line.split() for line in said.splitlines()]
    assert run(*again).json["scans"] == []
    assert stamps(out) == before
    scan(folder / "b.nii.gz", phantom, 7)
    (out / "c.nii.gz").unlink()
    found = run(*again)
    assert sorted(Path(one["output"]).name for one in found.json["scans"]) == ["b.nii.gz", "c.nii.gz"]
    assert stamps(out)["a.nii.gz"] == before["a.nii.gz"]
    # Another strength makes other results.
    assert len(run(*again, "--strength", "0.5").json["scans"]) == 3
    assert values(out / "a.nii.gz") != pytest.approx(values(folder / "a.nii.gz"), abs=1e-3)


def test_another_model_makes_everything_anew(run: Run, tmp_path: Path, folder: Path, model: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    assert run("denoise", folder, "-o", out, "--model", model).code == 0
    assert run("train", folder / "a.nii.gz", "-o", other, "--seed", "3", *TINY).code == 0
    found = run("denoise", folder, "-o", out, "--model", other, "--resume", "--json")
    assert len(found.json["scans"]) == 3


def test_a_result_that_somebody_edited_is_not_written_over(
    run: Run, tmp_path: Path, folder: Path, model: Path, phantom: NDArray[np.int16]
) -> None:
    out = tmp_path / "out"
    assert run("denoise", folder, "-o", out, "--model", model).code == 0
    save_nifti(out / "b.nii.gz", phantom)
    (out / "c.nii.gz").unlink()
    found = run("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    assert found.code == 2
    assert [one["scan"] for one in found.json["failed"]] == ["b.nii.gz"]
    assert "is not what an earlier run wrote" in found.json["failed"][0]["reason"]
    # It stops no other.
    assert found.json["done_before"] == 1
    assert [Path(one["output"]).name for one in found.json["scans"]] == ["c.nii.gz"]
    assert np.array_equal(values(out / "b.nii.gz"), phantom)
    # A file of somebody else's is in the way.
    (out / ".diffdenoise-journal.jsonl").unlink()
    refused(run("denoise", folder, "-o", out, "--model", model, "--resume"), "exists already", "--overwrite")


def test_what_failed_is_tried_again_only_when_asked_for(
    run: Run, tmp_path: Path, folder: Path, model: Path, phantom: NDArray[np.int16]
) -> None:
    out = tmp_path / "out"
    (folder / "b.nii.gz").write_bytes(b"no image")
    first = run("denoise", folder, "-o", out, "--model", model, "--json")
    assert first.code == 2
    assert len(first.json["scans"]) == 2
    reason = first.json["failed"][0]["reason"]
    second = run("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    assert second.code == 2
    assert second.json["scans"] == []
    assert second.json["failed"][0]["reason"].startswith(reason)
    assert "--retry-failed" in second.json["failed"][0]["reason"]
    third = run("denoise", folder, "-o", out, "--model", model, "--resume", "--retry-failed", "--json")
    assert third.json["failed"][0]["reason"] == reason
    # Once it is mended, it is no longer the file that failed.
    scan(folder / "b.nii.gz", phantom, 1)
    mended = run("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    assert mended.code == 0
    assert [Path(one["output"]).name for one in mended.json["scans"]] == ["b.nii.gz"]


def test_retrying_without_going_on_is_refused(run: Run, tmp_path: Path, folder: Path, model: Path) -> None:
    refused(run("denoise", folder, "-o", tmp_path / "out", "--model", model, "--retry-failed"), "--resume")
    single = run("denoise", folder / "a.nii.gz", "-o", tmp_path / "o.nii.gz", "--model", model, "--resume")
    refused(single, "--resume", "several scans")


def test_a_run_killed_before_it_could_note_a_result_is_gone_on_with(
    run: Run, tmp_path: Path, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    note = Journal.note_done

    def killed(self: Journal, job: Job, *words: object) -> None:
        if job.name == "b.nii.gz":
            raise KeyboardInterrupt
        note(self, job, *words)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "note_done", killed)
        stopped = run("denoise", folder, "-o", out, "--model", model)
    assert stopped.code == 130
    assert "2 of 3 scans were written; go on with" in stopped.err
    found = run("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    assert found.code == 0, found.err
    assert found.json["done_before"] == 1
    assert len(found.json["scans"]) == 2


def test_a_scan_that_cannot_be_read_any_more_is_one_failure_of_several(
    run: Run, tmp_path: Path, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Job, *words: object, **how: object) -> None:
        if self.name == "b.nii.gz":
            raise InputError("b.nii.gz: was changed since it was opened; read it again")
        write(self, *words, **how)  # type: ignore[arg-type]

    write = Job.write
    monkeypatch.setattr(Job, "write", failing)
    found = run("denoise", folder, "-o", tmp_path / "out", "--model", model, "--json")
    assert found.code == 2
    assert [one["scan"] for one in found.json["failed"]] == ["b.nii.gz"]
    assert len(found.json["scans"]) == 2


def test_an_extra_that_cannot_be_written_is_one_failure_of_several(
    run: Run, tmp_path: Path, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, pictures = tmp_path / "out", tmp_path / "pictures"
    write = Extras.write

    def failing(self: Extras, job: Job, *words: object, **how: object) -> None:
        if job.name == "b.nii.gz":
            raise OutputError("b.png: cannot be written")
        write(self, job, *words, **how)  # type: ignore[arg-type]

    again = ("denoise", folder, "-o", out, "--model", model, "--picture", pictures, "--json")
    with monkeypatch.context() as patch:
        patch.setattr(Extras, "write", failing)
        first = run(*again)
    assert first.code == 2
    assert [one["scan"] for one in first.json["failed"]] == ["b.nii.gz"]
    assert len(first.json["scans"]) == 2
    second = run(*again, "--resume", "--retry-failed")
    assert second.code == 0, second.err
    assert second.json["done_before"] == 2
    assert sorted(path.name for path in pictures.iterdir()) == ["a.png", "b.png", "c.png"]
    # A picture that is gone is drawn again.
    (pictures / "c.png").unlink()
    assert [one["input"] for one in run(*again, "--resume").json["scans"]] == [str(folder / "c.nii.gz")]
    assert (pictures / "c.png").is_file()


def test_a_result_whose_input_was_damaged_for_a_while_is_made_again(
    run: Run, tmp_path: Path, folder: Path, model: Path
) -> None:
    out = tmp_path / "out"
    whole = (folder / "b.nii.gz").read_bytes()
    again = ("denoise", folder, "-o", out, "--model", model, "--resume", "--json")
    assert run(*again).code == 0
    (folder / "b.nii.gz").write_bytes(b"no image")
    assert run(*again).code == 2
    (folder / "b.nii.gz").write_bytes(whole)
    found = run(*again)
    assert found.code == 0, found.err
    assert found.json["done_before"] == 2


def test_going_on_with_a_training_overwrites_nothing_that_it_did_not_write(
    run: Run, tmp_path: Path, folder: Path, phantom: NDArray[np.int16], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_at(patch, "b.nii.gz")
        assert run("denoise", folder, "-o", out, *TINY).code == 130
    save_nifti(out / "c.nii.gz", phantom)
    refused(run("denoise", folder, "-o", out, *TINY, "--resume"), "c.nii.gz", "--overwrite")
    assert np.array_equal(values(out / "c.nii.gz"), phantom)
    (out / "c.nii.gz").unlink()
    found = run("denoise", folder, "-o", out, *TINY, "--resume")
    assert found.code == 0, found.err
    assert sorted(stamps(out)) == list(NAMES)


def test_a_mask_may_be_a_folder(run: Run, tmp_path: Path, folder: Path, model: Path) -> None:
    zarr = pytest.importorskip("zarr")
    inside = np.zeros(values(folder / "a.nii.gz").shape, np.uint8)
    inside[20:40, 20:40] = 1
    zarr.save_array(tmp_path / "mask.zarr", inside)
    out = tmp_path / "out"
    found = run("denoise", folder, "-o", out, "--model", model, "--force", "--mask", tmp_path / "mask.zarr")
    assert found.code == 0, found.err
    changed = values(out / "a.nii.gz") != values(folder / "a.nii.gz")
    assert changed[inside == 1].mean() > 0.9
    assert not changed[inside == 0].any()

"""What killed runs leave behind, and two runs to one output."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from diffdenoise.owner import this_process
from diffdenoise.scan.atomic import atomic_path
from tests.test_lock import dead_process

from .conftest import TINY, Outcome, files_below

Run = Callable[..., Outcome]
LONG = [*TINY, "--set", "schedule.blind-spot.steps=100000"]


@contextmanager
def running(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A `diffdenoise` process that is in its first stage; killed in the end."""
    command = [sys.executable, "-m", "diffdenoise", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            assert "stage 1 of 3" in process.stderr.readline()
            yield process
        finally:
            process.kill()


def partial(folder: Path, tag: str, ending: str = ".nii.gz") -> Path:
    path = folder / f".partial-{tag}-0123abcd{ending}"
    path.write_bytes(b"pixels of a patient")
    return path


def test_a_second_run_to_the_same_output_is_refused_at_once(run: Run, tmp_path: Path, noisy: Path) -> None:
    output = tmp_path / "out.nii.gz"
    with running("denoise", noisy, "-o", output, *LONG) as first:
        for options in ([], ["--overwrite"], ["--resume"]):
            outcome = run("denoise", noisy, "-o", output, *LONG, *options)
            assert outcome.code == 2
            words = f"is in use by another run (process {first.pid}); wait for it or stop it"
            assert outcome.err == f"diffdenoise: {output}: {words}\n"
        assert first.poll() is None
        kept = run("clean", tmp_path, "--json").json["found"]
        assert {row["kind"]: row["kept"] for row in kept} == {
            "lock": f"its run goes on (process {first.pid})",
            "stopped run": f"its run goes on (process {first.pid})",
        }
        assert (tmp_path / "out.nii.gz.work" / "work" / "lock.json").is_file()
    again = run("denoise", noisy, "-o", output, *TINY, "--overwrite")
    assert again.code == 0, again.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy.nii.gz", "out.nii.gz"]


def test_a_model_folder_is_one_trainings(run: Run, tmp_path: Path, noisy: Path) -> None:
    with running("train", noisy, "-o", tmp_path / "model", *LONG) as first:
        for options in ([], ["--resume"]):
            outcome = run("train", noisy, "-o", tmp_path / "model", *LONG, *options)
            assert outcome.code == 2
            assert f"in use by another run (process {first.pid})" in outcome.err
    # Killed: another process may go on, with settings that end.
    outcome = run("train", noisy, "-o", tmp_path / "model", *LONG)
    assert outcome.code == 2
    assert "--resume" in outcome.err


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_can_be_gone_on_with(
    run: Run, tmp_path: Path, noisy: Path, signal_number: signal.Signals
) -> None:
    output = tmp_path / "out.nii.gz"
    steps = ["--set", "schedule.blind-spot.steps=300"]
    with running("denoise", noisy, "-o", output, *TINY, *steps) as first:
        first.send_signal(signal_number)
        first.wait(60)
    assert (tmp_path / ".out.nii.gz.lock").exists()
    resumed = run("denoise", noisy, "-o", output, *TINY, *steps, "--resume")
    assert resumed.code == 0, resumed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noisy.nii.gz", "out.nii.gz"]


def test_a_rerun_deletes_what_a_killed_one_was_writing(run: Run, tmp_path: Path, clean: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    gone = partial(folder, dead_process().tag())
    store = folder / f".partial-{dead_process().tag()}-0123abcd.zarr"
    (store / "c").mkdir(parents=True)
    mine = partial(folder, this_process().tag())
    other = partial(folder, dead_process().tag().replace(dead_process().tag()[:8], "00000000"))
    unknown = partial(folder, "no-tag")
    outcome = run("simulate", clean, "-o", folder / "out.nii.gz", "--noise", "gaussian", "--std", "10%")
    assert outcome.code == 0, outcome.err
    assert not gone.exists()
    assert not store.exists()
    assert set(folder.iterdir()) == {mine, other, unknown, folder / "out.nii.gz"}


def test_a_replaced_folder_is_not_deleted_before_its_replacement_is_in_place(tmp_path: Path) -> None:
    new = partial(tmp_path, dead_process().tag(), ".zarr")
    old = new.with_name(f"{new.name}.old")
    old.write_bytes(b"the only copy")
    with atomic_path(tmp_path / "a.npy") as temporary:
        np.save(temporary, np.zeros(3))
    assert new.exists()
    assert old.exists()
    new.unlink()
    with atomic_path(tmp_path / "b.npy") as temporary:
        np.save(temporary, np.zeros(3))
    assert not old.exists()


def test_clean_deletes_what_dead_processes_left_and_nothing_else(
    run: Run, tmp_path: Path, noisy: Path
) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    with running("denoise", noisy, "-o", deep / "out.nii.gz", *LONG) as process:
        process.kill()
    with running("train", noisy, "-o", deep / "model", *LONG) as process:
        process.kill()
    gone = partial(deep, dead_process().tag())
    mine = partial(deep, this_process().tag())
    (deep / "thesis.work" / "work").mkdir(parents=True)
    (deep / "thesis.work" / "work" / "state.json").write_text("{}")
    (deep / ".other.lock").write_text("12345")
    (deep / "linked").symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "outside").mkdir()
    safe = partial(tmp_path / "outside", dead_process().tag())
    before = files_below(tmp_path)

    tried = run("clean", tmp_path / "a", "--dry-run")
    assert tried.code == 0, tried.err
    assert files_below(tmp_path) == before
    expected = {gone, deep / ".out.nii.gz.lock", deep / "out.nii.gz.work", deep / "model"}
    lines = tried.out.splitlines()
    assert {line.split(" ")[-1] for line in lines if line.startswith("would delete ")} == set(
        map(str, expected)
    )
    assert [line for line in lines if line.startswith("kept ")] == [
        f"kept half-written file {mine} (its run goes on)"
    ]

    done = run("clean", tmp_path / "a")
    assert done.code == 0, done.err
    assert {line.split(" ")[-1] for line in done.out.splitlines() if line.startswith("deleted ")} == set(
        map(str, expected)
    )
    assert not any(path.exists() for path in expected)
    assert mine.exists()
    assert safe.exists()
    assert (deep / "thesis.work" / "work" / "state.json").exists()
    assert (deep / ".other.lock").exists()
    mine.unlink()
    assert run("clean", tmp_path / "a").out == "nothing was left behind\n"


def test_clean_keeps_a_finished_model(run: Run, tmp_path: Path, noisy: Path) -> None:
    with running("train", noisy, "-o", tmp_path / "model", *LONG) as process:
        process.kill()
    (tmp_path / "model" / "record.json").write_text("{}")
    assert run("clean", tmp_path, "-q").code == 0
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["record.json"]


def test_clean_wants_a_folder(run: Run, noisy: Path) -> None:
    outcome = run("clean", noisy)
    assert outcome.code == 2
    assert "is not a folder" in outcome.err
    assert run("clean", noisy.parent / "none").code == 2

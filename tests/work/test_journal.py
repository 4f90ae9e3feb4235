"""The journal of an output folder: what counts as done, and what doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffdenoise.errors import OutputError
from diffdenoise.scan.find import Found
from diffdenoise.work.jobs import Job
from diffdenoise.work.journal import JOURNAL, Journal, key_of

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A scan whose result is in place."""
    source, target = tmp_path / "in.nii", tmp_path / "out" / "in.nii"
    source.write_bytes(b"noisy")
    target.parent.mkdir()
    target.write_bytes(b"denoised")
    return Job(Found("in.nii", (source,)), target)


def read(job: Job) -> Journal:
    return Journal.read(job.target.parent)


def test_what_is_noted_is_known_to_the_next_run(job: Job) -> None:
    assert not read(job).knows(job)
    read(job).note_done(job, KEY)
    assert read(job).is_done(job, KEY)
    assert read(job).wrote(job)
    assert not read(job).is_done(job, OTHER)
    assert read(job).failure(job, KEY) is None


@pytest.mark.parametrize("change", ["gone", "edited", "same size"])
def test_a_result_that_was_changed_is_not_done(job: Job, change: str) -> None:
    read(job).note_done(job, KEY)
    if change == "gone":
        job.target.unlink()
    else:
        job.target.write_bytes(b"edited" if change == "edited" else b"DENOISED")
    assert not read(job).is_done(job, KEY)
    # Nor is it ours to write over.
    assert not read(job).wrote(job)


def test_the_last_word_on_a_scan_counts(job: Job) -> None:
    journal = read(job)
    journal.note_failed(job, KEY, "too small")
    assert read(job).failure(job, KEY) == "too small"
    assert read(job).failure(job, OTHER) is None
    journal.note_done(job, OTHER)
    assert read(job).failure(job, KEY) is None
    assert read(job).is_done(job, OTHER)


@pytest.mark.parametrize("cut", [1, 20, 80])
def test_half_a_line_of_a_killed_run_counts_for_nothing(job: Job, cut: int) -> None:
    read(job).note_failed(job, OTHER, "too small")
    whole = (job.target.parent / JOURNAL).read_bytes()
    read(job).note_done(job, KEY)
    path = job.target.parent / JOURNAL
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    assert read(job).failure(job, OTHER) == "too small"
    assert not read(job).is_done(job, KEY)
    # What comes after it is read.
    read(job).note_done(job, KEY)
    assert read(job).is_done(job, KEY)


@pytest.mark.parametrize(
    "line", [b"[]", b"{}", b"\xff\xfe", b'{"scan": "in.nii", "state": "done"}', b"9" * 5000]
)
def test_foreign_lines_count_for_nothing(job: Job, line: bytes) -> None:
    (job.target.parent / JOURNAL).write_bytes(line + b"\n")
    assert not read(job).knows(job)


def test_a_journal_that_is_no_plain_file_is_refused(job: Job, tmp_path: Path) -> None:
    (job.target.parent / JOURNAL).symlink_to(tmp_path / "in.nii")
    with pytest.raises(OutputError, match="is a link"):
        read(job)


def test_the_key_is_of_content_and_wishes_not_of_names(job: Job, tmp_path: Path) -> None:
    key = key_of([job], ["settings"])
    assert key_of([job], ["other settings"]) != key
    moved = tmp_path / "moved.nii"
    moved.write_bytes(b"noisy")
    assert key_of([Job(Found("moved.nii", (moved,)), job.target)], ["settings"]) == key
    moved.write_bytes(b"noisier")
    assert key_of([Job(Found("moved.nii", (moved,)), job.target)], ["settings"]) != key
    # Two halves of one file are not the two files.
    assert key_of([job, job], ["settings"]) != key

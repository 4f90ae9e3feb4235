"""The journal of an output folder: what counts as done, and what doesn't."""

from __future__ import annotations

import os
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
    # Nor is what somebody edited ours to write over.
    assert read(job).wrote(job) == (change == "gone")


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


def test_what_a_killed_run_had_begun_to_write_is_written_again(job: Job) -> None:
    read(job).note_begun(job, KEY)
    assert read(job).wrote(job)
    assert not read(job).is_done(job, KEY)
    # It failed at the second of two files: the first is ours.
    read(job).note_failed(job, KEY, "the disk is full")
    assert read(job).wrote(job)
    job.target.write_bytes(b"edited")
    assert not read(job).wrote(job)


def test_a_failure_forgets_nothing_of_what_was_written_before(job: Job) -> None:
    read(job).note_done(job, KEY)
    read(job).note_failed(job, OTHER, "is constant")
    assert read(job).wrote(job)
    assert not read(job).is_done(job, KEY)


def test_an_edit_of_the_same_size_within_a_folder_is_seen(tmp_path: Path) -> None:
    store = tmp_path / "out" / "a.zarr"
    (store / "c").mkdir(parents=True)
    (store / "c" / "0").write_bytes(b"12345678")
    job = Job(Found("a.zarr", (tmp_path,)), store)
    read(job).note_done(job, KEY)
    assert read(job).is_done(job, KEY)
    (store / "c" / "0").write_bytes(b"12345679")
    assert not read(job).is_done(job, KEY)
    assert not read(job).wrote(job)


def test_what_is_wanted_beside_a_result_is_part_of_it(job: Job, tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "in.png"
    picture.parent.mkdir()
    picture.write_bytes(b"picture")
    read(job).note_done(job, KEY, [picture])
    assert read(job).is_done(job, KEY, [picture])
    assert not read(job).is_done(job, KEY, [tmp_path / "elsewhere.png"])
    picture.unlink()
    assert not read(job).is_done(job, KEY, [picture])


@pytest.mark.parametrize("name", [b"a b\n.nii", b"\xff\xfe.nii", "\u00e9%41.nii".encode()])
def test_names_may_hold_any_bytes(tmp_path: Path, name: bytes) -> None:
    target = tmp_path / os.fsdecode(name)
    target.write_bytes(b"denoised")
    job = Job(Found("x", (target,)), target)
    Journal.read(tmp_path).note_done(job, KEY)
    assert Journal.read(tmp_path).is_done(job, KEY)
    Journal.read(tmp_path).note_failed(job, KEY, f"{target}: is no image")
    assert Journal.read(tmp_path).failure(job, KEY)


@pytest.mark.parametrize(
    ("header", "text", "voxels"),
    [
        ("a.hdr", "", "a.img"),
        ("a.mhd", "ElementDataFile = values of it.raw", "it.raw"),
        ("a.nhdr", "data file: ./other.raw.gz", "a.raw.gz"),
    ],
)
def test_the_key_is_of_voxels_in_a_second_file_too(
    tmp_path: Path, header: str, text: str, voxels: str
) -> None:
    (tmp_path / header).write_text(text)
    (tmp_path / voxels).write_bytes(b"some voxels")
    job = Job(Found(header, (tmp_path / header,)), tmp_path / "out")
    key = key_of([job], [])
    (tmp_path / "unrelated.raw").write_bytes(b"more")
    assert key_of([job], []) == key
    (tmp_path / voxels).write_bytes(b"other voxel")
    assert key_of([job], []) != key

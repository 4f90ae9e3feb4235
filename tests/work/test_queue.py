"""The queue keeps every job, gives it to one worker at a time, and each work once."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from diffdenoise.work.queue import LEASE_S, SET_ASIDE, New, Queue, ReusedError, new_id
from diffdenoise.work.queue_table import QueueError, Row


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Queue:
    return Queue(tmp_path / "queue.sqlite", clock)


def new(key: str, **more: str) -> New:
    return replace(New(new_id(), key, f"request of {key}", "scan.nii", 1, 10, "{}"), **more)  # type: ignore[arg-type]


def claimed(queue: Queue, worker: str = "w") -> Row:
    found = queue.claim(worker)
    assert found is not None
    return found


def get(queue: Queue, row: Row) -> Row:
    found = queue.get(row.id)
    assert found is not None
    return found


def test_jobs_are_begun_in_the_order_in_which_they_came(queue: Queue) -> None:
    sent = [queue.put(new(key))[0] for key in "abc"]
    assert queue.positions(queue.page(2)) == {sent[1].id: 1, sent[2].id: 2}
    assert [claimed(queue).id for _ in sent] == [row.id for row in sent]
    assert queue.claim("w") is None
    assert queue.positions(queue.page(9)) == {}


def test_the_same_work_is_in_the_queue_once(queue: Queue) -> None:
    first, is_new = queue.put(new("a"))
    assert is_new
    assert queue.put(new("a")) == (first, False)
    job = claimed(queue)
    assert queue.put(new("a"))[0].id == first.id
    queue.done(job, "attempt-1", None)
    assert queue.put(new("a"))[0].state == "done"
    assert queue.put(new("b"))[1]


@pytest.mark.parametrize("end", ["fail", "cancel", "delete"])
def test_work_that_came_to_nothing_can_be_sent_again(queue: Queue, end: str) -> None:
    first, _ = queue.put(new("a"))
    job = claimed(queue)
    if end == "cancel":
        queue.cancel(first.id)
    elif end == "fail":
        queue.fail(job, "why")
    else:
        queue.done(job, "attempt-1", None)
        queue.delete(first.id)
    again, is_new = queue.put(new("a"))
    assert is_new
    assert again.id != first.id


def test_a_request_of_one_name_is_one_job_whatever_became_of_it(queue: Queue) -> None:
    first, _ = queue.put(new("a", idempotency="mine"))
    queue.cancel(first.id)
    assert queue.put(new("a", idempotency="mine"))[0].id == first.id
    with pytest.raises(ReusedError):
        queue.put(new("b", idempotency="mine"))


def test_only_one_of_many_workers_gets_a_job(queue: Queue) -> None:
    for key in range(20):
        queue.put(new(str(key)))
    start = threading.Barrier(4)

    def work(name: str) -> list[str]:
        start.wait()
        return [row.id for row in iter(lambda: queue.claim(name), None)]

    with ThreadPoolExecutor(4) as pool:
        found = [job_id for each in pool.map(work, "abcd") for job_id in each]
    assert len(found) == len(set(found)) == 20


def test_many_senders_of_one_series_get_one_job(queue: Queue) -> None:
    start = threading.Barrier(4)

    def send(_: int) -> tuple[str, bool]:
        start.wait()
        row, is_new = queue.put(new("a"))
        return row.id, is_new

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(send, range(4)))
    assert len({job_id for job_id, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


def test_a_job_is_taken_up_again_when_its_worker_is_silent_and_not_before(queue: Queue, clock: Clock) -> None:
    queue.put(new("a"))
    job = claimed(queue, "dead")
    clock.now += LEASE_S - 1
    assert queue.claim("other") is None
    clock.now += 2
    again = claimed(queue, "other")
    assert (again.id, again.attempts, again.worker) == (job.id, 2, "other")


def test_signs_of_life_and_progress_keep_a_job(queue: Queue, clock: Clock) -> None:
    queue.put(new("a"))
    job = claimed(queue)
    for number in range(4):
        clock.now += LEASE_S - 1
        assert queue.beat(job) if number % 2 else queue.tell(job, "denoising", number / 4, 9.0)
    assert queue.claim("other") is None
    row = get(queue, job)
    assert (row.stage, row.share, row.seconds_left) == ("denoising", 0.5, 9.0)


def test_a_worker_that_was_thought_dead_changes_nothing(queue: Queue, clock: Clock) -> None:
    queue.put(new("a"))
    old = claimed(queue, "w")
    clock.now += LEASE_S + 1
    mine = claimed(queue, "w")
    assert not queue.beat(old)
    assert not queue.tell(old, "denoising", 0.5, None)
    assert queue.done(old, "attempt-1", None) is None
    assert queue.fail(old, "why") is None
    queue.give_back(old)
    assert get(queue, mine) == mine
    assert queue.done(mine, "attempt-2", "fine") is not None


def test_a_job_that_two_workers_died_of_is_set_aside_with_the_reason(queue: Queue) -> None:
    poison, _ = queue.put(new("poison"))
    good, _ = queue.put(new("good"))
    for worker in ("a", "b"):
        assert claimed(queue, worker).id == poison.id
        queue.release(worker)
    assert claimed(queue, "c").id == good.id
    row = get(queue, poison)
    assert (row.state, row.error) == ("failed", SET_ASIDE)


def test_releasing_one_worker_leaves_others_alone(queue: Queue) -> None:
    queue.put(new("a"))
    claimed(queue, "alive")
    queue.release("dead")
    assert queue.claim("other") is None


def test_a_job_that_is_given_back_was_not_begun(queue: Queue) -> None:
    queue.put(new("a"))
    for _ in range(5):
        queue.give_back(claimed(queue))
    assert claimed(queue).attempts == 1


def test_a_cancelled_job_is_no_workers_any_more(queue: Queue) -> None:
    waits, runs = queue.put(new("b"))[0], None
    runs = claimed(queue)
    assert runs.id == waits.id
    cancelled = queue.cancel(runs.id)
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    assert not queue.beat(runs)
    assert queue.done(runs, "attempt-1", None) is None
    assert queue.cancel(runs.id) is None
    assert queue.claim("other") is None


def test_only_what_has_ended_is_deleted_and_purged_by_age(queue: Queue, clock: Clock) -> None:
    rows = [queue.put(new(key))[0] for key in "abc"]
    assert not queue.delete(rows[0].id)
    queue.cancel(rows[0].id)
    clock.now += 86400
    queue.cancel(rows[1].id)
    assert queue.purge(0.5) == [rows[0].id]
    assert queue.ids() == {rows[1].id, rows[2].id}
    assert queue.delete(rows[1].id)
    assert queue.get(rows[1].id) is None


def test_pages_go_from_new_to_old_without_gaps(queue: Queue) -> None:
    sent = [queue.put(new(str(key)))[0].id for key in range(7)]
    first = queue.page(3)
    second = queue.page(3, first[-1].number)
    third = queue.page(3, second[-1].number)
    assert [row.id for row in (*first, *second, *third)] == sent[::-1]
    queue.cancel(sent[2])
    assert [row.id for row in queue.page(9, state="cancelled")] == [sent[2]]


def test_every_change_is_told_once_and_in_order(queue: Queue) -> None:
    first, second = (queue.put(new(key))[0] for key in "ab")
    seen = queue.changed(0, 10)[-1].revision
    assert queue.changed(seen, 10) == []
    queue.cancel(second.id)
    claimed(queue)
    assert [row.id for row in queue.changed(seen, 10)] == [second.id, first.id]


def test_changes_after_a_deletion_are_told_too(queue: Queue) -> None:
    first, second = (queue.put(new(key))[0] for key in "ab")
    queue.cancel(second.id)
    seen = queue.newest()
    queue.delete(second.id)
    assert queue.newest() == seen
    queue.cancel(first.id)
    third, _ = queue.put(new("c"))
    assert [row.id for row in queue.changed(seen, 10)] == [first.id, third.id]


def test_counts_and_the_longest_wait(queue: Queue, clock: Clock) -> None:
    assert queue.oldest_s() == 0
    for key in "abc":
        queue.put(new(key))
        clock.now += 10
    claimed(queue)
    assert queue.counts() == {"running": 1, "queued": 2}
    assert queue.oldest_s() == 20


def test_hostile_words_are_words(queue: Queue) -> None:
    bad = "'; DROP TABLE jobs; --"
    row, _ = queue.put(new(bad, title=bad, idempotency=bad))
    assert get(queue, row).title == bad
    assert queue.get(bad) is None
    assert queue.cancel("' OR '1'='1") is None
    assert queue.counts() == {"queued": 1}


def test_a_queue_that_is_locked_for_long_is_an_error_of_ours(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffdenoise.work.queue_table._BUSY_S", 0.01)
    holder = sqlite3.connect(queue.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(QueueError, match="try again"):
        queue.put(new("a"))
    holder.execute("ROLLBACK")
    assert queue.put(new("a"))[1]

"""Workers are processes, and are killed at any moment: nothing is lost, and nothing done twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from diffdenoise.work.queue import SET_ASIDE, Queue
from diffdenoise.work.queue_table import Row
from diffdenoise.work.spool import Spool, read_manifest
from diffdenoise.work.wish import Wish
from tests.work.queue_process import send, start_worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
PATIENCE_S = 240.0


class Shop:
    """A data folder, its queue, and workers that end with the test."""

    def __init__(self, data: Path) -> None:
        self.spool = Spool(data)
        self.queue = Queue(self.spool.queue, lease_s=5)
        self.workers: list[subprocess.Popen[bytes]] = []

    def hire(
        self, name: str, module: str = "", function: str = "", when: str = ""
    ) -> subprocess.Popen[bytes]:
        worker = start_worker(self.spool.data, name, (module, function, when))
        self.workers.append(worker)
        return worker

    def dies(self, worker: subprocess.Popen[bytes], name: str) -> None:
        """Wait for the death of a worker, and notice it as a server does."""
        assert worker.wait(PATIENCE_S) == -signal.SIGKILL, self.log()
        self.queue.release(name)

    def row(self, job_id: str) -> Row:
        found = self.queue.get(job_id)
        assert found is not None
        return found

    def until(self, is_so: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end, self.log()
            time.sleep(0.05)

    def values(self, row: Row) -> np.ndarray:
        assert row.place is not None
        return np.load(self.spool.folder(row.id) / row.place / "result" / row.title)

    def log(self) -> str:
        return (self.spool.data / "log").read_text()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "data")
    yield made
    for worker in made.workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


def test_results_are_there_whole_with_their_manifest_and_progress(shop: Shop) -> None:
    job = send(shop.spool, shop.queue, wish=Wish(report=True))
    shop.hire("w")
    shop.until(lambda: shop.row(job.id).is_ended)
    row = shop.row(job.id)
    assert (row.state, row.share, row.attempts) == ("done", 1, 1), row.error
    assert row.place is not None
    folder = shop.spool.folder(job.id) / row.place
    manifest = read_manifest(folder)
    assert list(manifest.result) == ["scan.npy"]
    assert list(manifest.residual) == ["scan.npy"]
    assert "scan.html" in manifest.report
    assert manifest.verdict == row.verdict is not None
    noisy = np.load(shop.spool.folder(job.id) / "in" / "scan.npy")
    residual = np.load(folder / "residual" / "scan.npy")
    # Rounded to the scan's whole numbers.
    assert np.abs(noisy - residual - shop.values(row)).max() <= 0.51
    assert residual.std() > 10


@pytest.mark.parametrize(
    ("module", "function", "when"),
    [
        ("diffdenoise.work.queued", "_carry_out", "before"),
        ("diffdenoise.work.queue_worker", "Teller.advance", "before"),
        ("diffdenoise.work.batch", "Batch.write", "after"),
        ("diffdenoise.work.queued", "write_manifest", "before"),
        ("diffdenoise.work.queued", "write_manifest", "after"),
    ],
)
def test_a_job_whose_worker_is_killed_is_done_by_the_next_as_if_nothing_had_been(
    shop: Shop, module: str, function: str, when: str
) -> None:
    job = send(shop.spool, shop.queue)
    shop.dies(shop.hire("first", module, function, when), "first")
    assert shop.row(job.id).state == "running"
    shop.hire("second")
    shop.until(lambda: shop.row(job.id).is_ended)
    row = shop.row(job.id)
    assert (row.state, row.attempts) == ("done", 2), row.error
    # What the first finished is taken; else it is made anew, and only one is handed out.
    assert row.place == ("attempt-1" if (function, when) == ("write_manifest", "after") else "attempt-2")
    other = send(shop.spool, shop.queue, "other.npy")
    shop.until(lambda: shop.row(other.id).is_ended)
    assert np.array_equal(shop.values(row), shop.values(shop.row(other.id)))


def test_a_worker_that_is_killed_once_it_is_done_has_done_it(shop: Shop) -> None:
    job = send(shop.spool, shop.queue)
    shop.dies(shop.hire("first", "diffdenoise.work.queue", "Queue.done", "after"), "first")
    assert (shop.row(job.id).state, shop.row(job.id).attempts) == ("done", 1)
    assert shop.queue.claim("second") is None


def test_a_job_that_kills_two_workers_is_set_aside_and_the_next_is_done(shop: Shop) -> None:
    poison, good = send(shop.spool, shop.queue), send(shop.spool, shop.queue, "good.npy", 1)
    for name in ("first", "second"):
        shop.dies(shop.hire(name, "diffdenoise.work.queued", "_carry_out", "always-before"), name)
    shop.hire("third")
    shop.until(lambda: shop.row(good.id).is_ended)
    assert shop.row(good.id).state == "done"
    assert (shop.row(poison.id).state, shop.row(poison.id).error) == ("failed", SET_ASIDE)


def test_the_job_of_a_worker_that_nobody_saw_die_is_taken_up_when_its_lease_ends(shop: Shop) -> None:
    job = send(shop.spool, shop.queue)
    module = ("diffdenoise.work.queued", "_carry_out", "before")
    first = start_worker(shop.spool.data, "first", module, lease_s=3)
    shop.workers.append(first)
    assert first.wait(PATIENCE_S) == -signal.SIGKILL
    shop.hire("second")
    shop.until(lambda: shop.row(job.id).is_ended)
    assert (shop.row(job.id).state, shop.row(job.id).attempts) == ("done", 2)


def long_job(shop: Shop) -> Row:
    """A job that learns for minutes, once it has begun to."""
    job = send(shop.spool, shop.queue, wish=Wish(minutes=5, report=False))
    shop.until(lambda: "stage" in shop.row(job.id).stage)
    return job


def test_a_job_that_is_cancelled_is_left_and_the_worker_goes_on(shop: Shop) -> None:
    shop.hire("w")
    job = long_job(shop)
    shop.queue.cancel(job.id)
    other = send(shop.spool, shop.queue, "other.npy", 1)
    shop.until(lambda: shop.row(other.id).is_ended)
    assert shop.row(other.id).state == "done"
    assert shop.row(job.id).state == "cancelled"
    assert not list(shop.spool.folder(job.id).glob("attempt-*"))


def test_a_worker_that_is_told_to_end_gives_its_job_back(shop: Shop) -> None:
    worker = shop.hire("w")
    job = long_job(shop)
    worker.terminate()
    assert worker.wait(PATIENCE_S) == 0
    row = shop.row(job.id)
    assert (row.state, row.attempts, row.worker) == ("queued", 0, None)


def test_what_cannot_be_read_fails_with_a_reason_that_says_nothing_of_this_machine(shop: Shop) -> None:
    job = send(shop.spool, shop.queue, "DOE^JOHN.nii.gz")
    shop.hire("w")
    shop.until(lambda: shop.row(job.id).is_ended)
    row = shop.row(job.id)
    assert row.state == "failed"
    assert row.error is not None
    assert row.error.startswith("DOE^JOHN.nii.gz: ")
    assert str(shop.spool.data) not in row.error
    assert not list(shop.spool.folder(job.id).glob("attempt-*"))
    # Names are for whoever sent them, not for logs.
    assert "DOE" not in shop.log()
    assert all(json.loads(line)["event"] for line in shop.log().splitlines())

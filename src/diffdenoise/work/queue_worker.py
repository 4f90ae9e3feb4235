"""A process that takes jobs off the queue: `python -m diffdenoise.work.queue_worker DATA --name NAME`."""

from __future__ import annotations

import _thread
import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from diffdenoise.errors import DiffDenoiseError
from diffdenoise.types import Quiet
from diffdenoise.work.logged import log, place_of
from diffdenoise.work.order import Machine
from diffdenoise.work.queue import LEASE_S, Queue
from diffdenoise.work.queue_table import QueueError, Row
from diffdenoise.work.queued import Cleaned, denoise_job
from diffdenoise.work.spool import Spool

#: Seconds between looks at an empty queue, between signs of life, and between words on progress.
_LOOK_S, _BEAT_S, _TELL_S = 0.25, 2.0, 0.5
#: Seconds without a job after which a worker that has worked ends, and gives back the memory that it took.
_REST_S = 60.0


class Stopped(BaseException):
    """The job in hand is not to be gone on with; no handler of errors is to take it for one."""


class Teller(Quiet):
    """A `Progress` that is written into the queue."""

    def __init__(self, queue: Queue, job: Row, now: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._job, self._now = queue, job, now
        self._stage, self._last = "reading", 0.0
        self._whole: tuple[float, float] | None = None

    def start(self, stage: str) -> None:
        """Write down the stage."""
        self._stage, self._last = stage, 0.0
        self._tell(None, None)

    def overall(self, spent_s: float, total_s: float) -> None:
        """Remember how far the whole is."""
        self._whole = (spent_s, total_s)

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Write down how far it is, now and then."""
        share = step / total if total else None
        if self._whole is not None and self._whole[1] > 0:
            share, seconds_left = self._whole[0] / self._whole[1], max(0.0, self._whole[1] - self._whole[0])
        self._tell(share, seconds_left)

    def finish(self) -> None:
        """After the slices come the report and files."""
        self._stage, self._last = "looking at the result", 0.0
        self._tell(None, None)

    def _tell(self, share: float | None, seconds_left: float | None) -> None:
        if self._now() - self._last < _TELL_S:
            return
        self._last = self._now()
        try:
            kept = self._queue.tell(
                self._job, self._stage, None if share is None else min(share, 1), seconds_left
            )
        except QueueError:
            return
        if not kept:
            raise Stopped


class Worker:
    """Takes jobs until it is told to stop, or its server is gone.

    Parameters
    ----------
    spool : Spool
        Folders of the jobs.
    name : str
        By which the queue knows it.
    threads : int or None
        CPU threads.
    lease_s : float
        Seconds that it may be silent for.
    """

    def __init__(self, spool: Spool, name: str, threads: int | None = None, lease_s: float = LEASE_S) -> None:
        self._spool, self._name = spool, name
        self._queue = Queue(spool.queue, lease_s=lease_s)
        self._machine = Machine("auto", threads)
        self._parent = os.getppid()
        self._armed = self._is_told = False

    def run(self) -> None:
        """Work; returns when there is nothing more to do for this process."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        has_worked, rested = False, time.monotonic()
        while not self._is_told and os.getppid() == self._parent:
            try:
                job = self._queue.claim(self._name)
            except QueueError:
                job = None
            if job is not None:
                self.take(job)
                has_worked, rested = True, time.monotonic()
            elif has_worked and time.monotonic() - rested > _REST_S:
                return
            else:
                time.sleep(_LOOK_S)

    def take(self, job: Row) -> None:
        """Do a job, whatever comes of it."""
        began = time.monotonic()
        log("job begun", job=job.id, attempt=job.attempts)
        try:
            state, why = self._outcome(job), None
        except Stopped:
            state, why = "left", None
            if self._is_told:
                self._queue.give_back(job)
        except QueueError as error:
            # Without the queue nobody can be told; when the lease has ended, another takes it up.
            state, why = "left", place_of(error)
        if state == "left":
            Cleaned(self._spool, job).remove()
        log("job ended", job=job.id, state=state, error=why, seconds=round(time.monotonic() - began, 3))

    def _outcome(self, job: Row) -> str:
        """Return what became of a job."""
        try:
            with self._beating(job):
                place, verdict = denoise_job(self._spool, job, self._machine, Teller(self._queue, job))
        except DiffDenoiseError as error:
            if isinstance(error, QueueError):
                raise
            return self._failed(job, str(error))
        except MemoryError:
            return self._failed(job, "there is not enough memory for it; send a smaller scan")
        except Exception as error:
            log("internal error", job=job.id, error=place_of(error))
            return self._failed(job, f"internal error: {type(error).__name__}; report it with this job's id")
        return "left" if self._queue.done(job, place, verdict) is None else "done"

    def _failed(self, job: Row, reason: str) -> str:
        cleaned = Cleaned(self._spool, job)
        cleaned.remove()
        return "left" if self._queue.fail(job, cleaned.message(reason)) is None else "failed"

    @contextmanager
    def _beating(self, job: Row) -> Iterator[None]:
        """Say meanwhile that the job is in hand; the block is left when it is no longer this worker's."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(min(_BEAT_S, self._queue.lease_s / 6)):
                try:
                    kept = self._queue.beat(job)
                except QueueError:
                    continue
                if not kept:
                    _thread.interrupt_main()
                    return

        thread = threading.Thread(target=beat, daemon=True)
        self._armed = True
        thread.start()
        try:
            yield
        finally:
            self._armed = False
            ended.set()
            thread.join()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Leave the job in hand; on SIGTERM, the loop too."""
        self._is_told = self._is_told or number == signal.SIGTERM
        if self._armed:
            self._armed = False
            raise Stopped


def main(words: list[str] | None = None) -> None:
    """Run a worker."""
    parser = argparse.ArgumentParser(description="take jobs off a queue")
    parser.add_argument("data", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--lease", type=float, default=LEASE_S)
    given = parser.parse_args(words)
    try:
        Worker(Spool(given.data), given.name, given.threads, given.lease).run()
    except (DiffDenoiseError, OSError) as error:
        log("worker ended", error=place_of(error))
        sys.exit(1)


if __name__ == "__main__":
    main()

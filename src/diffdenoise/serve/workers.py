"""The worker processes of a server: as many as were asked for, whatever becomes of them."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time

from diffdenoise.errors import DiffDenoiseError
from diffdenoise.work.logged import log
from diffdenoise.work.queue import Queue
from diffdenoise.work.spool import Spool

#: Seconds between looks; before a worker that died is replaced, at first and at most; that it may take to
#: leave its job.
_LOOK_S, _PAUSE_S, _MOST_PAUSE_S, _LEAVE_S = 0.25, 1.0, 60.0, 15.0
#: Seconds after which a worker didn't die at once.
_LIVED_S = 30.0


class Workers:
    """Starts workers, and others in place of those that end.

    Parameters
    ----------
    spool : Spool
        Folders of the jobs.
    count : int
        How many.
    threads : int
        CPU threads of each.
    """

    def __init__(self, spool: Spool, count: int, threads: int) -> None:
        self._spool, self._count, self._threads = spool, count, threads
        self._queue = Queue(spool.queue)
        self._running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._ended = threading.Event()
        self._pause_s, self._again_at = _PAUSE_S, 0.0
        self._thread = threading.Thread(target=self._watch, name="workers", daemon=True)

    def start(self) -> None:
        """Start them."""
        for _ in range(self._count):
            self._hire()
        self._thread.start()

    def alive(self) -> int:
        """How many run."""
        return sum(process.poll() is None for process, _ in list(self._running.values()))

    def pids(self) -> list[int]:
        """Their processes."""
        return [process.pid for process, _ in list(self._running.values())]

    def stop(self) -> None:
        """Have all put their jobs back, and end."""
        self._ended.set()
        self._thread.join()
        for process, _ in self._running.values():
            process.terminate()
        end = time.monotonic() + _LEAVE_S
        for name, (process, _) in self._running.items():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._release(name)

    def _hire(self) -> None:
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        words = [sys.executable, "-m", "diffdenoise.work.queue_worker", str(self._spool.data)]
        words += ["--name", name, "--threads", str(self._threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads)}
        # In a session of its own: Ctrl-C at the terminal is the server's, which tells them in its own way.
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
        self._running[name] = (process, time.monotonic())

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for name, (process, began) in list(self._running.items()):
                code = process.poll()
                if code is None:
                    continue
                self._release(name)
                del self._running[name]
                if code != 0:
                    log("worker died", code=code)
                    lived = time.monotonic() - began > _LIVED_S
                    self._pause_s = _PAUSE_S if lived else min(2 * self._pause_s, _MOST_PAUSE_S)
                    self._again_at = time.monotonic() + self._pause_s
            while len(self._running) < self._count and time.monotonic() >= self._again_at:
                self._hire()

    def _release(self, name: str) -> None:
        """Let the job of a worker that ended be another's at once."""
        try:
            self._queue.release(name)
        except DiffDenoiseError:
            # Its lease ends by itself.
            log("worker's job could not be released")

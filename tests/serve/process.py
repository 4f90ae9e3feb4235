"""The command `diffdenoise serve` as a process, as users start it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from diffdenoise.serve.client import Client
from tests.work.queue_process import ENVIRONMENT

PATIENCE_S = 240.0


class Server:
    """A server on a free port, and what it says."""

    def __init__(self, data: Path, *words: str, workers: int = 1, token: str | None = None) -> None:
        command = [sys.executable, "-m", "diffdenoise", "serve", "--data", str(data), "--port", "0"]
        command += ["--workers", str(workers), "--threads", "1", *words]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT, text=True
        )
        self.lines: list[str] = []
        self._address = threading.Event()
        self.address = ""
        threading.Thread(target=self._read, daemon=True).start()
        if not self._address.wait(PATIENCE_S) or not self.address:
            raise AssertionError(f"the server does not start: {''.join(self.lines)}")
        self.client = Client(self.address, token)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.match(r"serving at (\S+)", line):
                self.address = found[1]
                self._address.set()
        self._address.set()

    def workers(self) -> list[int]:
        """Processes of its workers."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [pid for pid in map(int, text.split()) if b"queue_worker" in _words(pid)]

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in order; return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def until(is_so: object) -> None:
    """Wait until a call gives something."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():  # type: ignore[operator]
        if time.monotonic() > end:
            raise AssertionError("it never was so")
        time.sleep(0.05)

"""Which process something belongs to, and whether that one still runs.

A process number alone says little: numbers are given out again, and other computers that share a folder have
the same ones. So a process is known by its computer, its number and the moment it started.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

#: What can be told of a process: a process of another computer can't be looked for.
State: TypeAlias = Literal["running", "gone", "elsewhere"]

#: Clocks are set while processes run, so that the same start can be read a little differently.
_SAME_START_S = 5.0
#: Name of the first process namespace of a Linux kernel (PROC_PID_INIT_INO in proc_ns.h).
_FIRST_NAMESPACE = "pid:[4026531836]"


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes
    ----------
    host : str
        Its computer's name; in a container, with the container's processes.
    pid : int
        Its number.
    started : str
        When it started, as the system tells it: where it can, independent of the clock.
    """

    host: str
    pid: int
    started: str

    @property
    def state(self) -> State:
        """Whether the process runs, as far as can be told from here."""
        here = this_process()
        if self.host != here.host:
            return "elsewhere"
        now = _started(self.pid)
        return "running" if now is not None and _same(now, self.started) else "gone"

    def tag(self) -> str:
        """Short text for file names, by which `of_tag` knows the process again."""
        return f"{_digest(self.host)}-{self.pid:x}-{_digest(self.started)}"


def this_process() -> Owner:
    """Return the process that asks."""
    pid = os.getpid()
    return Owner(_host(), pid, _started(pid) or "")


def state_of_tag(tag: str) -> State:
    """Whether the process of an `Owner.tag` runs, as far as can be told from here."""
    host, number, started = tag.split("-")
    if host != _digest(_host()):
        return "elsewhere"
    now = _started(int(number, 16))
    if now is None:
        return "gone"
    # The digest of a clock's time can differ by a rounding: with the same number, it is left in peace.
    return "running" if _digest(now) == started or not now.startswith("boot") else "gone"


@functools.cache
def _host() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (no file, but a name)
    except OSError:
        namespace = _FIRST_NAMESPACE
    name = platform.node() or "unknown"
    return name if namespace == _FIRST_NAMESPACE else f"{name} {namespace}"


def _started(pid: int) -> str | None:
    """When a process started; None if it doesn't run."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        return _started_elsewhere(pid)
    # The name, in brackets, may hold anything; state and start are fields 1 and 20 after it (proc(5)).
    fields = text.rpartition(")")[2].split()
    # A zombie has ended; only its parent doesn't know yet.
    return None if fields[0] in ("Z", "X") else f"boot {boot} {fields[19]}"


def _started_elsewhere(pid: int) -> str | None:
    """As `_started`, on systems without /proc."""
    import psutil

    try:
        return f"clock {psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None


def _same(one: str, other: str) -> bool:
    if one.startswith("clock ") and other.startswith("clock "):
        try:
            return abs(float(one[6:]) - float(other[6:])) <= _SAME_START_S
        except ValueError:
            return False
    return one == other


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

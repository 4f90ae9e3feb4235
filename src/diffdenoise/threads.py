"""How many CPU threads to compute with."""

from __future__ import annotations

import os

from diffdenoise.errors import DeviceError


def check_threads(threads: int) -> None:
    """Raise an error for more threads than cores: these only wait for each other, or can't be made at all."""
    if threads < 1:
        raise DeviceError(f"threads {threads}: expected 1 or more")
    cores = os.cpu_count()
    if cores is not None and threads > cores:
        plural = "s" if cores > 1 else ""
        raise DeviceError(f"threads {threads}: this machine has {cores} core{plural}; expected 1 to {cores}")


def usual_threads() -> int:
    """Return the threads to take where none are asked for: OMP_NUM_THREADS, or one for each core."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(given), cores) if given.isdecimal() and int(given) else cores

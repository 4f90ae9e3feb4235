"""A worker in a process of its own, which may be made to kill itself at a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffdenoise.work.queue import New, Queue, new_id
from diffdenoise.work.queue_table import Row
from diffdenoise.work.spool import Spool, content_key
from diffdenoise.work.wish import Wish
from tests.conftest import make_volume

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
#: Kills the process at the nth call of a function, until a file says that it has been.
_SCRIPT = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
module, name, when, told, *words = sys.argv[1:]
if module:
    place = import_module(module)
    *owner, name = name.split(".")
    for each in owner:
        place = getattr(place, each)
    real = getattr(place, name)

    def dies(*given, **named):
        before = len(Path(told).read_text()) if Path(told).exists() else 0
        if when == "after" or when == "always-after":
            real(*given, **named)
        if before < 1 or when.startswith("always"):
            Path(told).write_text("x" * (before + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)

    setattr(place, name, dies)
from diffdenoise.work.queue_worker import main
main(words)
"""


def start_worker(
    data: Path, name: str, dies: Sequence[str] = ("", "", ""), lease_s: float = 30.0
) -> subprocess.Popen[bytes]:
    """Start one; `dies` names a module, a function in it, and "before", "after" or "always-before" it."""
    words = [sys.executable, "-c", _SCRIPT, *dies, str(data / "told"), str(data), "--name", name]
    return subprocess.Popen(
        [*words, "--threads", "1", "--lease", str(lease_s)], env=ENVIRONMENT, stderr=(data / "log").open("ab")
    )


def send(spool: Spool, queue: Queue, name: str = "scan.npy", seed: int = 0, wish: Wish | None = None) -> Row:
    """Put a small scan into the queue."""
    wish = wish or Wish(report=False)
    made = new_id()
    place = spool.incoming / made / "in" / name
    place.parent.mkdir(parents=True)
    np.save(place.with_suffix(".npy"), make_volume((40, 36, 5), seed=seed))
    place.with_suffix(".npy").rename(place)
    spool.accept(made)
    content = content_key([(name, f"{seed}")])
    new = New(made, wish.key(content, spool.models), wish.request(content), name, 1, 10, wish.as_json())
    return queue.put(new)[0]

"""Lines of JSON on standard error, one an event: numbers, kinds of errors, names that say nothing."""

from __future__ import annotations

import json
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path


def log(event: str, **facts: str | float | None) -> None:
    """Write a line.

    Parameters
    ----------
    event : str
        What happened, in a word or two.
    **facts : str or float
        No file names, and nothing that somebody sent.
    """
    told: dict[str, str | float] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event,
    }
    told |= {name: value for name, value in facts.items() if value is not None}
    sys.stderr.write(json.dumps(told) + "\n")
    sys.stderr.flush()


def place_of(error: BaseException) -> str:
    """Return an error's kind, and where in the code it came from: its text may quote a patient's data."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"

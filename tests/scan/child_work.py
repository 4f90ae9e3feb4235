"""What decoders do on bad days; run in another process by test_child.py."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise.errors import ShapeError
from diffdenoise.scan.worker import IDLE


def work(facts: dict[str, Any], payload: bytearray) -> tuple[dict[str, Any], Any]:  # noqa: C901 (a table)
    """Do what is asked for, and return this process's number."""
    match facts["what"]:
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(facts["code"])
        case "idle once" if not Path(facts["mark"]).exists():
            Path(facts["mark"]).touch()
            os._exit(IDLE)
        case "sleep":
            time.sleep(100)
        case "compute":
            pow(3, 10**9)  # holds Python's lock all the time, as decoders do
        case "memory":
            return {"bytes": np.zeros(2**26).nbytes}, None
        case "print":
            print("words on standard output")
            os.write(1, b"and behind Python's back")
        case "ours":
            raise ShapeError("a: has no shape")
        case "other":
            raise KeyError("patient's name")
        case "array":
            return {"process": os.getpid()}, np.frombuffer(payload, np.int16).reshape(2, -1)[:, ::-1]
    return {"process": os.getpid()}, None

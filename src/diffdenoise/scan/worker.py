"""The other end of `child.py`: a process that decodes what it is sent, and may die of it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

from diffdenoise.errors import DiffDenoiseError

#: Bytes of the number that says how long the JSON after it is.
LENGTH_BYTES = 8
#: Seconds without work after which the process ends by itself, with this exit code.
_IDLE_S, IDLE = 20.0, 64


def serve() -> None:
    """Answer requests until the parent closes the pipe."""
    source: Any = sys.stdin.buffer
    # Whatever C code prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    _behave()
    _send(answers, {"ready": True})
    while True:
        timer = threading.Timer(_IDLE_S, os._exit, [IDLE])
        timer.daemon = True
        timer.start()
        first = source.read(LENGTH_BYTES)
        timer.cancel()
        if len(first) < LENGTH_BYTES:
            return
        request = json.loads(source.read(int.from_bytes(first, "little")))
        payload = bytearray(request["payload"])
        if source.readinto(payload) < len(payload):
            return
        _answer(answers, request, payload)


def _behave() -> None:
    """Ctrl-C is the parent's to handle; no core file with a patient's pixels; no dialogue on Windows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.SetErrorMode(msvcrt.SEM_FAILCRITICALERRORS | msvcrt.SEM_NOGPFAULTERRORBOX)
    else:
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(answers: BinaryIO, request: Any, payload: bytearray) -> None:
    """Run one function, and send what it gives or what went wrong."""
    module, _, name = request["function"].partition(":")
    try:
        # Imports first: they need memory that has nothing to do with the file.
        work = getattr(importlib.import_module(module), name)
        _limit_memory(request["memory"])
        _limit_time(request["seconds"])
        # The parent may have gone elsewhere since it started this process.
        if request["folder"] is not None:
            os.chdir(request["folder"])
        facts, array = work(request["facts"], payload)
        content = None if array is None else np.ascontiguousarray(array)
    except DiffDenoiseError as error:
        _send(answers, {"error": type(error).__name__, "text": str(error)})
    except MemoryError:
        _send(answers, {"error": "MemoryError", "text": ""})
    except Exception as error:  # libraries raise all sorts on damaged files
        _send(answers, {"error": "", "text": str(error)[:500]})
    else:
        described: dict[str, Any] = {"facts": facts}
        if content is not None:
            described |= {"dtype": content.dtype.str, "shape": content.shape}
        _send(answers, described)
        if content is not None and content.nbytes:
            answers.write(memoryview(content.reshape(-1).view(np.uint8).data))
            answers.flush()
    finally:
        _limit_time(0)
        _limit_memory(None)


def _send(answers: BinaryIO, described: dict[str, Any]) -> None:
    text = json.dumps(described).encode()
    answers.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
    answers.flush()


def _limit_time(seconds: float) -> None:
    """Let the system end this process after some seconds of computing; 0: never.

    Seconds of the clock would go by how busy the machine is, and need the parent to be alive.
    """
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(most: int | None) -> None:
    """Let this process take `most` bytes more than it has; as much as it likes, if None.

    Where the system has no such limit (Windows) or doesn't keep to it (macOS), nothing is limited.
    """
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = hard
        if most is not None:
            with open("/proc/self/statm") as pages:  # noqa: PTH123 (Path holds more memory for a moment)
                soft = int(pages.read().split()[0]) * resource.getpagesize() + most
            soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

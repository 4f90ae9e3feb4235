"""Decode files in another process, which may die, hang or exhaust its memory without harm to this one.

One process is kept for the next file, so that a series of hundreds is not slow; it ends by itself when there
is nothing to do. Nothing is pickled: facts go and come as JSON, voxels as they lie in memory.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from diffdenoise import errors
from diffdenoise.errors import DiffDenoiseError, FormatError, InputError
from diffdenoise.scan.limits import MEMORY_SETTING, TIME_SETTING, decoder_memory, decoder_seconds
from diffdenoise.scan.worker import IDLE, LENGTH_BYTES
from diffdenoise.types import Array

#: Seconds that the process may take to start, on a machine that is busy.
_START_S = 120.0
#: How much longer than the process may compute it may take by the clock.
_BUSY = 4.0
#: Exit code of a process that computed for too long.
_TOO_LONG = -int(getattr(signal, "SIGPROF", 0)) or None
#: No answer but the voxels is longer.
_MOST_JSON_BYTES = 2**24
#: A process that held more bytes of voxels ends, so that its memory is free again.
_KEPT_BYTES = 64 * 2**20
#: With the module's search path of this process: the current folder isn't one of it unless it is here.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from diffdenoise.scan import worker; worker.serve()"
)
#: One thread: several would each take address space, which is what is limited.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_ENVIRONMENT["MALLOC_ARENA_MAX"] = "1"


class UndecodableError(Exception):
    """A library in the other process raised an error of its own; its words aren't for the user."""


class _DiedError(Exception):
    """The process ended, with this exit code, before it answered."""


def run_in_child(
    function: str,
    facts: Mapping[str, Any],
    payload: bytes | memoryview = b"",
    *,
    name: str,
    stated: int,
    held: int | None = None,
) -> tuple[dict[str, Any], Array | None]:
    """Run a function of this package in another process.

    Parameters
    ----------
    function : str
        "module:name" of a function that takes facts and payload, and returns facts and an array or None.
    facts : mapping
        JSON.
    payload : bytes
        What is to be decoded, unless the function opens it.
    name : str
        Of the file, for messages.
    stated : int
        Bytes of voxels that the header states; they set the limits of memory and, with `held`, time.
    held : int, optional
        Bytes that are to be decoded: of the file, if they aren't those of the payload.

    Returns
    -------
    facts : dict
    array : array or None
        Of `stated` bytes at the most, give or take what every answer may have.

    Raises
    ------
    DiffDenoiseError
        That the function raised; `FormatError` if the process died, or passed one of its limits.
    UndecodableError
        If the function raised anything else.
    """
    request: dict[str, Any] = {"function": function, "facts": dict(facts), "payload": len(payload)}
    request["memory"], request["folder"] = decoder_memory(stated), _folder()
    request["seconds"] = seconds = decoder_seconds(stated, len(payload) if held is None else held)
    with _LOCK:
        try:
            try:
                answer = _child().ask(request, payload, _BUSY * seconds, stated)
            except _DiedError as died:
                if died.args[0] == _TOO_LONG:
                    raise TimeoutError from None
                # It had nothing to do for so long that it was just about to end.
                if died.args[0] != IDLE:
                    raise
                answer = _child().ask(request, payload, _BUSY * seconds, stated)
        except _DiedError:
            _end()
            raise FormatError(
                f"{name}: is damaged: decoding it brought its decoder down; get a complete copy"
            ) from None
        except TimeoutError:
            _end()
            raise FormatError(
                f"{name}: takes over {seconds:.1f} s to decode; it may be damaged; if you trust it, set "
                f"{TIME_SETTING} to more seconds"
            ) from None
        except BaseException:
            # Ctrl-C, say: what is still on its way belongs to no later request.
            _end()
            raise
        if stated > _KEPT_BYTES:
            _end()
    described, array = answer
    _raise_error(described, name, request["memory"])
    return described["facts"], array


def _folder() -> str | None:
    """The current folder, which names of files may be relative to; None if it is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _raise_error(described: dict[str, Any], name: str, memory: int) -> None:
    """Raise the error that an answer holds, if it holds one."""
    if "error" not in described:
        return
    kind, text = str(described["error"]), str(described.get("text", ""))
    known = getattr(errors, kind, None) if kind else None
    if isinstance(known, type) and issubclass(known, DiffDenoiseError):
        raise known(text)
    if kind == "MemoryError":
        raise FormatError(
            f"{name}: needs more than the {memory:,} bytes of memory that fit the size its header states; it "
            f"may be damaged; if you trust it, set {MEMORY_SETTING} to the GiB that it may take"
        )
    raise UndecodableError(text)


class _Child:
    """The process and the two pipes to it."""

    def __init__(self) -> None:
        if not sys.executable:
            raise InputError("no Python is known that could decode compressed files; convert them first")
        self.owner = os.getpid()
        self._process = subprocess.Popen(  # noqa: S603
            # -P: without the current folder in its search path.
            [sys.executable, "-P", "-c", _CODE, json.dumps([str(place) for place in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._watched(_START_S, lambda: self._read_json(), ())

    def is_alive(self) -> bool:
        return self.owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """Kill it; it holds nothing that isn't here."""
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def ask(
        self, request: dict[str, Any], payload: bytes | memoryview, seconds: float, stated: int
    ) -> tuple[dict[str, Any], Array | None]:
        """Send a request and return the answer; `_DiedError` or `TimeoutError` if there is none."""
        answer: tuple[dict[str, Any], Array | None] = self._watched(
            seconds, self._exchange, (request, payload, stated)
        )
        return answer

    def _watched(self, seconds: float, work: Any, given: tuple[Any, ...]) -> Any:
        """Do something with the pipes; the process is killed when it takes too long."""
        late = threading.Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            return work(*given)
        except (OSError, EOFError, ValueError):
            if late.is_set():
                raise TimeoutError from None
            self._process.kill()
            raise _DiedError(self._process.wait()) from None
        finally:
            timer.cancel()

    def _exchange(
        self, request: dict[str, Any], payload: bytes | memoryview, stated: int
    ) -> tuple[dict[str, Any], Array | None]:
        pipe: Any = self._process.stdin
        text = json.dumps(request).encode()
        pipe.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        pipe.write(payload)
        pipe.flush()
        described = self._read_json()
        if "dtype" not in described:
            return described, None
        dtype, shape = np.dtype(str(described["dtype"])), tuple(int(size) for size in described["shape"])
        count = 1
        for size in shape:
            count *= max(0, size)
        if dtype.kind not in "biufc" or count * dtype.itemsize > max(stated, 0):
            raise ValueError("more than was asked for")
        array = np.empty(count, dtype)
        self._fill(memoryview(array.view(np.uint8).data))
        return described, array.reshape(shape)

    def _read_json(self) -> dict[str, Any]:
        first = bytearray(LENGTH_BYTES)
        self._fill(memoryview(first))
        length = int.from_bytes(first, "little")
        if length > _MOST_JSON_BYTES:
            raise ValueError("an answer that is too long")
        text = bytearray(length)
        self._fill(memoryview(text))
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("an answer of another kind")
        return found

    def _fill(self, view: memoryview) -> None:
        pipe: Any = self._process.stdout
        filled = 0
        while filled < len(view):
            more = pipe.readinto(view[filled:])
            if not more:
                raise EOFError
            filled += more


_LOCK = threading.RLock()
_kept: list[_Child] = []


def _child() -> _Child:
    """The process that is kept; a new one if there is none, or it ended, or it is of another process."""
    if _kept and not _kept[0].is_alive():
        _end()
    if not _kept:
        _kept.append(_Child())
    return _kept[0]


@atexit.register
def _end() -> None:
    """End the process, if there is one."""
    while _kept:
        _kept.pop().end()

"""A file that says which process uses something, so that no second one does.

Made with O_EXCL, which every system has and which works on network drives, and with no lock of the operating
system. What a dead process left is recognised by its identity and taken over.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from diffdenoise.errors import OutputError
from diffdenoise.owner import Owner, this_process
from diffdenoise.plain_files import NotPlainError, parse_json, read_plain

#: In a run's work folder: who uses it, and the state of the run.
WORK_LOCK, WORK_STATE = "lock.json", "state.json"
#: Seconds in which a process has surely written its name into the file that it made.
_WRITTEN_S = 2.0
_MOST_BYTES = 4096


def owner_of(path: Path) -> Owner | None:
    """Return whose a lock file is; None if that can't be read.

    Raises
    ------
    FileNotFoundError
        If there is no lock file.
    """
    try:
        tree = parse_json(read_plain(path, _MOST_BYTES))
        return Owner(str(tree["host"]), int(tree["pid"]), str(tree["started"]))
    except FileNotFoundError:
        raise
    except (OSError, NotPlainError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def locked(path: Path, what: Path) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Parameters
    ----------
    path : path
        The lock file, in a folder that exists.
    what : path
        What it stands for, in messages.

    Raises
    ------
    OutputError
        If another running process holds it, or the file can't be made.
    """
    me = this_process()
    take(path, what, me)
    try:
        yield
    finally:
        release(path, me)


def take(path: Path, what: Path, me: Owner) -> None:
    """Make a lock file, in place of one that a dead process left; see `locked`."""
    began = time.monotonic()
    content = json.dumps(asdict(me)).encode()
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o644)
        except FileExistsError:
            pass
        except OSError as error:
            raise OutputError(
                f"{what}: cannot be written ({error.strerror}); choose another place"
            ) from error
        else:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            return
        try:
            owner = owner_of(path)
        except FileNotFoundError:
            continue
        if owner is None and time.monotonic() - began < _WRITTEN_S:
            # Perhaps its process is about to write its name.
            time.sleep(0.05)
            continue
        _refuse_unless_gone(owner, path, what)
        if owner is not None:
            _remove(path, owner)


def refuse_if_used(work: Path, what: Path) -> None:
    """Raise `OutputError`, which names `what`, if a process that may still run holds a work folder."""
    with suppress(FileNotFoundError):
        _refuse_unless_gone(owner_of(work / WORK_LOCK), work / WORK_LOCK, what)


def _refuse_unless_gone(owner: Owner | None, path: Path, what: Path) -> None:
    if owner is None:
        raise OutputError(
            f"{what}: is in use by another run, which can't be told; if none runs, delete {path}"
        )
    if owner.state == "running":
        raise OutputError(f"{what}: is in use by another run (process {owner.pid}); wait for it or stop it")
    if owner.state == "elsewhere":
        # The other computer's name is the user's to know: it says where to look.
        raise OutputError(
            f"{what}: is in use by another run (process {owner.pid} on {owner.host}); if it no longer runs, "
            f"delete {path}"
        )


def release(path: Path, me: Owner) -> None:
    """Delete a lock file if it is this process's."""
    with suppress(OSError):
        if owner_of(path) == me:
            path.unlink()


def _remove(path: Path, owner: Owner) -> None:
    """Delete a dead process's lock file, unless another process has just put its own there."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with suppress(OSError):
        path.replace(aside)
        if owner_of(aside) not in (owner, None) and not path.exists():
            aside.replace(path)
            return
        aside.unlink()

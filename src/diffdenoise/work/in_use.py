"""One run at a time writes to one output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from diffdenoise.errors import OutputError
from diffdenoise.lock import locked
from diffdenoise.scan.atomic import make_folders
from diffdenoise.work.jobs import Job

#: Bytes of a name to which ".", ".lock" and what a replaced lock file is called can be added.
_MOST_NAME_BYTES = 230
#: Lock of a folder that several results go to, inside of it; that of a file is beside it.
FOLDER_LOCK = ".diffdenoise.lock"


def goes_to_folder(output: Path, jobs: Sequence[Job]) -> bool:
    """Whether results go to files in a folder, not to the one that was named."""
    return len(jobs) > 1 or jobs[0].target != output or len(jobs[0].files) > 1


def lock_of(output: Path, jobs: Sequence[Job]) -> Path:
    """Return the lock file of what a run writes: of one file, or of a folder."""
    if goes_to_folder(output, jobs):
        return output / FOLDER_LOCK
    name = output.name
    if len(name.encode(errors="replace")) > _MOST_NAME_BYTES:
        name = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:16]
    return output.with_name(f".{name}.lock")


@contextmanager
def in_use(output: Path, jobs: Sequence[Job]) -> Iterator[None]:
    """Hold an output for this process.

    Parameters
    ----------
    output : path
        As the user named it; checked before.
    jobs : sequence of Job
        What is written there.

    Raises
    ------
    OutputError
        If another run is writing there.
    """
    path = lock_of(output, jobs)
    try:
        made = make_folders(path.parent)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror}); choose another place") from error
    try:
        with locked(path, output):
            yield
    finally:
        for folder in reversed(made):
            # Only what is still empty goes.
            with suppress(OSError):
                folder.rmdir()

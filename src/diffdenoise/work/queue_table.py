"""The table that jobs wait in: its columns, and one row of it as an object."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from diffdenoise.errors import DiffDenoiseError

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[str, ...] = get_args(State)
#: States that nothing follows.
ENDED = ("done", "failed", "cancelled")

#: Seconds that a statement waits for another process's.
_BUSY_S = 5.0
#: The same work is in the queue once, unless it came to nothing. Times are seconds since 1970; `revision`
#: grows with every change of any job, also where the last that changed was deleted.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  key TEXT NOT NULL,
  request TEXT NOT NULL,
  idempotency TEXT UNIQUE,
  state TEXT NOT NULL,
  title TEXT NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  wish TEXT NOT NULL,
  created REAL NOT NULL,
  started REAL,
  finished REAL,
  worker TEXT,
  lease_until REAL NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  stage TEXT NOT NULL DEFAULT '',
  share REAL,
  seconds_left REAL,
  place TEXT,
  verdict TEXT,
  error TEXT,
  revision INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS jobs_key ON jobs(key) WHERE state IN ('queued', 'running', 'done');
CREATE INDEX IF NOT EXISTS jobs_state ON jobs(state, number);
CREATE INDEX IF NOT EXISTS jobs_revision ON jobs(revision);
CREATE TABLE IF NOT EXISTS deleted (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO deleted VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS jobs_deleted AFTER DELETE ON jobs BEGIN
  UPDATE deleted SET revision = MAX(revision, OLD.revision);
END;
"""


class QueueError(DiffDenoiseError):
    """The queue can't be read or written now."""


class FullError(QueueError):
    """There is no room for the queue."""


@dataclass(frozen=True)
class Row:
    """A job as it stands in the table.

    Attributes
    ----------
    number : int
        Its place in the order of arrival.
    id : str
        What it is called outside; says nothing of its content.
    key : str
        Digest of all that its result depends on.
    request : str
        Digest of what was sent, whatever weights and version are.
    idempotency : str or None
        What its sender calls the request.
    state : str
        One of `STATES`.
    title : str
        For people: names of files.
    files, bytes : int
        What was sent.
    wish : str
        How to denoise, as JSON.
    created, started, finished : float or None
        When, seconds since 1970.
    worker : str or None
        Who has it.
    lease_until : float
        When it is taken from a worker that says nothing.
    attempts : int
        How often it was begun.
    stage : str
        What is being done.
    share, seconds_left : float or None
        How far that is, 0 to 1, and what is left of it.
    place : str or None
        Folder of its results below its own.
    verdict : str or None
        Of the trust report; of several the worst.
    error : str or None
        Why it failed.
    revision : int
        Larger than that of any job that changed before.
    """

    number: int
    id: str
    key: str
    request: str
    idempotency: str | None
    state: State
    title: str
    files: int
    bytes: int
    wish: str
    created: float
    started: float | None
    finished: float | None
    worker: str | None
    lease_until: float
    attempts: int
    stage: str
    share: float | None
    seconds_left: float | None
    place: str | None
    verdict: str | None
    error: str | None
    revision: int

    @property
    def is_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    @property
    def wishes(self) -> dict[str, Any]:
        """How to denoise."""
        found: dict[str, Any] = json.loads(self.wish)
        return found


COLUMNS = ", ".join(field.name for field in fields(Row))


def make_table(path: Path) -> None:
    """Make the table, if there is none.

    Raises
    ------
    QueueError
        If the file can't be written, or is something else.
    """
    with opened(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection for a few statements, each of which holds for itself.

    Raises
    ------
    QueueError
        If a statement can't be carried out.
    """
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    except sqlite3.Error as error:
        raise QueueError(f"the queue can't be opened ({error}); check the data folder") from error
    try:
        # What was promised is on the disk before anybody is told.
        connection.execute("PRAGMA synchronous = FULL")
        yield connection
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        kind = FullError if "full" in str(error) else QueueError
        raise kind(f"the queue can't be used now ({error}); try again later") from error
    finally:
        connection.close()


@contextmanager
def together(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection for statements that hold all or not at all, and that nobody comes between.

    Raises
    ------
    QueueError
        If they can't be carried out.
    """
    with opened(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

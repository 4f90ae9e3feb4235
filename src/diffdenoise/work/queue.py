"""Jobs that wait for workers: nothing is lost when one dies, and nothing is done twice.

A worker takes a job for some seconds, and says again and again that it still has it. If it stops saying so,
the job is another's. Only the worker that has a job can end it, so that one who was thought dead does no
harm. A job that two workers died of is set aside.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdenoise.work.queue_table import COLUMNS, ENDED, Row, make_table, opened, together

#: Seconds that a worker may be silent for; it speaks several times in that.
LEASE_S = 30.0
#: Workers that may die of a job.
MOST_ATTEMPTS = 2
SET_ASIDE = (
    "its worker ended twice before it was done (killed, or out of memory); send a smaller scan, "
    "or try again on a machine with more memory"
)
#: Stand in statements for the revision of the last change, and the next.
_LAST = "(SELECT MAX(deleted.revision, COALESCE((SELECT MAX(revision) FROM jobs), 0)) FROM deleted)"
_NEXT = f"({_LAST} + 1)"


@dataclass(frozen=True)
class New:
    """A job to be put into the queue; see `Row`."""

    id: str
    key: str
    request: str
    title: str
    files: int
    bytes: int
    wish: str
    idempotency: str | None = None


class ReusedError(Exception):
    """A name was given to two different requests."""


class Queue:
    """The jobs of a data folder. All processes of one computer may use it at once.

    Parameters
    ----------
    path : path
        The SQLite file; made if it isn't there.
    now : callable
        Seconds since 1970.
    lease_s : float
        Seconds that a worker may be silent for.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time, lease_s: float = LEASE_S) -> None:
        self.path, self._now, self.lease_s = path, now, lease_s
        make_table(path)

    def put(self, new: New) -> tuple[Row, bool]:
        """Add a job, unless the same work is there already; return it, and whether it is new.

        Raises
        ------
        ReusedError
            If another request had the name (`idempotency`) before.
        """
        with together(self.path) as connection:
            before = None
            if new.idempotency is not None:
                before = _one(connection, "idempotency = ?", new.idempotency)
                if before is not None and before.request != new.request:
                    raise ReusedError
            if before is None:
                before = _one(connection, "key = ? AND state NOT IN ('failed', 'cancelled')", new.key)
            if before is not None:
                return before, False
            given: dict[str, Any] = {**new.__dict__, "state": "queued", "created": self._now()}
            marks = ", ".join(f":{name}" for name in given)
            connection.execute(
                f"INSERT INTO jobs ({', '.join(given)}, revision) VALUES ({marks}, {_NEXT})",  # noqa: S608 (names of ours)
                given,
            )
            made = _one(connection, "id = ?", new.id)
        if made is None:
            raise RuntimeError("a job vanished inside of its transaction")
        return made, True

    def claim(self, worker: str) -> Row | None:
        """Take the next job: one that waits, or one whose worker is silent; None if there is none."""
        now = self._now()
        self.set_aside()
        return self._change(
            "state = 'running', worker = ?, lease_until = ?, attempts = attempts + 1, started = ?, "
            "stage = '', share = NULL, seconds_left = NULL",
            "number = (SELECT number FROM jobs WHERE state = 'queued' OR (state = 'running' AND "
            "lease_until < ?) ORDER BY number LIMIT 1)",
            (worker, now + self.lease_s, now, now),
        )

    def set_aside(self) -> None:
        """Let jobs fail that too many workers died of."""
        now = self._now()
        while self._change(
            "state = 'failed', error = ?, finished = ?, worker = NULL",
            "number = (SELECT number FROM jobs WHERE state = 'running' AND lease_until < ? AND "
            "attempts >= ? LIMIT 1)",
            (SET_ASIDE, now, now, MOST_ATTEMPTS),
        ):
            pass

    def beat(self, job: Row) -> bool:
        """Say that a worker still has a job; return whether that is so."""
        return self._of_worker(job, "lease_until = ?", (self._now() + self.lease_s,)) is not None

    def tell(self, job: Row, stage: str, share: float | None, seconds_left: float | None) -> bool:
        """Say how far a job is; return whether it is still this worker's."""
        given = (stage, share, seconds_left, self._now() + self.lease_s)
        told = "stage = ?, share = ?, seconds_left = ?, lease_until = ?"
        return self._of_worker(job, told, given) is not None

    def done(self, job: Row, place: str, verdict: str | None) -> Row | None:
        """End a job whose results are in a folder; None if it is no longer this worker's."""
        return self._of_worker(
            job,
            "state = 'done', place = ?, verdict = ?, finished = ?, worker = NULL, share = 1, "
            "seconds_left = NULL",
            (place, verdict, self._now()),
        )

    def fail(self, job: Row, error: str) -> Row | None:
        """End a job of which nothing comes; None if it is no longer this worker's."""
        told = "state = 'failed', error = ?, finished = ?, worker = NULL"
        return self._of_worker(job, told, (error, self._now()))

    def give_back(self, job: Row) -> None:
        """Put a job back that a worker was told to leave: that it was begun doesn't count."""
        self._of_worker(
            job, "state = 'queued', worker = NULL, attempts = attempts - 1, share = NULL, stage = ''"
        )

    def release(self, worker: str) -> None:
        """Let the job of a worker that has surely ended be another's at once."""
        self._change("lease_until = 0", "state = 'running' AND worker = ?", (worker,))

    def cancel(self, job_id: str) -> Row | None:
        """End a job that waits or runs; None if there is no such."""
        return self._change(
            "state = 'cancelled', finished = ?, worker = NULL, seconds_left = NULL",
            "id = ? AND state IN ('queued', 'running')",
            (self._now(), job_id),
        )

    def delete(self, job_id: str) -> bool:
        """Forget a job that has ended; return whether there was one."""
        with opened(self.path) as connection:
            done = connection.execute(f"DELETE FROM jobs WHERE id = ? AND state IN {ENDED}", (job_id,))  # noqa: S608
            return done.rowcount == 1

    def purge(self, days: float) -> list[str]:
        """Forget jobs that ended more than so many days ago; return which."""
        with opened(self.path) as connection:
            gone = connection.execute(
                f"DELETE FROM jobs WHERE state IN {ENDED} AND finished < ? RETURNING id",  # noqa: S608
                (self._now() - days * 86400,),
            ).fetchall()
        return [job_id for (job_id,) in gone]

    def get(self, job_id: str) -> Row | None:
        """Return a job."""
        with opened(self.path) as connection:
            return _one(connection, "id = ?", job_id)

    def page(self, limit: int, before: int | None = None, state: str | None = None) -> list[Row]:
        """Return jobs, newest first, that are older than a number."""
        where, given = ["1"], list[Any]()
        if before is not None:
            where, given = ["number < ?"], [before]
        if state is not None:
            where, given = [*where, "state = ?"], [*given, state]
        return self._rows(f"{' AND '.join(where)} ORDER BY number DESC LIMIT ?", (*given, limit))

    def changed(self, revision: int, limit: int) -> list[Row]:
        """Return jobs that changed since, in the order in which they did."""
        return self._rows("revision > ? ORDER BY revision LIMIT ?", (revision, limit))

    def newest(self) -> int:
        """Return the revision of the last change."""
        with opened(self.path) as connection:
            return int(connection.execute(f"SELECT {_LAST}").fetchone()[0])

    def positions(self, rows: Sequence[Row]) -> dict[str, int]:
        """How many jobs are begun before each that waits.

        Parameters
        ----------
        rows : sequence of Row
            Jobs of one page: none that waits is left out between them.
        """
        waiting = sorted((row for row in rows if row.state == "queued"), key=lambda row: row.number)
        if not waiting:
            return {}
        with opened(self.path) as connection:
            (before,) = connection.execute(
                "SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND number < ?", (waiting[0].number,)
            ).fetchone()
        return {row.id: before + place for place, row in enumerate(waiting)}

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        with opened(self.path) as connection:
            return dict(connection.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetchall())

    def oldest_s(self) -> float:
        """Seconds that the job has waited that waits longest."""
        with opened(self.path) as connection:
            (first,) = connection.execute("SELECT MIN(created) FROM jobs WHERE state = 'queued'").fetchone()
        return 0.0 if first is None else max(0.0, self._now() - first)

    def ids(self) -> set[str]:
        """Return all jobs that are known."""
        with opened(self.path) as connection:
            return {job_id for (job_id,) in connection.execute("SELECT id FROM jobs")}

    def _rows(self, where: str, given: tuple[Any, ...]) -> list[Row]:
        with opened(self.path) as connection:
            found = connection.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", given)  # noqa: S608
            return [Row(*each) for each in found]

    def _of_worker(self, job: Row, told: str, given: tuple[Any, ...] = ()) -> Row | None:
        """Change a job if it is still that worker's, and this time's."""
        mine = "id = ? AND state = 'running' AND worker = ? AND attempts = ?"
        return self._change(told, mine, (*given, job.id, job.worker, job.attempts))

    def _change(self, told: str, where: str, given: tuple[Any, ...]) -> Row | None:
        with opened(self.path) as connection:
            found = connection.execute(
                f"UPDATE jobs SET {told}, revision = {_NEXT} WHERE {where} RETURNING {COLUMNS}",  # noqa: S608
                given,
            ).fetchall()
        return Row(*found[0]) if found else None


def new_id() -> str:
    """Return a name for a job that cannot be guessed and says nothing of it."""
    return secrets.token_hex(16)


def _one(connection: sqlite3.Connection, where: str, *given: Any) -> Row | None:
    found = connection.execute(f"SELECT {COLUMNS} FROM jobs WHERE {where}", given).fetchone()  # noqa: S608
    return None if found is None else Row(*found)

"""What all doors of a server share: the queue, the folders, the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffdenoise.serve.options import Options
from diffdenoise.serve.problems import DISK_FULL, Problem, problem
from diffdenoise.work.queue import New, Queue, ReusedError
from diffdenoise.work.queue_table import Row
from diffdenoise.work.spool import Manifest, Spool, content_key, read_manifest
from diffdenoise.work.wish import Wish

#: Files that a title names.
_MOST_NAMED = 3


@dataclass
class Shop:
    """A server's insides.

    Attributes
    ----------
    options : Options
        As told.
    spool : Spool
        Folders of the jobs.
    queue : Queue
        Who waits.
    alive : callable
        How many workers run.
    receiving : set of str
        Jobs that are just being received.
    is_ending : asyncio.Event or None
        Set when the server ends: streams end then.
    """

    options: Options
    spool: Spool
    queue: Queue
    alive: Callable[[], int]
    receiving: set[str] = field(default_factory=set)
    is_ending: asyncio.Event | None = None

    def check_room(self, coming: int) -> None:
        """Raise a problem if so many bytes don't fit."""
        if self.spool.free_bytes() - coming < self.options.least_free_mb * 1e6:
            raise Problem(507, DISK_FULL)

    def put(
        self, job_id: str, files: list[tuple[str, str]], size: int, wish: Wish, name: str | None
    ) -> tuple[Row, bool]:
        """Put what was received into the queue; return the job, and whether it is new.

        Raises
        ------
        Problem
            If the name was given to another request.
        """
        content = content_key(files)
        new = New(
            job_id,
            wish.key(content, self.spool.models),
            wish.request(content),
            _title([each for each, _ in files]),
            len(files),
            size,
            wish.as_json(),
            name,
        )
        self.spool.accept(job_id)
        try:
            row, is_new = self.queue.put(new)
        except ReusedError as error:
            raise Problem(
                422, "this Idempotency-Key was used for another request; choose a new one"
            ) from error
        return row, is_new

    def row(self, job_id: str) -> Row:
        """Return a job.

        Raises
        ------
        Problem
            If there is none.
        """
        found = self.queue.get(job_id)
        if found is None:
            raise Problem(404, "there is no job of this id")
        return found

    def made(self, row: Row) -> tuple[Path, Manifest]:
        """Return the folder of a job's results, and what is in it.

        Raises
        ------
        Problem
            If there are none, or none yet.
        """
        if row.state in ("queued", "running"):
            raise Problem(409, "the job isn't done yet; wait until its state is done", Retry_After="2")
        if row.state != "done" or row.place is None:
            raise Problem(409, f"there is no result: the job is {row.state}")
        folder = self.spool.folder(row.id) / row.place
        try:
            return folder, read_manifest(folder)
        except OSError as error:
            raise Problem(410, "the result is gone") from error

    def sweep(self) -> None:
        """Delete what is old, and folders that belong to no job."""
        for gone in self.queue.purge(self.options.keep_days):
            self.spool.remove(gone)
        # Read after the folders are listed: who is in neither by then never comes back.
        received = set(self.receiving)
        self.spool.sweep(lambda: self.queue.ids() | received | self.receiving)


def shown(shop: Shop, row: Row, *, whole: bool = True, position: int | None = None) -> dict[str, Any]:
    """Return a job as callers see it.

    Parameters
    ----------
    shop : Shop
        Whose it is.
    row : Row
        The job.
    whole : bool
        With its position, and what is known of each scan, for which the manifest is read.
    position : int, optional
        How many jobs are begun before it, if that is known.
    """
    kept = asdict(row)
    told = {
        name: kept[name]
        for name in ("id", "state", "title", "files", "bytes", "created", "started", "finished")
    }
    told |= {"options": row.wishes, "attempts": row.attempts, "verdict": row.verdict}
    told["progress"] = {"stage": row.stage, "share": row.share, "seconds_left": row.seconds_left}
    told["position"] = shop.queue.positions([row]).get(row.id) if whole else position
    told["error"] = None if row.error is None else problem(422, row.error)
    base = f"/api/v1/jobs/{row.id}"
    told["links"] = {"self": base, "events": f"{base}/events"}
    made = _made(shop, row) if row.state == "done" and whole else None
    if made is not None:
        told |= {"scans": made.scans, "failed": made.failed, "reports": _pages(made)}
        kinds = {"result": made.result, "residual": made.residual, "report": made.report}
        told["links"] |= {kind: f"{base}/{kind}" for kind, files in kinds.items() if files}
    return told


def _made(shop: Shop, row: Row) -> Manifest | None:
    """Return what a job made; None where somebody has deleted the files."""
    try:
        return shop.made(row)[1]
    except Problem:
        return None


def _pages(made: Manifest) -> list[str]:
    """Names of the trust reports, in the order of their numbers."""
    return [name for name in made.report if name.endswith(".html")]


def _title(names: list[str]) -> str:
    """What was sent, for people."""
    tops = list(dict.fromkeys(name.split("/")[0] for name in names))
    more = f" and {len(tops) - _MOST_NAMED} more" if len(tops) > _MOST_NAMED else ""
    return ", ".join(tops[:_MOST_NAMED]) + more

"""One job of the queue, from what was sent to its results and their manifest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffdenoise.errors import InputError, OutputError
from diffdenoise.trust.evidence import GRADES
from diffdenoise.types import Progress
from diffdenoise.work.carry_out import Work
from diffdenoise.work.order import Machine, Order
from diffdenoise.work.queue_table import Row
from diffdenoise.work.report import Report
from diffdenoise.work.spool import KINDS, Manifest, Spool, digests, read_manifest, write_manifest
from diffdenoise.work.unzip import unpacked
from diffdenoise.work.wish import Wish

#: Where zips are unpacked to, below an attempt's folder.
_UNPACKED = "unpacked"


class Cleaned:
    """What is left of a job that came to nothing."""

    def __init__(self, spool: Spool, job: Row) -> None:
        self._folder, self._attempt = spool.folder(job.id), spool.attempt(job.id, job.attempts)

    def message(self, text: str) -> str:
        """Return a message that names files as they were sent, not where they lie."""
        for folder in (
            self._attempt / _UNPACKED,
            self._attempt / "result",
            self._folder / "in",
            self._attempt,
        ):
            text = text.replace(f"{folder}/", "").replace(str(folder), "what was sent")
        return text.replace(str(self._folder.parent.parent), "the data folder")

    def remove(self) -> None:
        """Delete what the attempt wrote."""
        shutil.rmtree(self._attempt, ignore_errors=True)


def denoise_job(spool: Spool, job: Row, machine: Machine, progress: Progress) -> tuple[str, str | None]:
    """Do a job, unless an earlier worker came to its end before it died.

    Returns
    -------
    place : str
        Folder of the results, below the job's.
    verdict : str or None
        Of the trust report.

    Raises
    ------
    DiffDenoiseError
        If nothing can be made of what was sent.
    """
    made = spool.finished(job.id)
    if made is not None:
        return made.name, read_manifest(made).verdict
    folder = spool.attempt(job.id, job.attempts)
    shutil.rmtree(folder, ignore_errors=True)
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
    source = unpacked(spool.source(job.id), folder / _UNPACKED)
    order = Wish.of_json(job.wishes).order(source, folder, spool.models, machine)
    report = _carry_out(order, progress)
    if not report.scans:
        raise InputError("; ".join(each.line for each in report.failures) or "there is nothing to denoise")
    shutil.rmtree(folder / _UNPACKED, ignore_errors=True)
    manifest = _manifest(folder, report, Cleaned(spool, job))
    write_manifest(folder, manifest)
    return folder.name, manifest.verdict


def _carry_out(order: Order, progress: Progress) -> Report:
    try:
        work = Work(order)
    except OutputError:
        # Formats of whole numbers hold no residual.
        work = Work(replace(order, extras=replace(order.extras, residual=None)))
    with work.hold():
        work.make_ready()
        return work.run(progress)


def _manifest(folder: Path, report: Report, cleaned: Cleaned) -> Manifest:
    known = ("left_as_it_is", "weights", "noise_std", "noise_percent_of_range", "residual_std")
    scans: list[dict[str, Any]] = []
    for scan in report.scans:
        # Paths are the server's own.
        output = Path(scan["output"])
        name = "" if output == folder / "result" else output.name
        scans.append({"name": name, **{key: scan[key] for key in (*known, "verdict") if key in scan}})
    verdicts = [scan["verdict"] for scan in scans if "verdict" in scan]
    return Manifest(
        **{kind: digests(folder / kind) for kind in KINDS},
        scans=scans,
        failed=[
            {"scan": cleaned.message(f.name), "reason": cleaned.message(f.reason)} for f in report.failures
        ],
        verdict=max(verdicts, key=_rank, default=None),
    )


def _rank(verdict: str) -> int:
    """Of several verdicts the worst counts."""
    return GRADES.index(verdict) if verdict in GRADES else 0

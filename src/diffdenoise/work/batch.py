"""One data set: scans that are read, learned from together or given to a trained model, and written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffdenoise.errors import (
    DiffDenoiseError,
    DiskFullError,
    DivergedError,
    InputError,
    ModelError,
    OutputError,
    option,
)
from diffdenoise.lock import refuse_if_used
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.scan import bids
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Progress
from diffdenoise.work.extras import Extras
from diffdenoise.work.jobs import Job
from diffdenoise.work.learn import apply_model, at_once, learn, left_as_they_are
from diffdenoise.work.masks import masked
from diffdenoise.work.result import Result

if TYPE_CHECKING:
    from diffdenoise.config import Settings
    from diffdenoise.model import Model


@dataclass(frozen=True)
class Failure:
    """A scan, or several that were learned from together, of which there is no result.

    Attributes
    ----------
    name : str
        Of the scan or scans.
    reason : str
        The error's message.
    jobs : tuple of Job
        The scans.
    """

    name: str
    reason: str
    jobs: tuple[Job, ...] = ()

    @property
    def line(self) -> str:
        """Which it is, and why."""
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Training:
    """How a data set is learned from.

    Attributes
    ----------
    settings : Settings
        What to train, and for how long.
    resume : bool
        Go on with the training in the work folder; else what is there is deleted, unless it is to be kept.
    keep : bool
        Whether the model was asked for.
    device, threads
        See `method.train`.
    weights : str or None
        Name of the package's weights that are taken where nothing is trained; None: those that fit the noise.
    """

    settings: Settings
    resume: bool
    keep: bool
    device: str
    threads: int | None
    weights: str | None = None


@dataclass(frozen=True)
class Batch:
    """Scans that are learned from together.

    Attributes
    ----------
    jobs : tuple of Job
        What to denoise.
    work : path
        Folder of the training.
    alone : bool
        Whether there is but one scan to denoise: what doesn't fit it (a slice axis) is a mistake, and what
        goes wrong with it ends the run.
    mask : Scan, optional
        Voxels where it is 0 come back as they were, and are not learned from.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    """

    jobs: tuple[Job, ...]
    work: Path
    alone: bool
    mask: Scan | None = None
    strength: float = 1.0

    @property
    def title(self) -> str:
        """For messages."""
        first = self.jobs[0]
        if len(self.jobs) == 1:
            return first.name
        kind = "/".join(bids.kind_of(first.bids.image)) if first.bids is not None else ""
        if first.found.series is not None:
            kind = first.found.series.header.modality
        return f"{len(self.jobs)} {kind} images".replace("  ", " ")

    def apply(
        self, model: Model, axis: int | None, progress: Progress, *, force: bool
    ) -> Iterator[tuple[Job, Result] | Failure]:
        """Denoise with a trained model, one scan at a time.

        Parameters
        ----------
        model : Model
            Its slice axis is taken where none is asked for.
        axis : int, optional
            Slice axis asked for.
        progress : Progress
            Told about each slice.
        force : bool
            Denoise scans that aren't like those that the model was trained on, too.
        """
        wanted = model.settings.data.axis if axis is None else axis
        for job in self.jobs:
            try:
                scan, noise = self._read(job, wanted, strict=self.alone and axis is not None)
                result = apply_model(
                    model, scan, noise, strength=self.strength, force=force, progress=progress
                )
            except (InputError, ModelError) as error:
                yield self._failure(job.name, error, (job,))
            else:
                yield job, result

    def at_once(self, how: Training, progress: Progress) -> Iterator[tuple[Job, Result] | Failure]:
        """Denoise with the weights that come with the package, one scan at a time.

        Parameters
        ----------
        how : Training
            Settings and device; nothing is trained.
        progress : Progress
            Told about each slice.
        """
        for job in self.jobs:
            try:
                scan, noise = self._read(job, how.settings.data.axis, strict=self.alone)
                result = at_once(
                    scan,
                    noise,
                    how.settings,
                    weights=how.weights,
                    device=how.device,
                    threads=how.threads,
                    strength=self.strength,
                    progress=progress,
                )
            except (InputError, ModelError) as error:
                yield self._failure(job.name, error, (job,))
            else:
                yield job, result

    def learn(
        self, how: Training, progress: Progress, began: float
    ) -> Iterator[tuple[Job, Result] | Failure]:
        """Train on the scans alone, and denoise them; leave them as they are if they are clean.

        Parameters
        ----------
        how : Training
            Settings, device and what becomes of the model.
        progress : Progress
            Told about stages, steps and slices.
        began : float
            When the time budget began to run, by `time.monotonic`.
        """
        jobs: list[Job] = []
        scans: list[Scan] = []
        noises: list[Noise] = []
        for job in self.jobs:
            try:
                scan, noise = self._read(job, how.settings.data.axis, strict=self.alone)
            except InputError as error:
                yield self._failure(job.name, error, (job,))
                continue
            jobs.append(job)
            scans.append(scan)
            noises.append(noise)
        if not jobs:
            return
        anew = not how.keep and not how.resume
        unchanged = left_as_they_are(scans, noises, how.settings, began) if anew else None
        if unchanged is not None:
            yield from zip(jobs, unchanged, strict=True)
            return
        if anew and self.work.exists():
            shutil.rmtree(self.work)
        results = learn(
            scans,
            noises,
            how.settings,
            self.work,
            resume=how.resume,
            device=how.device,
            threads=how.threads,
            strength=self.strength,
            progress=progress,
            began=began,
        )
        try:
            yield from zip(jobs, results, strict=True)
        except (InputError, DivergedError) as error:
            yield self._failure(self.title, error, tuple(jobs))

    def write(
        self, job: Job, result: Result, how: Derivation, extras: Extras, *, float32: bool, overwrite: bool
    ) -> Failure | None:
        """Write a result, and what is wanted beside it; return what went wrong with one of several.

        Raises
        ------
        OutputError
            If the only scan's result, or on a full disk any, can't be written.
        """
        described = how.unchanged() if result.is_unchanged else how
        try:
            job.write(result.scan, described, float32=float32, overwrite=overwrite)
            extras.write(job, result, alone=self.alone, again=overwrite)
        except DiskFullError:
            raise
        except (InputError, OutputError) as error:
            # Slices of a large scan are read until they are written.
            return self._failure(job.name, error, (job,))
        return None

    def _read(self, job: Job, axis: int | None, *, strict: bool) -> tuple[Scan, Noise]:
        """Read and check a scan; an image among volumes needs no slice axis."""
        scan = job.found.read()
        if self.mask is not None:
            scan = masked(scan, self.mask)
        check_scan(scan)
        return scan, diagnose(scan, axis if strict or scan.ndim > 2 else None)

    def _failure(self, name: str, error: DiffDenoiseError, jobs: tuple[Job, ...]) -> Failure:
        """What went wrong with one of several; with the only scan, the error itself is raised."""
        if self.alone:
            raise error
        return Failure(name, str(error), jobs)


def check_works(batches: Sequence[Batch], *, resume: bool, overwrite: bool, known: bool) -> None:
    """Raise an error if there is nothing to resume, or a stopped run would be lost.

    Parameters
    ----------
    batches : sequence of Batch
        To be learned from.
    resume, overwrite : bool
        Whether to go on with a stopped run, or to begin anew in its place.
    known : bool
        Whether an earlier run noted something.
    """
    if resume and not known and not any(batch.work.is_dir() for batch in batches):
        raise OutputError(
            f"{batches[0].work}: there is no stopped run to resume; leave out {option('resume')}"
        )
    for work in (batch.work for batch in batches):
        refuse_if_used(work / "work", work)
        ours = work.is_dir() and ((work / "work").is_dir() or (work / "record.json").is_file())
        if work.exists() and not ours:
            raise OutputError(
                f"{work}: is not a stopped run; it is in the way; move it or name another output"
            )
        if work.exists() and not resume and not overwrite:
            raise OutputError(
                f"{work}: holds a stopped run; go on with it by {option('resume')}, or delete it "
                f"({option('overwrite')} does)"
            )

"""One data set of a `denoise` command: read it, learn from it or take a trained model, denoise it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffdenoise.cli.jobs import Job
from diffdenoise.errors import (
    DiffDenoiseError,
    DiskFullError,
    DivergedError,
    InputError,
    ModelError,
    OutputError,
)
from diffdenoise.finish import kept_share
from diffdenoise.images import masked
from diffdenoise.lock import refuse_if_used
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.plan import already_clean
from diffdenoise.scan import bids
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.scan import Scan
from diffdenoise.types import Progress

if TYPE_CHECKING:
    from diffdenoise.config import Settings
    from diffdenoise.model import Model


@dataclass(frozen=True)
class Result:
    """One scan before and after.

    Attributes
    ----------
    job : Job
        Where it goes.
    noisy, denoised : Scan
        Real values.
    noise : Noise
        The noisy scan's noise, as `info` shows it.
    left : bool
        Whether it was already clean, and was left as it is.
    """

    job: Job
    noisy: Scan
    denoised: Scan
    noise: Noise
    left: bool


@dataclass(frozen=True)
class Failure:
    """A scan, or several that were learned from together, of which there is no result.

    Attributes
    ----------
    name : str
        Of the scan or scans.
    reason : str
        The error's message.
    """

    name: str
    reason: str

    @property
    def line(self) -> str:
        """Which it is, and why."""
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Batch:
    """Scans that are learned from together.

    Attributes
    ----------
    jobs : sequence of Job
        What to denoise.
    work : path
        Folder of the training.
    alone : bool
        Whether there is but one scan to denoise: what doesn't fit it (a slice axis) is a mistake, and what
        goes wrong with it ends the command.
    mask : Scan, optional
        Voxels where it is 0 come back as they were, and are not learned from.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    """

    jobs: Sequence[Job]
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

    @property
    def is_done(self) -> bool:
        """Whether all of its results are there, and no training waits to be gone on with."""
        return all(job.is_done for job in self.jobs) and not self.work.exists()

    def apply(
        self, trained: Model, axis: int | None, progress: Progress, *, force: bool = False
    ) -> Iterator[Result | Failure]:
        """Denoise with a trained model, one scan at a time.

        Parameters
        ----------
        trained : Model
            Its slice axis is taken where none is asked for.
        axis : int, optional
            Slice axis asked for.
        progress : Progress
            Told about each slice.
        force : bool
            Denoise scans that aren't like those that the model was trained on, too.
        """
        wanted = trained.settings.data.axis if axis is None else axis
        for job in self.jobs:
            try:
                scan = self._read(job)
                noise = _noise_of(scan, wanted, alone=self.alone and axis is not None)
                denoised = trained.denoise_scan(scan, noise, progress=progress, force=force)
            except (InputError, ModelError) as error:
                yield self._failure(job.name, error)
            else:
                yield self._result(job, scan, denoised.scan, noise)

    def learn(
        self,
        settings: Settings,
        *,
        resume: bool,
        keep: bool,
        device: str,
        threads: int | None,
        progress: Progress,
        began: float,
    ) -> Iterator[Result | Failure]:
        """Train on the scans alone, and denoise them; leave them as they are if they are clean.

        Parameters
        ----------
        settings, device, threads, progress
            See `method.train.train`.
        resume : bool
            Go on with the training in `work`; else what is there is deleted, unless it is to be kept.
        keep : bool
            Whether the model was asked for.
        began : float
            When the time budget began to run, by `time.monotonic`.
        """
        jobs, scans, noises = [], [], []
        for job in self.jobs:
            try:
                scan = self._read(job)
                noise = _noise_of(scan, settings.data.axis, alone=self.alone)
            except InputError as error:
                yield self._failure(job.name, error)
                continue
            jobs.append(job)
            scans.append(scan)
            noises.append(noise)
        if not jobs:
            return
        if not keep and not resume and already_clean(noises, settings):
            for job, scan, noise in zip(jobs, scans, noises, strict=True):
                yield self._result(job, scan, scan, noise, left=True)
            return
        # Imported here: torch takes seconds to load, and most mistakes show before it is needed.
        from diffdenoise.method import train as method

        if not keep and not resume and self.work.exists():
            shutil.rmtree(self.work)
        try:
            trained = method.train(
                scans,
                settings,
                self.work,
                noises=noises,
                resume=resume,
                device=device,
                threads=threads,
                progress=progress,
                spent_s=time.monotonic() - began,
            )
        except (InputError, DivergedError) as error:
            yield self._failure(self.title, error)
            return
        # All of them before any is written: a run that is stopped here goes on here.
        denoised = [
            trained.denoise_scan(scan, noise, progress=progress, own=True)
            for scan, noise in zip(scans, noises, strict=True)
        ]
        for job, scan, done, noise in zip(jobs, scans, denoised, noises, strict=True):
            yield self._result(job, scan, done.scan, noise)

    def write(
        self, made: Result | Failure, how: Derivation, *, float32: bool, overwrite: bool
    ) -> Result | Failure:
        """Write a result, and return it; a failure, given or met with one of several, is returned as such.

        Raises
        ------
        OutputError
            If the only scan's result, or on a full disk any, can't be written.
        """
        if isinstance(made, Failure):
            return made
        described = how.unchanged() if made.left else how
        try:
            made.job.write(made.denoised, described, float32=float32, overwrite=overwrite)
        except DiskFullError:
            raise
        except OutputError as error:
            return self._failure(made.job.name, error)
        return made

    def _read(self, job: Job) -> Scan:
        scan = job.found.read()
        return scan if self.mask is None else masked(scan, self.mask)

    def _result(self, job: Job, noisy: Scan, denoised: Scan, noise: Noise, *, left: bool = False) -> Result:
        scan = denoised.with_data(kept_share(noisy, denoised, self.strength))
        return Result(job, noisy, scan, noise, left)

    def _failure(self, name: str, error: DiffDenoiseError) -> Failure:
        """What went wrong with one of several; with the only scan, the error itself is raised."""
        if self.alone:
            raise error
        return Failure(name, str(error))


def check_works(batches: Sequence[Batch], *, resume: bool, overwrite: bool) -> None:
    """Raise an error if there is nothing to resume, or a stopped run would be lost."""
    if resume and not any(batch.work.is_dir() or batch.is_done for batch in batches):
        raise OutputError(f"{batches[0].work}: there is no stopped run to resume; leave out --resume")
    for work in (batch.work for batch in batches):
        refuse_if_used(work / "work", work)
        ours = work.is_dir() and ((work / "work").is_dir() or (work / "record.json").is_file())
        if work.exists() and not ours:
            raise OutputError(
                f"{work}: is not a stopped run; it is in the way; move it or name another output"
            )
        if work.exists() and not resume and not overwrite:
            raise OutputError(
                f"{work}: holds a stopped run; go on with it by --resume, or delete it (--overwrite does)"
            )


def _noise_of(scan: Scan, axis: int | None, alone: bool) -> Noise:
    """Check a scan and return what is known of its noise; an image among volumes needs no slice axis."""
    check_scan(scan)
    return diagnose(scan, axis if alone or scan.data.ndim > 2 else None)

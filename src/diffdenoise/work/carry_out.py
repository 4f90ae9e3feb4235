"""From an order to results: all checks first, then one data set after another."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdenoise.errors import OutputError, SettingsError, option
from diffdenoise.scan.folder import check_name, check_outside_stores
from diffdenoise.scan.read import read_scan
from diffdenoise.types import Progress
from diffdenoise.work.batch import Batch, Failure, Training, check_works
from diffdenoise.work.in_use import goes_to_folder, in_use
from diffdenoise.work.jobs import Job, batches_of, jobs_of, title_of
from diffdenoise.work.journal import Journal, key_of
from diffdenoise.work.order import Order
from diffdenoise.work.report import Report
from diffdenoise.work.result import Result

if TYPE_CHECKING:
    from diffdenoise.model import Model


class Work:
    """An order under way.

    Parameters
    ----------
    order : Order
        What is wanted. All that can be told without reading pixels is checked here.

    Raises
    ------
    DiffDenoiseError
        If there is nothing to denoise, or results can't be written.
    """

    def __init__(self, order: Order) -> None:
        self._began = time.monotonic()
        order.check()
        self.order = order
        mask = None if order.mask is None else read_scan(order.mask, str(order.mask))
        jobs, skipped = jobs_of(order.inputs, order.output, order.dicom.series, as_folder=order.as_folder)
        self._alone = len(jobs) == 1
        # A single scan that is unfit is refused by its check.
        unfit = [] if self._alone else [job for job in jobs if job.unfit is not None]
        failures = [Failure(job.name, str(job.unfit), (job,)) for job in unfit]
        self.jobs = [job for job in jobs if job not in unfit]
        if not self.jobs:
            raise OutputError(failures[0].line)
        target = str(self.jobs[0].target if len(self.jobs) == 1 else order.output)
        self.report = Report(order, target, skipped, failures=failures)
        self._journal = Journal.read(order.output) if self._is_noted() else None
        self._keys: dict[tuple[Job, ...], str] = {}
        learned = batches_of(self.jobs) if order.trains else [[job] for job in self.jobs]
        self._several = len(learned) > 1
        self._check_model(len(learned))
        self.batches = [
            Batch(tuple(each), order.save_model or place, self._alone, mask, order.strength)
            for each, place in zip(learned, self._works(len(learned)), strict=True)
        ]
        self._how = order.derivation()
        self.batches = [batch for batch in self.batches if self._is_writable(batch)]
        if not self.batches:
            raise OutputError(self.report.failures[-1].line)
        belongs = {job: batch for batch in self.batches for job in batch.jobs}
        order.extras.check(list(belongs), lambda job: self._again(belongs[job], job), alone=self._alone)

    def _is_writable(self, batch: Batch) -> bool:
        """Check where results go; going on, one that somebody has changed since is left alone, and named."""
        order = self.order
        for job in batch.jobs:
            again = self._again(batch, job)
            try:
                job.check(order.again.overwrite or again, order.float32, order.dicom.compression)
            except OutputError as error:
                known = self._journal is not None and self._journal.knows(job)
                # A training's scans go together.
                alone = order.trains or not self._several
                if alone or again or not (order.again.resume and known):
                    raise
                # Edited, or put there by somebody else.
                other = f"{job.target}: is not what an earlier run wrote, and is left as it is; to make it"
                reason = f"{other} anew, delete it" if job.target.exists() else str(error)
                self.report.failures.append(Failure(job.name, reason))
                return False
        return True

    def _is_noted(self) -> bool:
        """Whether there is a journal: not beside the files of a single DICOM series, which are an image."""
        single = len(self.jobs) == 1 and self.jobs[0].found.series is not None
        return goes_to_folder(self.order.output, self.jobs) and (self.order.again.resume or not single)

    def _check_model(self, count: int) -> None:
        """Refuse to keep one model of several, or to go on where nothing is noted."""
        order = self.order
        if order.save_model is not None:
            check_outside_stores(order.save_model)
            if self._several:
                raise SettingsError(
                    f"{option('save-model', python='save_model')}: {title_of(order.inputs)} holds {count} "
                    f"series, each with a model of its own; name one with {option('series', python='series')}"
                )
        if not order.trains and order.again.resume and self._journal is None:
            raise SettingsError(
                f"{option('resume')}: without training it goes on with several scans, into a folder; "
                "leave it out"
            )

    def _works(self, count: int) -> list[Path]:
        """Folders of the trainings, beside the output."""
        work = str(self.order.output).rstrip("/")
        return [Path(f"{work}.work{f'-{number}' if count > 1 else ''}") for number in range(1, count + 1)]

    def _again(self, batch: Batch, job: Job) -> bool:
        """Whether what an earlier run wrote of a scan is written again: it was not there before that run."""
        if not self.order.again.resume:
            return False
        if self._journal is not None and (len(self.jobs) > 1 or self._journal.knows(job)):
            return self._journal.wrote(job)
        return self._is_stopped(batch)

    def _is_stopped(self, batch: Batch) -> bool:
        """Whether a training of it waits to be gone on with."""
        return self.order.trains and batch.work.is_dir()

    def hold(self) -> AbstractContextManager[None]:
        """Hold the output for this process: nothing else writes there meanwhile.

        Raises
        ------
        OutputError
            If another run is writing there.
        """
        return in_use(self.order.output, self.jobs)

    @cached_property
    def _model(self) -> Model | None:
        """The trained model to use."""
        if self.order.folder is None:
            return None
        # Imported here: most mistakes show before it is needed.
        from diffdenoise.model import Model

        return Model.load(self.order.folder, self.order.machine.device, self.order.machine.threads)

    def make_ready(self) -> None:
        """Check the work folders and read the model, while the output is held.

        Raises
        ------
        DiffDenoiseError
            If a stopped run is in the way, or the model can't be read.
        """
        order = self.order
        if order.trains and order.save_model is None:
            for batch in self.batches:
                check_name(batch.work)
            known = self._journal is not None and any(self._journal.knows(job) for job in self.jobs)
            check_works(self.batches, resume=order.again.resume, overwrite=order.again.overwrite, known=known)
        _ = self._model

    def run(self, progress: Progress, part: Callable[[int, int], None] = lambda done, count: None) -> Report:
        """Denoise all scans, and write what comes of them.

        Parameters
        ----------
        progress : Progress
            Told about stages, steps and slices.
        part : callable
            Told that a data set is next: how many are done, of how many.

        Raises
        ------
        DiffDenoiseError
            If the only scan can't be denoised, or the disk is full.
        """
        began = self._began
        for place, batch in enumerate(self.batches):
            part(place, len(self.batches))
            if self._is_known(batch, progress):
                continue
            if self._several:
                progress.say(f"{batch.title} ({place + 1} of {len(self.batches)})")
            self._denoise(batch, progress, began)
            began = time.monotonic()
        self.report.seconds = time.monotonic() - self._began
        return self.report

    @property
    def is_unfinished(self) -> bool:
        """Whether a run that is stopped now can be gone on with."""
        noted = self._journal is not None and bool(self.report.scans)
        return noted or any(self._is_stopped(batch) for batch in self.batches)

    def _key(self, batch: Batch) -> str:
        """The key of a data set, for which all of its files are read: once."""
        if batch.jobs not in self._keys:
            self._keys[batch.jobs] = key_of(batch.jobs, self._decisive)
        return self._keys[batch.jobs]

    @cached_property
    def _decisive(self) -> list[Any]:
        """All wishes that results depend on."""
        return self.order.decisive()

    def _is_known(self, batch: Batch, progress: Progress) -> bool:
        """Whether an earlier run has done a data set, or failed at it, and nothing has changed since."""
        journal, order = self._journal, self.order
        if not order.again.resume or journal is None or not any(journal.knows(job) for job in batch.jobs):
            return False
        if self._is_stopped(batch) and order.save_model is None:
            return False
        key = self._key(batch)
        failed = {job: journal.failure(job, key) for job in batch.jobs}
        done = [job for job in batch.jobs if journal.is_done(job, key, self._extras_of(job))]
        if order.again.retry_failed and any(failed.values()):
            return False
        if len(done) + sum(reason is not None for reason in failed.values()) < len(batch.jobs):
            return False
        self.report.done_before += len(done)
        if done:
            progress.say(f"done before, and unchanged: {batch.title}")
        for job, reason in failed.items():
            if reason is not None:
                self._fail(replace(_failure(job, reason), jobs=()), progress)
        return True

    def _extras_of(self, job: Job) -> list[Path]:
        return self.order.extras.files_of(job, alone=self._alone)

    def _denoise(self, batch: Batch, progress: Progress, began: float) -> None:
        """Denoise a data set, write its results, and note them."""
        order = self.order
        resume = order.again.resume and (self._is_stopped(batch) or order.save_model is not None)
        again = {job: order.again.overwrite or self._again(batch, job) for job in batch.jobs}
        key = None if self._journal is None else self._key(batch)
        written = 0
        for made in self._results(batch, resume, progress, began):
            if isinstance(made, Failure):
                self._fail(made, progress, key)
                continue
            job, result = made
            if self._journal is not None and key is not None:
                self._journal.note_begun(job, key)
            failure = batch.write(
                job, result, self._how, order.extras, float32=order.float32, overwrite=again[job]
            )
            if failure is not None:
                self._fail(failure, progress, key)
                continue
            written += 1
            self.report.add(job, result)
            if self._journal is not None and key is not None:
                self._journal.note_done(job, key, self._extras_of(job))
        if written and order.save_model is None and self._is_stopped(batch):
            shutil.rmtree(batch.work)

    def _results(
        self, batch: Batch, resume: bool, progress: Progress, began: float
    ) -> Iterator[tuple[Job, Result] | Failure]:
        order = self.order
        if self._model is not None:
            return batch.apply(self._model, order.axis, progress, force=order.force)
        keep = order.save_model is not None
        machine = order.machine
        how = Training(order.settings, resume, keep, machine.device, machine.threads, order.weights)
        if not order.trains:
            return batch.at_once(how, progress)
        return batch.learn(how, progress, began)

    def _fail(self, failure: Failure, progress: Progress, key: str | None = None) -> None:
        """Take in that there is no result, and note it."""
        self.report.failures.append(failure)
        progress.say(f"not denoised: {failure.line}")
        if self._journal is not None and key is not None:
            for job in failure.jobs:
                self._journal.note_failed(job, key, failure.reason)


def _failure(job: Job, reason: str) -> Failure:
    """What went wrong with a scan in an earlier run."""
    return Failure(job.name, f"{reason} (as before; {option('retry-failed')} tries again)", (job,))

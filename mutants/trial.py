"""Try mutants: break a copy of the tree, run the tests that must notice, mend it again.

Tests run in forked copies of this process, so that the libraries are loaded once and not for every mutant.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from mutants.listing import COPIED, Mutant

#: Seconds after which tests are taken to hang, which is no way to notice a breakage.
_HANG_S = 300.0
#: What is left out of the copy: the benchmark's results are large.
_NOT_COPIED = ("__pycache__", "cells")
#: Exit codes of pytest: all passed, some failed. Others say that the tests could not even begin.
_PASSED, _FAILED = 0, 1
#: Exit code of a fork in which the package was not the copy's.
_FOREIGN = 99


@dataclass(frozen=True)
class Outcome:
    """How a trial went.

    Attributes
    ----------
    mutant : Mutant or None
        None: the tree as it is.
    verdict : str
        "passed" (the mutant survived), "failed" (it was noticed), or what kept the tests from running.
    seconds : float
        Wall-clock time.
    log : str
        What the tests printed.
    """

    mutant: Mutant | None
    verdict: str
    seconds: float
    log: str


class _Slot:
    """A copy of the tree in which one trial runs at a time."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for path in root.iterdir():
            if path.name in COPIED:
                shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns(*_NOT_COPIED))
            elif not path.name.startswith("."):
                (folder / path.name).symlink_to(path.resolve())
        self.mutant: Mutant | None = None
        self.process: ForkProcess | None = None
        self._whole = ""
        self._began = 0.0
        self._writes = 0
        self._log = folder.with_suffix(".log")

    def start(self, mutant: Mutant | None, tests: Sequence[str]) -> None:
        """Break the copy and let the tests begin."""
        self.mutant = mutant
        if mutant is not None:
            file = self.folder / mutant.file
            self._whole = file.read_text(encoding="utf-8")
            self._write(file, mutant.applied(self._whole))
        self._began = time.monotonic()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_run_tests, args=(self.folder, list(tests), self._log))
        self.process.start()

    def _write(self, file: Path, text: str) -> None:
        """Write a file at a time of its own: Python knows compiled ones by second and size."""
        file.write_text(text, encoding="utf-8")
        self._writes += 1
        os.utime(file, (self._writes, self._writes))

    @property
    def hangs(self) -> bool:
        return time.monotonic() - self._began > _HANG_S

    def finish(self) -> Outcome:
        """Wait for the tests, mend the copy, and tell how they went."""
        process = self.process
        if process is None:
            raise RuntimeError("finish: no trial was started")
        hangs = self.hangs
        if hangs:
            process.kill()
        process.join()
        if self.mutant is not None:
            self._write(self.folder / self.mutant.file, self._whole)
        log = self._log.read_text(encoding="utf-8", errors="replace")
        verdict = "hangs" if hangs else _verdict(process.exitcode)
        self.process = None
        return Outcome(self.mutant, verdict, time.monotonic() - self._began, log)


def _verdict(code: int | None) -> str:
    if code == _FOREIGN:
        return "the package was not loaded from the copy"
    if code == _PASSED:
        return "passed"
    return "failed" if code == _FAILED else f"the tests could not run (exit code {code})"


def _run_tests(folder: Path, tests: list[str], log: Path) -> None:
    """Run tests in a fork, on the package of `folder`."""
    with log.open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(folder)
    own = [str(folder / "src"), str(folder)]
    sys.path[:0] = own
    # For what the tests start themselves.
    os.environ["PYTHONPATH"] = os.pathsep.join(own)
    options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    code = int(pytest.main([*options, "--rootdir", str(folder), *tests]))
    package = sys.modules.get("diffdenoise")
    if package is not None and not str(package.__file__).startswith(str(folder)):
        code = _FOREIGN
    sys.stdout.flush()
    os._exit(code)


@contextmanager
def copies(root: Path, count: int) -> Iterator[list[_Slot]]:
    """Make copies of the tree for as many trials at a time."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        slots = [_Slot(root, Path(temporary) / f"copy-{number}") for number in range(count)]
        try:
            yield slots
        finally:
            for slot in slots:
                if slot.process is not None:
                    slot.process.kill()
                    slot.process.join()


def unbroken(slots: Sequence[_Slot], mutants: Sequence[Mutant]) -> list[Outcome]:
    """Run all tests of these mutants on the tree as it is; return what did not pass."""
    tests = sorted({test for one in mutants for test in one.tests})
    # One that is named by itself runs with its whole file, if that is named too.
    tests = [test for test in tests if "::" not in test or test.partition("::")[0] not in tests]
    shares = [tests[number :: len(slots)] for number in range(len(slots))]
    started = [slot for slot, share in zip(slots, shares, strict=True) if share]
    for slot, share in zip(slots, shares, strict=True):
        if share:
            slot.start(None, share)
    outcomes = []
    for slot in started:
        while not slot.hangs and slot.process is not None and slot.process.is_alive():
            slot.process.join(1.0)
        outcomes.append(slot.finish())
    return [one for one in outcomes if one.verdict != "passed"]


def trials(
    slots: Sequence[_Slot], mutants: Sequence[Mutant], goes_on: Callable[[], bool]
) -> Iterator[Outcome]:
    """Try mutants, as many at a time as there are copies, while `goes_on` says so; yield as they end."""
    waiting = list(mutants)
    while True:
        for slot in slots:
            if slot.process is None and waiting and goes_on():
                mutant = waiting.pop(0)
                slot.start(mutant, mutant.tests)
        running = [slot for slot in slots if slot.process is not None]
        if not running:
            return
        sentinels = [slot.process.sentinel for slot in running if slot.process is not None]
        multiprocessing.connection.wait(sentinels, timeout=1.0)
        for slot in running:
            if slot.hangs or (slot.process is not None and not slot.process.is_alive()):
                yield slot.finish()

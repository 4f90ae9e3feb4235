"""Show the progress of a run on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from diffdenoise import types
from diffdenoise.cli.show import duration, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@contextmanager
def watch(quiet: bool, as_json: bool) -> Iterator[types.Progress]:
    """Yield what shows a run's progress, and leave the terminal in order however the run ends.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    as_json : bool
        Standard output is for a program: show bars only if a person sits at standard error.
    """
    # A "dumb" terminal can't move its cursor; bars would not show there at all.
    terminal = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    if quiet or (as_json and not terminal):
        yield types.Quiet()
        return
    progress = Bars() if terminal else Lines()
    try:
        yield progress
    finally:
        progress.close()


class Lines:
    """A `Progress` of plain lines, at each stage's start and end; for logs and pipes."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._step = 0
        self._loss: float | None = None
        self._began = 0.0

    def start(self, stage: str) -> None:
        """Print the stage's name."""
        self._stage, self._step, self._loss, self._began = stage, 0, None, time.monotonic()
        self.say(stage)

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Remember how far it is, for the line at the end."""
        self._step, self._loss = step, loss

    def finish(self) -> None:
        """Print what the stage did."""
        if self._stage is not None:
            self.say(f"{self._stage}: done, {self._summary()}")
        self._stage = None

    def say(self, text: str) -> None:
        """Print one line."""
        typer.echo(printable(text), err=True)

    def close(self) -> None:
        """Print nothing: a stage that was broken off isn't done."""
        self._stage = None

    def _summary(self) -> str:
        steps = f"{self._step} steps, " if self._step else ""
        loss = f"loss {self._loss:.4g}, " if self._loss is not None else ""
        return f"{steps}{loss}{duration(time.monotonic() - self._began)}"


class Bars:
    """A `Progress` of one bar a stage, on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        # Imported here and below: rich takes time to load that `info` and `--help` needn't spend.
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def start(self, stage: str) -> None:
        """Begin a new bar below the finished ones."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.close()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}", markup=False),
            TextColumn("{task.fields[left]}", markup=False),
            console=self._console,
        )
        self._task = self._bar.add_task(printable(stage), total=None, loss="", left="")
        self._bar.start()

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                completed=step,
                total=total,
                loss="" if loss is None else f"loss {loss:.4g}",
                left="" if seconds_left is None else f"{duration(seconds_left)} left",
            )

    def finish(self) -> None:
        """Leave the bar standing, with the time it took."""
        if self._bar is not None and self._task is not None:
            elapsed = self._bar.tasks[0].elapsed or 0.0
            self._bar.update(self._task, left=f"took {duration(elapsed)}")
        self.close()

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        from rich.text import Text

        self._console.print(Text(printable(text)), soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back, cursor shown."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None

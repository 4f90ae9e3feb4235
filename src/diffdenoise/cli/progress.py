"""Show the progress of a run on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from diffdenoise import types
from diffdenoise.cli.show import duration, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

#: Seconds from one line of a stage to the next, in logs.
_EVERY_S = 30.0


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


def part_of(progress: types.Progress, place: int, count: int) -> None:
    """Tell who watches that one of several data sets is next, for the time left in all.

    Parameters
    ----------
    progress : Progress
        What `watch` yields.
    place : int
        Data sets that are done.
    count : int
        All of them.
    """
    if isinstance(progress, Lines | Bars):
        progress.whole.part(place, count)


class Whole:
    """How far everything is that a command does: one run, or several data sets, one after another.

    Parameters
    ----------
    now : callable
        Source of seconds, replaceable in tests.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._place, self._count = 0, 1
        self._told: tuple[float, float, float] | None = None

    def part(self, place: int, count: int) -> None:
        """One of several data sets is next; `place` are done."""
        self._place, self._count, self._told = place, count, None

    def told(self, spent_s: float, total_s: float) -> None:
        """Seconds of this data set's run."""
        self._told = spent_s, total_s, self._now()

    def state(self, step: int, total: int | None) -> tuple[float, float] | None:
        """Return the share that is done and the seconds left, given the stage's steps; None if unknown.

        Of several data sets, those to come are taken to last as long as this one, where its run tells; where
        it doesn't, as those before.
        """
        if self._told is not None:
            spent_s, total_s, at = self._told
            spent_s = min(spent_s + self._now() - at, total_s)
            share = (self._place + (spent_s / total_s if total_s else 1)) / self._count
            return share, total_s - spent_s + (self._count - self._place - 1) * total_s
        if self._count == 1 or not total:
            return None
        share = (self._place + min(step / total, 1)) / self._count
        return (share, (self._now() - self._began) * (1 - share) / share) if share else None


class Lines:
    """A `Progress` of plain lines with the time: at each stage's start and end, and now and then between.

    Parameters
    ----------
    now : callable
        Source of seconds, replaceable in tests.
    clock : callable
        The time of day, where the machine is.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._now, self._clock = now, clock
        self._stage: str | None = None
        self._step = 0
        self._loss: float | None = None
        self._began = self._last = 0.0
        self.whole = Whole(now)

    def start(self, stage: str) -> None:
        """Print the stage's name."""
        self._stage, self._step, self._loss = stage, 0, None
        self._began = self._last = self._now()
        self.say(stage)

    def overall(self, spent_s: float, total_s: float) -> None:
        """Remember how far the whole run is."""
        self.whole.told(spent_s, total_s)

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Print how far it is, if the last line is a while ago."""
        self._step, self._loss = step, loss
        if self._stage is None or self._now() - self._last < _EVERY_S:
            return
        self._last = self._now()
        far = f"{100 * min(step / total, 1):.0f} %" if total else f"{step} steps"
        whole = self.whole.state(step, total)
        left = f", {duration(seconds_left)} left" if seconds_left is not None else ""
        if whole is not None:
            left = f", {duration(whole[1])} left in all"
        self.say(f"{self._stage}: {far}{left}")

    def finish(self) -> None:
        """Print what the stage did."""
        if self._stage is not None:
            self.say(f"{self._stage}: done, {self._summary()}")
        self._stage = None

    def say(self, text: str) -> None:
        """Print one line."""
        typer.echo(f"{self._clock().isoformat(timespec='seconds')} {printable(text)}", err=True)

    def close(self) -> None:
        """Print nothing: a stage that was broken off isn't done."""
        self._stage = None

    def _summary(self) -> str:
        steps = f"{self._step} steps, " if self._step else ""
        loss = f"loss {self._loss:.4g}, " if self._loss is not None else ""
        return f"{steps}{loss}{duration(self._now() - self._began)}"


class Bars:
    """A `Progress` of one bar a stage, on a terminal, and one for the whole below it."""

    def __init__(self, console: Console | None = None, now: Callable[[], float] = time.monotonic) -> None:
        # Imported here and below: rich takes time to load that `info` and `--help` needn't spend.
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._all: TaskID | None = None
        self.whole = Whole(now)

    def start(self, stage: str) -> None:
        """Begin a new bar below the finished ones."""
        from rich.progress import BarColumn, Progress, TextColumn

        self.close()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn("{task.fields[loss]}", markup=False),
            TextColumn("{task.fields[left]}", markup=False),
            console=self._console,
        )
        self._task = self._bar.add_task(printable(stage), total=None, count="", loss="", left="")
        self._show_whole(0, None)
        self._bar.start()

    def overall(self, spent_s: float, total_s: float) -> None:
        """Remember how far the whole run is."""
        self.whole.told(spent_s, total_s)

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Move the bars."""
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                completed=step,
                total=total,
                count=f"{step}/{'?' if total is None else total}",
                loss="" if loss is None else f"loss {loss:.4g}",
                left="" if seconds_left is None else f"{duration(seconds_left)} left",
            )
            self._show_whole(step, total)

    def _show_whole(self, step: int, total: int | None) -> None:
        """Move the lower bar; make it when there is something to show."""
        state = self.whole.state(step, total)
        if self._bar is None or state is None:
            return
        share, seconds_left = state
        if self._all is None:
            self._all = self._bar.add_task("in all", total=1.0, count="", loss="", left="")
        self._bar.update(
            self._all,
            completed=share,
            count=f"{100 * share:.0f} %",
            left=f"{duration(seconds_left)} left",
        )

    def finish(self) -> None:
        """Leave the stage's bar standing, with the time it took."""
        if self._bar is not None and self._task is not None:
            elapsed = self._bar.tasks[0].elapsed or 0.0
            self._bar.update(self._task, left=f"took {duration(elapsed)}")
        self.close()

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        from rich.text import Text

        self._console.print(Text(printable(text)), soft_wrap=True)

    def close(self) -> None:
        """Give the terminal back, cursor shown; the whole's bar goes on below the next stage's."""
        if self._bar is not None:
            if self._all is not None:
                self._bar.remove_task(self._all)
            self._bar.stop()
        self._bar = self._all = None

"""How far a whole run is, told beside how far its stage is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffdenoise.config import Steps
from diffdenoise.training.clock import Clock
from diffdenoise.types import OverallProgress, Progress


class WithOverall:
    """A `Progress` that hands everything on, and tells the seconds of the whole run to who wants them.

    Within a time budget these are the budget's. Where all stages have their steps given, the share of all
    steps that is done tells how long the run takes, as far as steps of all stages take equally long.

    Parameters
    ----------
    progress : Progress
        Who watches.
    clock : Clock
        Seconds spent on the run.
    budget_s : float
        Seconds in all, where a stage has no steps given; 0: unknown.
    names : sequence of str
        All stages, in order.
    schedule : dict of str to Steps
        Steps given.
    """

    def __init__(
        self,
        progress: Progress,
        clock: Clock,
        budget_s: float,
        names: Sequence[str],
        schedule: Mapping[str, Steps],
    ) -> None:
        self._progress = progress
        self._clock = clock
        self._budget_s = budget_s
        self._steps: dict[str, int] | None = None
        if all(name in schedule for name in names):
            self._steps = {name: schedule[name].steps for name in names}
        self._stage: str | None = None

    def enter(self, name: str) -> None:
        """A stage is next; all before it are done."""
        self._stage = name

    def start(self, stage: str) -> None:
        """Hand on."""
        self._progress.start(stage)

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Tell the whole first, so that what is shown of the stage goes with it."""
        spent_s = self._clock.spent_s
        total_s = self._total_s(step, spent_s)
        if total_s is not None and isinstance(self._progress, OverallProgress):
            self._progress.overall(spent_s, max(spent_s, total_s))
        self._progress.advance(step, total, loss, seconds_left)

    def finish(self) -> None:
        """Hand on."""
        self._progress.finish()

    def say(self, text: str) -> None:
        """Hand on."""
        self._progress.say(text)

    def _total_s(self, step: int, spent_s: float) -> float | None:
        if self._steps is None or self._stage not in self._steps:
            return self._budget_s or None
        names = list(self._steps)
        before = sum(self._steps[name] for name in names[: names.index(self._stage)])
        done = before + min(step, self._steps[self._stage])
        return spent_s * sum(self._steps.values()) / done if done else None

"""Turn a wall-clock budget into step counts, from the speed measured while training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from math import cos, pi

from diffdenoise.config import Steps

#: Share of a stage after which its learning rate falls.
DECAY_FROM = 0.6
#: First steps are slower (memory is laid out, kernels chosen) and don't count for the speed.
_WARM_UP_STEPS = 3
#: Share of its time by which a stage may take longer, where steps became slower, to end as planned.
OVER = 0.05


class Clock:
    """Seconds spent on a run, across interruptions, against its budget.

    Parameters
    ----------
    budget_s : float or None
        Seconds in all; None if every stage has its steps given.
    spent_s : float
        Seconds already spent before this process.
    now : callable
        Source of seconds, replaceable in tests.
    """

    def __init__(
        self, budget_s: float | None, spent_s: float = 0.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._start = now() - spent_s
        self.budget_s = budget_s

    @property
    def spent_s(self) -> float:
        """Seconds spent so far."""
        return self._now() - self._start

    def set_spent(self, seconds: float) -> None:
        """Correct the seconds spent, after a stage that was interrupted."""
        self._start = self._now() - seconds

    def share(self, part: float, of: float) -> float:
        """Seconds for a stage that takes `part` of the `of` still to be given out."""
        if self.budget_s is None:
            raise ValueError("a run without a budget has no time to share out")
        return max(0.0, self.budget_s - self.spent_s) * part / of


class StagePlan:
    """Decides after each step whether a stage goes on, and with which learning rate.

    With `steps` given the plan is fixed. With `seconds` given, the learning rate is constant until
    60 % of the time is spent, then falls over as many steps as the measured speed allows in what is
    left; `steps` then says what was done, and repeats it when given.

    Parameters
    ----------
    steps : Steps or None
        The steps to take; None to fill `seconds`.
    seconds : float
        Time for the stage when `steps` is None.
    now : callable
        Source of seconds, replaceable in tests.
    over : float
        Share of `seconds` by which it may take longer; 0 for a stage that nothing comes after to make up for.
    most : int, optional
        Steps at most, however much time there is.
    """

    def __init__(
        self,
        steps: Steps | None,
        seconds: float = 0.0,
        now: Callable[[], float] = time.monotonic,
        over: float = OVER,
        most: int | None = None,
    ) -> None:
        self._now = now
        self._most = math.inf if most is None else most
        self._over = over
        self._start = now()
        self._seconds = seconds
        self._fixed = steps
        self._done = 0
        self._measured_from: tuple[int, float] | None = None
        self._decay_start: int | None = None
        self._decay_steps = 0
        if steps is not None:
            start = steps.decay_start
            self._decay_start = int(DECAY_FROM * steps.steps) if start is None else start
            self._decay_steps = steps.decay_steps or max(1, steps.steps - self._decay_start)

    @property
    def spent_s(self) -> float:
        """Seconds since the stage began."""
        return self._now() - self._start

    def state(self) -> dict[str, float | int | None]:
        """What must be stored to go on after an interruption."""
        return {
            "seconds": self._seconds,
            "spent_s": self.spent_s,
            "done": self._done,
            "decay_start": self._decay_start,
            "decay_steps": self._decay_steps,
        }

    def restore(self, state: dict[str, float | int | None]) -> None:
        """Go on from a stored `state`."""
        self._seconds = float(state["seconds"] or 0.0)
        self._start = self._now() - float(state["spent_s"] or 0.0)
        self._done = int(state["done"] or 0)
        start = state["decay_start"]
        self._decay_start = None if start is None else int(start)
        self._decay_steps = int(state["decay_steps"] or 0)
        self._measured_from = None

    def after_step(self, done: int) -> bool:
        """Note that `done` steps are done; return whether another one follows."""
        self._done = done
        if self._fixed is not None:
            return done < self._fixed.steps
        elapsed = self.spent_s
        if self._decay_start is not None:
            return done < self._decay_start + self._decay_steps and elapsed < (1 + self._over) * self._seconds
        if self._measured_from is None:
            if done >= _WARM_UP_STEPS:
                self._measured_from = (done, elapsed)
        elif elapsed >= DECAY_FROM * self._seconds or done >= DECAY_FROM * self._most:
            left = min((self._seconds - elapsed) / self._step_seconds(elapsed), self._most - done)
            self._decay_start = done
            self._decay_steps = max(1, int(left))
            return left >= 1
        return elapsed < self._seconds and done < self._most

    def _step_seconds(self, elapsed: float) -> float:
        steps, seconds = self._measured_from or (0, 0.0)
        return max((elapsed - seconds) / max(self._done - steps, 1), 1e-6)

    def learning_rate(self, step: int) -> float:
        """Factor on the peak learning rate for a step (from 0); half a cosine at the end."""
        warm_up = min(1.0, (step + 1) / 50)
        if self._decay_start is None or step < self._decay_start:
            return warm_up
        progress = min(1.0, (step - self._decay_start) / self._decay_steps)
        return warm_up * 0.5 * (1 + cos(pi * progress))

    def total(self) -> int | None:
        """Steps in all as far as can be told by now."""
        if self._fixed is not None:
            return self._fixed.steps
        if self._decay_start is not None:
            return self._decay_start + self._decay_steps
        if self._measured_from is None or self._done <= self._measured_from[0] + 2:
            return None
        return int(min(self._seconds / self._step_seconds(self.spent_s), self._most))

    def seconds_left(self) -> float | None:
        """Seconds until the stage ends, as far as can be told by now."""
        if self._fixed is None:
            left_s, total = max(0.0, self._seconds - self.spent_s), self.total()
            if math.isinf(self._most) or total is None:
                return left_s
            return min(left_s, max(0, total - self._done) * self._step_seconds(self.spent_s))
        if not self._done:
            return None
        return self.spent_s / self._done * (self._fixed.steps - self._done)

    def steps(self) -> Steps:
        """What was done, as settings that repeat it."""
        if self._decay_start is None or self._decay_start >= self._done:
            # Too short a time for a decay: as many steps at the constant rate.
            return Steps(steps=max(self._done, 1), decay_start=max(self._done, 1), decay_steps=1)
        return Steps(steps=self._done, decay_start=self._decay_start, decay_steps=self._decay_steps)

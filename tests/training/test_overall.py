"""The time of a whole run, from its budget or its steps."""

from __future__ import annotations

from pathlib import Path

from diffdenoise.config import Steps
from diffdenoise.images import scan_of
from diffdenoise.method.train import train
from diffdenoise.training.clock import Clock
from diffdenoise.training.overall import WithOverall
from diffdenoise.types import Quiet
from tests.conftest import make_volume, tiny_settings


class Watcher(Quiet):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, ...]] = []

    def overall(self, spent_s: float, total_s: float) -> None:
        """Keep it."""
        self.heard.append((spent_s, total_s))

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Keep it."""
        self.heard.append((step,))


NAMES = ["blind-spot", "diffusion", "student"]


def test_a_time_budget_is_the_whole() -> None:
    watcher = Watcher()
    clock = Clock(576, 60, now=lambda: 0.0)
    whole = WithOverall(watcher, clock, 600, NAMES, {"diffusion": Steps(steps=5)})
    whole.enter("diffusion")
    whole.advance(2, 5, None, None)
    clock.set_spent(620)
    whole.advance(3, 5, None, None)
    # Told before the stage; more than the budget is never the half of it.
    assert watcher.heard == [(60, 600), (2,), (620, 620), (3,)]


def test_given_steps_tell_the_whole() -> None:
    watcher = Watcher()
    clock = Clock(None, 30, now=lambda: 0.0)
    schedule = dict(zip(NAMES, (Steps(steps=10), Steps(steps=20), Steps(steps=70)), strict=True))
    whole = WithOverall(watcher, clock, 600, NAMES, schedule)
    whole.enter("blind-spot")
    whole.advance(5, 10, None, None)
    whole.enter("student")
    whole.advance(20, 70, None, None)
    assert watcher.heard == [(30, 600), (5,), (30, 60), (20,)]


def test_nothing_is_told_where_nothing_is_known_or_wanted() -> None:
    watcher = Watcher()
    clock = Clock(None, 30, now=lambda: 0.0)
    WithOverall(watcher, clock, 0, NAMES, {}).advance(1, 2, None, None)
    assert watcher.heard == [(1,)]
    WithOverall(Quiet(), clock, 600, NAMES, {}).advance(1, 2, None, None)


def test_a_run_tells_how_far_it_is(tmp_path: Path) -> None:
    watcher = Watcher()
    train([scan_of(make_volume())], tiny_settings(), tmp_path / "model", device="cpu", progress=watcher)
    shares = [round(pair[0] / pair[1], 9) for pair in watcher.heard if len(pair) == 2]
    # Stages that are left out count as done: it never goes back, and ends with the last step.
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[-1] == 1

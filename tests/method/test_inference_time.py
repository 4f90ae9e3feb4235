"""How long denoising will take is told where it will run, and for what is computed twice, too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from diffdenoise.config import Settings
from diffdenoise.method.inference_time import inference_s
from diffdenoise.model import denoiser
from diffdenoise.model.graph import reach
from diffdenoise.model.tiles import Channels
from diffdenoise.networks.student import student_network


class _Slow:
    """A backend whose seconds are those of a clock: many for the first run, then one a run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.shapes: list[tuple[int, ...]] = []

    def run(self, channels: Channels) -> Channels:
        self.seconds += 1.0 if self.shapes else 100.0
        self.shapes.append(channels.shape)
        return channels[:, :1]

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> _Slow:
    backend = _Slow()
    made: Callable[..., _Slow] = lambda *_: backend  # noqa: E731
    monkeypatch.setattr(denoiser, "make_backend", made)
    return backend


def test_the_second_of_two_runs_tells_the_seconds_of_all_pixels(slow: _Slow) -> None:
    student = student_network(Settings(), 1)
    sizes = [(64, 64)] * 3 + [(128, 32)]
    found = inference_s(student, (4, 3, 32, 32), sizes, "cpu", slow.now)
    assert slow.shapes == [(4, 3, 32, 32)] * 2
    assert found == pytest.approx(4 * 64 * 64 / (4 * 32 * 32))


def test_pieces_of_a_large_slice_are_counted_with_what_they_share(slow: _Slow) -> None:
    student = student_network(Settings(), 0)
    found = inference_s(student, (1, 1, 64, 64), [(4096, 3328)], "cpu", slow.now)
    side = 640
    more = (side / (side - 2 * reach())) ** 2
    assert 1.05 < more < 1.5
    assert found == pytest.approx(more * 4096 * 3328 / 64**2, rel=1e-3)


def test_a_students_seconds_are_positive() -> None:
    student = student_network(Settings.build(stage3={"width": 4}), 0)
    ticks = iter(np.arange(10.0))
    assert inference_s(student, (2, 1, 30, 30), [(40, 36)], "cpu", lambda: float(next(ticks))) > 0

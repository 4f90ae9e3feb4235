"""The ceiling goes on as long as that helps, keeps its best round, and says how it ended."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.data import Data
from bench.noise import Noise
from bench.peers import ceiling
from bench.peers.trained import Job
from diffdenoise.config import Settings, Steps
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import Hardware

NOISE = Noise("gaussian", 0.1)


def data_of(count: int, others: int = 0) -> Data:
    rng = np.random.default_rng(0)
    clean = [np.kron(rng.random((count, 4, 4)), np.ones((1, 8, 8))).astype(np.float32)]
    noisy = [NOISE.add(clean[0], rng)]
    more = [np.kron(rng.random((others, 4, 4)), np.ones((1, 8, 8))).astype(np.float32)] if others else []
    return Data(noisy, clean, noisy, clean, NOISE, others=more, scored=[(0, 0), (0, count - 1)])


def job_of(data: Data) -> Job:
    settings = Settings.build(
        minutes=1.0, stage1={"width": 4}, stage2={"width": 4}, stage3={"width": 4}, data={"patch": 16}
    )
    plan = make_plan([from_array(stack) for stack in data.noisy], settings)
    return Job(data, plan, settings, 0.1, Hardware(torch.device("cpu"), bf16=False), lambda: 0.0)


def reached(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> list[int]:
    """Let rounds reach these values on the slices kept back; returns the rounds' numbers as they are run."""
    left, rounds = list(values), []

    def fit(_: Job, network: torch.nn.Module, __: object, rate: float | None = None) -> Steps:
        rounds.append(len(rounds) + 1)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(0.001 * rounds[-1])
        return Steps(steps=7)

    monkeypatch.setattr(Job, "fit", fit)
    monkeypatch.setattr(ceiling._Held, "psnr", lambda *_: left.pop(0))
    return rounds


def test_it_ends_when_a_round_adds_nothing_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = reached(monkeypatch, [20.0, 30.0, 31.0, 30.5])
    kept: list[float] = []
    monkeypatch.setattr(Job, "estimates", lambda job, estimate_of: kept.append(_weight(estimate_of)) or {})
    _, details = ceiling.ceiling(job_of(data_of(12)))
    assert rounds == [1, 2, 3]
    assert details["stopped"] == "no further rise"
    assert details["held_psnr"] == [20.0, 30.0, 31.0, 30.5]
    assert details["steps"] == 21
    assert kept == pytest.approx([0.002])


def _weight(estimate_of: object) -> float:
    held = [cell.cell_contents for cell in estimate_of.__closure__]  # type: ignore[attr-defined]
    (student,) = [one for one in held if isinstance(one, torch.nn.Module)]
    return float(next(student.parameters()).detach().flatten()[0])


def test_it_says_when_it_ended_by_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = reached(monkeypatch, [20.0 + value for value in range(20)])
    monkeypatch.setattr(Job, "estimates", lambda *_: {})
    _, details = ceiling.ceiling(job_of(data_of(12)))
    assert len(rounds) == details["most_rounds"] == ceiling.MOST_ROUNDS
    assert details["stopped"] == "cap"


def test_peers_are_scored_in_one_pass_and_averaged_over_eight_turned_back() -> None:
    data = data_of(4)
    found = job_of(data).estimates(lambda item: item[:, :1])
    scored = np.stack([data.noisy[s][k] for s, k in data.scored])
    for row in ("one-pass", "result"):
        np.testing.assert_allclose(found[row], scored, atol=1e-6)
    # What lies one pixel up lies on all sides when turned: the mean of eight tells that they were.
    moved = job_of(data).estimates(lambda item: torch.roll(item[:, :1], 1, 2))
    sides = sum(np.roll(scored, step, axis) for step in (1, -1) for axis in (1, 2)) / 4
    np.testing.assert_allclose(moved["one-pass"], np.roll(scored, 1, 1), atol=1e-6)
    np.testing.assert_allclose(moved["result"], sides, atol=1e-6)


def test_slices_kept_back_are_neither_learned_from_nor_scored() -> None:
    data = data_of(12)
    split = ceiling.own_scan(job_of(data))
    held = split.held[0]
    assert len(held) >= 3
    for image in held:
        assert not any(np.array_equal(image, other) for stack in split.train for other in stack)
        assert not any(np.array_equal(image, data.clean[s][k]) for s, k in data.scored)
    assert sum(map(len, split.train)) + len(held) == 12


def test_where_all_slices_are_scored_other_people_tell_when_to_stop() -> None:
    data = data_of(3, others=2)
    split = ceiling.own_scan(job_of(data))
    assert split.train is data.train_clean
    assert split.held is data.others


def test_of_other_people_nothing_of_this_scan_is_learned() -> None:
    data = data_of(3, others=40)
    split = ceiling._kept_back(data.others, [])
    assert sum(map(len, split.train)) + sum(map(len, split.held)) == 40
    with pytest.raises(ValueError, match="no clean images of other people"):
        ceiling.ceiling_others(job_of(data_of(3)))

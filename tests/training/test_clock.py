"""Stages that fill a time budget, watched with a clock that only the test moves."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from diffdenoise.config import Steps
from diffdenoise.training.clock import DECAY_FROM, Clock, StagePlan


class FakeTime:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def train(plan, time, step_s, done=0, stop_after=None):
    """Take steps as the training loop does; return each step's rate and the steps done."""
    rates = []
    go = True
    while go and (stop_after is None or done < stop_after):
        # The loop sets a step's rate before the plan hears of the step before it.
        rates.append(plan.learning_rate(done))
        time.seconds += step_s(done)
        done += 1
        go = plan.after_step(done)
    return rates, done


def timed_plan(seconds):
    time = FakeTime()
    return StagePlan(None, seconds, now=time), time


@given(seconds=st.floats(0.5, 300), step_s=st.floats(0.02, 2.0))
@example(seconds=1.0, step_s=0.3)
@example(seconds=1.0, step_s=5.0)
def test_a_stage_fills_its_budget_and_stops_inside_it(seconds, step_s):
    plan, time = timed_plan(seconds)
    _, done = train(plan, time, lambda _: step_s)
    # The last step may begin inside the budget and end after it.
    assert plan.spent_s < seconds + step_s + 1e-6
    assert plan.spent_s > seconds - 2 * step_s - 1e-6
    assert plan.steps().steps == done


@given(
    seconds=st.floats(1, 60),
    step_s=st.floats(0.05, 1.0),
    slow_from=st.integers(0, 1500),
    factor=st.floats(0.3, 5.0),
)
def test_steps_given_back_repeat_every_learning_rate(seconds, step_s, slow_from, factor):
    plan, time = timed_plan(seconds)
    rates, done = train(plan, time, lambda step: step_s * (factor if step >= slow_from else 1))
    steps = Steps(**json.loads(plan.steps().model_dump_json()))
    again, repeated = train(StagePlan(steps, now=FakeTime()), FakeTime(), lambda _: 1.0)
    assert repeated == done
    assert again == pytest.approx(rates, abs=1e-12)


def test_the_rate_warms_up_stays_and_falls_to_nearly_nothing():
    plan, time = timed_plan(100)
    rates, done = train(plan, time, lambda _: 0.1)
    assert done == pytest.approx(1000, abs=2)
    assert rates[:50] == sorted(rates[:50])
    assert rates[0] == pytest.approx(1 / 50)
    start = int(DECAY_FROM * 1000) - 1
    assert set(rates[49:start]) == {1.0}
    assert rates[start + 5 :] == sorted(rates[start + 5 :], reverse=True)
    assert rates[-1] < 1e-3


def test_a_slow_down_in_the_decay_is_cut_at_105_percent():
    plan, time = timed_plan(100)
    _, done = train(plan, time, lambda step: 0.1 if step < 700 else 0.5)
    assert 105 <= plan.spent_s <= 105 + 0.5
    assert done < 1000


def test_the_last_stage_is_cut_when_its_time_is_over():
    time = FakeTime()
    plan = StagePlan(None, 100, now=time, over=0.0)
    train(plan, time, lambda step: 0.1 if step < 700 else 0.3)
    assert 100 <= plan.spent_s < 100.5


def test_slow_first_steps_do_not_count_for_the_speed():
    plan, time = timed_plan(100)
    _, done = train(plan, time, lambda step: 5.0 if step < 3 else 0.1)
    assert plan.spent_s == pytest.approx(100, abs=0.3)
    assert done == pytest.approx(3 + 850, abs=3)


@pytest.mark.parametrize("stop_after", [1, 3, 100, 598, 605, 800, 999])
def test_an_interrupted_stage_goes_on_where_it_was(stop_after):
    unbroken, time = timed_plan(100)
    expected, total = train(unbroken, time, lambda _: 0.1)

    first, time = timed_plan(100)
    before, done = train(first, time, lambda _: 0.1, stop_after=stop_after)
    state = json.loads(json.dumps(first.state()))
    later, later_time = timed_plan(1)
    later_time.seconds += 7777  # time between stop and resume does not count
    later.restore(state)
    after, finished = train(later, later_time, lambda _: 0.1, done)

    assert later.spent_s == pytest.approx(100, abs=0.3)
    assert finished == pytest.approx(total, abs=3)
    if stop_after > 601:  # the decay had begun: nothing is left to be measured
        assert before + after == expected
    repeated, _ = train(StagePlan(later.steps(), now=FakeTime()), FakeTime(), lambda _: 1.0)
    assert repeated == before + after


def test_a_plan_of_given_steps_ignores_the_time():
    time = FakeTime()
    plan = StagePlan(Steps(steps=10), 1.0, now=time)
    rates, done = train(plan, time, lambda _: 100.0)
    assert done == 10
    assert plan.total() == 10
    assert plan.steps() == Steps(steps=10, decay_start=6, decay_steps=4)
    assert [rate * 50 / (step + 1) for step, rate in enumerate(rates)] == pytest.approx(
        [1, 1, 1, 1, 1, 1, 1, 0.853553, 0.5, 0.146447], abs=1e-5
    )


def test_what_can_be_told_about_the_end():
    plan, time = timed_plan(100)
    assert plan.total() is None
    train(plan, time, lambda _: 0.1, stop_after=200)
    assert plan.total() == pytest.approx(1000, abs=1)
    assert plan.seconds_left() == pytest.approx(80)
    fixed_time = FakeTime()
    fixed = StagePlan(Steps(steps=40), now=fixed_time)
    assert fixed.seconds_left() is None
    train(fixed, fixed_time, lambda _: 2.0, stop_after=10)
    assert fixed.seconds_left() == pytest.approx(60)


def test_the_budget_is_shared_by_what_is_left():
    time = FakeTime()
    clock = Clock(100.0, spent_s=20.0, now=time)
    assert clock.share(1, of=4) == pytest.approx(20)
    time.seconds += 40
    assert clock.spent_s == pytest.approx(60)
    assert clock.share(1, of=1) == pytest.approx(40)
    clock.set_spent(10)
    assert clock.share(1, of=1) == pytest.approx(90)
    time.seconds += 1000
    assert clock.share(1, of=1) == 0


def test_a_run_without_a_budget_has_no_time_to_share():
    with pytest.raises(ValueError, match="without a budget"):
        Clock(None, now=FakeTime()).share(1, of=2)


def test_a_stage_of_a_most_number_of_steps_ends_there_with_a_decay_of_its_own():
    time = FakeTime()
    plan = StagePlan(None, 1000.0, now=time, most=200)
    rates, done = train(plan, time, lambda _: 0.5)
    assert done == 200
    assert time.seconds == pytest.approx(1100)
    assert rates[100] == 1.0
    assert rates[-1] < 0.01
    assert plan.steps() == Steps(steps=200, decay_start=120, decay_steps=80)
    assert plan.total() == 200


def test_what_is_left_of_a_stage_of_a_most_number_of_steps_is_told_by_these():
    time = FakeTime()
    plan = StagePlan(None, 1000.0, now=time, most=200)
    train(plan, time, lambda _: 0.5, stop_after=100)
    assert plan.total() == 200
    assert plan.seconds_left() == pytest.approx(50, rel=0.05)

"""Progress: bars on a terminal, plain lines elsewhere, nothing when told so."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone

import pytest
from rich.console import Console

from diffdenoise.cli.progress import Bars, Lines, Whole, part_of, watch
from diffdenoise.types import Progress, Quiet


def walk(progress: Progress) -> None:
    """Report two stages."""
    progress.say("noise level: 3 [units]")
    progress.start("stage 1 of 3: blind-spot network")
    progress.advance(1, None, None, None)
    progress.advance(50, 100, 0.123456, 61.0)
    progress.finish()
    progress.start("stage 2 of 3: diffusion")
    progress.advance(7, 7, 2.0, 0.0)
    progress.finish()


def test_without_a_terminal_there_is_one_plain_line_at_each_start_and_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with watch(quiet=False, as_json=False) as progress:
        walk(progress)
    out, err = capsys.readouterr()
    assert out == ""
    stamps, lines = zip(*(line.split(" ", 1) for line in err.splitlines()), strict=True)
    assert all(datetime.fromisoformat(stamp).tzinfo is not None for stamp in stamps)
    assert list(lines[:2]) == ["noise level: 3 [units]", "stage 1 of 3: blind-spot network"]
    assert lines[2].startswith("stage 1 of 3: blind-spot network: done, 50 steps, loss 0.1235, ")
    assert lines[3] == "stage 2 of 3: diffusion"
    assert lines[4].startswith("stage 2 of 3: diffusion: done, 7 steps, loss 2, ")
    assert len(lines) == 5
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(("quiet", "as_json"), [(True, False), (False, True), (True, True)])
def test_quiet_and_json_show_nothing_without_a_terminal(
    quiet: bool, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with watch(quiet=quiet, as_json=as_json) as progress:
        walk(progress)
    assert isinstance(progress, Quiet)
    assert capsys.readouterr() == ("", "")


def test_bars_show_stage_step_loss_and_time_left() -> None:
    screen = io.StringIO()
    bars = Bars(
        Console(file=screen, force_terminal=True, width=120, color_system=None, _environ={"TERM": "xterm"})
    )
    bars.start("stage 1 of 3: [blind-spot] network")
    bars.advance(50, 100, 0.123456, 61.0)
    assert bars._bar is not None
    bars._bar.refresh()
    shown = screen.getvalue()
    for word in ("stage 1 of 3: [blind-spot] network", "50/100", "loss 0.1235", "1 min 01 s left"):
        assert word in shown
    bars.finish()
    bars.say("saved in [folder]")
    assert "took 0.0 s" in screen.getvalue()
    assert "saved in [folder]" in screen.getvalue()


def test_the_cursor_comes_back_when_a_run_is_stopped() -> None:
    screen = io.StringIO()
    bars = Bars(Console(file=screen, force_terminal=True, width=120, _environ={"TERM": "xterm"}))
    bars.start("stage")
    assert "\x1b[?25l" in screen.getvalue()
    bars.close()
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")


def test_a_broken_off_stage_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        with watch(quiet=False, as_json=False) as progress:
            progress.start("stage 1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert capsys.readouterr().err.split(" ", 1)[1] == "stage 1\n"


class FakeTime:
    """Seconds that pass when told to, and a time of day that goes with them."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        """Like `time.monotonic`."""
        return self.seconds

    def clock(self) -> datetime:
        """Like `datetime.now`."""
        zone = timezone(timedelta(hours=2))
        return datetime(2025, 3, 1, 12, 0, 0, tzinfo=zone) + timedelta(seconds=self.seconds - 1000)


def test_a_log_gets_a_line_every_half_minute_at_most(capsys: pytest.CaptureFixture[str]) -> None:
    time = FakeTime()
    lines = Lines(time.now, time.clock)
    lines.start("stage 1")
    for step in range(1, 81):
        time.seconds += 1
        lines.overall(10 + step, 600)
        lines.advance(step, None if step < 40 else 160, 0.5, 160.0 - step)
    lines.finish()
    assert capsys.readouterr().err.splitlines() == [
        "2025-03-01T12:00:00+02:00 stage 1",
        "2025-03-01T12:00:30+02:00 stage 1: 30 steps, 9 min 20 s left in all",
        "2025-03-01T12:01:00+02:00 stage 1: 38 %, 8 min 50 s left in all",
        "2025-03-01T12:01:20+02:00 stage 1: done, 80 steps, loss 0.5, 1 min 20 s",
    ]


def test_where_the_whole_is_unknown_a_log_tells_the_stages_time(capsys: pytest.CaptureFixture[str]) -> None:
    time = FakeTime()
    lines = Lines(time.now, time.clock)
    lines.start("denoising")
    time.seconds += 30
    lines.advance(3, 12, None, 90.0)
    time.seconds += 30
    lines.advance(6, 12, None, None)
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == [
        "denoising",
        "denoising: 25 %, 1 min 30 s left",
        "denoising: 50 %",
    ]


def test_the_whole_counts_all_data_sets() -> None:
    time = FakeTime()
    whole = Whole(time.now)
    assert whole.state(5, 10) is None
    whole.told(30, 120)
    assert whole.state(5, 10) == (0.25, 90)
    time.seconds += 30
    assert whole.state(9, 10) == (0.5, 60)
    whole.part(1, 4)
    # One of four is done after 30 s, a half of the second too.
    assert whole.state(5, 10) == (0.375, 50)
    whole.told(30, 120)
    assert whole.state(5, 10) == (1.25 / 4, 90 + 2 * 120)
    time.seconds += 500
    assert whole.state(10, 10) == (0.5, 240)


def test_a_bar_for_the_whole_stands_below_the_stages_and_goes_with_it() -> None:
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=120, color_system=None, _environ={"TERM": "xterm"}
    )
    bars = Bars(console, FakeTime().now)
    bars.start("stage 1")
    assert bars._bar is not None
    assert len(bars._bar.tasks) == 1
    bars.overall(150, 600)
    bars.advance(50, 100, None, 61.0)
    assert [task.description for task in bars._bar.tasks] == ["stage 1", "in all"]
    bars._bar.refresh()
    last = screen.getvalue().rpartition("in all")[2]
    assert "25 %" in last
    assert "7 min 30 s left" in last
    bars.finish()
    bars.start("stage 2")
    assert [task.description for task in bars._bar.tasks] == ["stage 2", "in all"]
    bars.close()


def test_who_watches_a_command_is_told_of_its_data_sets() -> None:
    lines = Lines(FakeTime().now)
    part_of(lines, 1, 2)
    assert lines.whole.state(0, 10) == (0.5, 0)
    part_of(Quiet(), 1, 2)

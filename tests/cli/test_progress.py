"""Progress: bars on a terminal, plain lines elsewhere, nothing when told so."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from diffdenoise.cli.progress import Bars, watch
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
    lines = err.splitlines()
    assert lines[:2] == ["noise level: 3 [units]", "stage 1 of 3: blind-spot network"]
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
    assert capsys.readouterr().err == "stage 1\n"

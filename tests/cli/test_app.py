"""The command as a whole: version, help, faults, and `python -m diffdenoise`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diffdenoise._version import __version__
from diffdenoise.cli import info as info_module

from .conftest import Outcome

Run = Callable[..., Outcome]
COMMANDS = ["denoise", "train", "info", "simulate", "evaluate"]


def test_version(run: Run) -> None:
    outcome = run("--version")
    assert (outcome.code, outcome.out) == (0, f"diffdenoise {__version__}\n")


def test_help_lists_all_commands_with_and_without_asking(run: Run) -> None:
    for words in ([], ["--help"], ["-h"]):
        outcome = run(*words)
        assert outcome.code == 0
        assert all(command in outcome.out for command in COMMANDS)


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "COMPREPLY"), ("zsh", "#compdef diffdenoise"), ("fish", "commandline")]
)
def test_the_completion_script_of_a_shell_is_printed(
    run: Run, shell: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Put back afterwards: it would ask all later commands for completions.
    monkeypatch.setenv("_DIFFDENOISE_COMPLETE", "")
    outcome = run("--show-completion", shell)
    assert outcome.code == 0
    assert word in outcome.out
    assert "_DIFFDENOISE_COMPLETE" in outcome.out
    assert outcome.err == ""


def test_completion_for_an_unknown_shell_is_refused(run: Run) -> None:
    for words in (["--show-completion", "tcsh"], ["--install-completion", "zsh"]):
        outcome = run(*words)
        assert outcome.code == 2
        assert outcome.err.startswith(f"diffdenoise: Invalid value: {words[0]} {words[1]}: expected ")
        assert outcome.err.count("\n") == 1


def test_the_shell_completes_commands_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(words: str, position: int) -> list[str]:
        env = {
            **os.environ,
            "_DIFFDENOISE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(position),
        }
        done = subprocess.run(
            [sys.executable, "-m", "diffdenoise"], capture_output=True, text=True, check=False, env=env
        )
        assert done.stderr == ""
        return done.stdout.split()

    assert completed("diffdenoise ev", 1) == ["evaluate"]
    assert "--overwrite" in completed("diffdenoise denoise --ov", 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_general_options(
    run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert all(option in outcome.out for option in ("--quiet", "--json", "--debug"))


def test_a_fault_is_one_line_and_exit_code_1(run: Run, noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(info_module, "describe", broken)
    outcome = run("info", noisy)
    assert outcome.code == 1
    assert outcome.err == (
        "diffdenoise: internal error: ZeroDivisionError; run again with --debug and report it\n"
    )
    assert run("info", noisy, "--json").json["kind"] == "InternalError"


def test_warnings_of_libraries_are_shown_for_debugging_only(
    run: Run, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = info_module.describe

    def noisily(*words: Any) -> Any:
        warnings.warn("overflow in a library", RuntimeWarning, stacklevel=1)
        return describe(*words)

    monkeypatch.setattr(info_module, "describe", noisily)
    before = warnings.showwarning
    # As Python starts; pytest would keep warnings to itself.
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(
            warnings, "_showwarnmsg_impl", lambda each: sys.stderr.write(f"{each.filename}\n")
        )
        outcome = run("info", noisy)
        assert (outcome.code, outcome.err) == (0, "")
        outcome = run("info", noisy, "--debug")
        assert outcome.code == 0
        assert f"{__file__}:" in outcome.err
        assert "RuntimeWarning: overflow in a library" in outcome.err
    assert warnings.showwarning is before


def test_ctrl_c_is_exit_code_130(run: Run, noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(info_module, "describe", stop)
    outcome = run("info", noisy)
    assert (outcome.code, outcome.err) == (130, "diffdenoise: stopped\n")


def test_running_as_a_module(noisy: Path, tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "diffdenoise", *words],
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )

    done = command("info", str(noisy), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["shape"] == [64, 60, 5]
    assert done.stderr == ""
    failed = command("info", str(tmp_path / "none.nii"))
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.count("\n") == 1
    wrong = command("denoise")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    assert "diffdenoise denoise --help" in wrong.stderr

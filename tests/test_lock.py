"""Which process something belongs to, and that only one at a time uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from diffdenoise import owner
from diffdenoise.errors import OutputError
from diffdenoise.lock import locked, owner_of, take
from diffdenoise.owner import Owner, state_of_tag, this_process


def dead_process() -> Owner:
    """A process that has ended."""
    code = "import json; from dataclasses import asdict; from diffdenoise.owner import this_process; "
    code += "print(json.dumps(asdict(this_process())))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return Owner(**json.loads(ended.stdout))


def test_a_process_is_known_by_number_start_and_computer() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert me.state == "running"
    assert replace(me, started="boot x 1").state == "gone"
    assert replace(me, host="elsewhere").state == "elsewhere"
    gone = dead_process()
    assert gone.state == "gone"
    for one in (me, gone):
        assert state_of_tag(one.tag()) == one.state
    # The number was given out again, to a process that started at another time.
    assert state_of_tag(replace(gone, pid=me.pid).tag()) == "gone"
    assert state_of_tag(replace(me, host="elsewhere").tag()) == "elsewhere"


def test_a_zombie_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        one = Owner(this_process().host, process.pid, owner._started(process.pid) or "")
        assert one.state == "running"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert one.state == "gone"


def test_without_proc_the_clock_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    monkeypatch.setattr(owner, "_started", owner._started_elsewhere)
    me = this_process()
    assert me.started.startswith("clock ")
    assert me.state == "running"
    assert state_of_tag(me.tag()) == "running"
    assert replace(me, started=f"clock {float(me.started[6:]) - 60:.2f}").state == "gone"
    assert dead_process().state == "gone"


def test_a_lock_says_whose_it_is_and_goes_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, tmp_path / "out.nii"):
        assert owner_of(path) == this_process()
        with (
            pytest.raises(OutputError, match=rf"out\.nii: is in use .*process {os.getpid()}\)"),
            locked(path, tmp_path / "out.nii"),
        ):
            pass
        assert owner_of(path) == this_process()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_processs_lock_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps(asdict(dead_process())))
    with locked(path, path):
        assert owner_of(path) == this_process()
    assert list(tmp_path.iterdir()) == []


def test_another_computers_lock_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    text = json.dumps(asdict(replace(dead_process(), host="far-away")))
    path.write_text(text)
    with pytest.raises(OutputError, match=r"far-away.*delete .*lock"):
        take(path, path, this_process())
    assert path.read_text() == text


@pytest.mark.parametrize("content", ["", "[]", "{", '{"host": 1}', "x" * 10**6])
def test_a_lock_that_cannot_be_read_is_left_alone(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffdenoise.lock._WRITTEN_S", 0.0)
    path = tmp_path / "lock"
    path.write_text(content)
    with pytest.raises(OutputError, match="if none runs, delete"):
        take(path, path, this_process())
    assert path.read_text() == content


def test_a_lock_that_another_process_took_meanwhile_stays_its(tmp_path: Path) -> None:
    from diffdenoise.lock import _remove

    path = tmp_path / "lock"
    path.write_text(json.dumps(asdict(this_process())))
    _remove(path, dead_process())
    assert owner_of(path) == this_process()
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]

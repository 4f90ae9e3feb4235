"""Decoding in another process: what happens there stays there."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from diffdenoise.errors import FormatError, SettingsError, ShapeError
from diffdenoise.scan.child import UndecodableError, run_in_child
from diffdenoise.scan.find import find_scans
from diffdenoise.scan.limits import MEMORY_SETTING, TIME_SETTING, most_unpacked
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.worker import IDLE

from .dicom.files import slices
from .files import make

BOMBS = Path(__file__).parents[1] / "cases" / "bombs"
WORK = "tests.scan.child_work:work"


def run(what: str, payload: bytes = b"", stated: int = 1000, **facts: object):
    return run_in_child(WORK, {"what": what, **facts}, payload, name="a.dcm", stated=stated)


def test_an_array_comes_back_and_one_process_is_kept():
    sent = np.arange(10, dtype=np.int16)
    facts, found = run("array", sent.tobytes())
    assert np.array_equal(found, sent.reshape(2, 5)[:, ::-1])
    assert facts["process"] != os.getpid()
    assert run("nothing")[0] == run("nothing")[0] == facts


@pytest.mark.parametrize("what", ["abort", "segfault", "exit"])
def test_a_process_that_dies_is_one_line_and_the_next_takes_its_place(what):
    before = run("nothing")[0]["process"]
    with pytest.raises(FormatError, match=r"^a\.dcm: is damaged: decoding it brought its decoder down; get"):
        run(what, code=3)
    after = run("nothing")[0]["process"]
    assert after != before


def test_a_process_that_ended_for_want_of_work_is_replaced_without_a_word(tmp_path):
    first = run("nothing")[0]["process"]
    assert run("idle once", mark=str(tmp_path / "mark"))[0]["process"] != first
    with pytest.raises(FormatError, match="brought its decoder down"):
        run("exit", code=IDLE)  # once more, and no third time


@pytest.mark.parametrize("what", ["sleep", "compute"])
def test_what_takes_too_long_is_ended(what, monkeypatch):
    run("nothing")
    monkeypatch.setenv(TIME_SETTING, "0.3")
    with pytest.raises(FormatError, match=r"takes over 0\.3 s to decode.*set DIFFDENOISE_TIME_LIMIT"):
        run(what)
    monkeypatch.delenv(TIME_SETTING)
    assert run("nothing")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't limit a process's memory")
def test_memory_is_limited_by_what_the_header_states(monkeypatch):
    with pytest.raises(
        FormatError, match=r"needs more than the 402,.* bytes of memory.*DIFFDENOISE_MEMORY_LIMIT"
    ):
        run("memory")
    assert run("memory", stated=2**29)[0] == {"bytes": 2**29}
    monkeypatch.setenv(MEMORY_SETTING, "1")
    assert run("memory")[0] == {"bytes": 2**29}


def test_an_answer_of_more_than_was_asked_for_is_none():
    with pytest.raises(FormatError, match="brought its decoder down"):
        run("array", bytes(40), stated=39)


def test_names_are_those_of_the_current_folder_wherever_the_process_was_started(tmp_path, monkeypatch):
    run("nothing")
    make("tiff-deflate", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert read_scan("a.tif").data.shape == (3, 9, 11)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no timers of the system's")
def test_a_process_whose_parent_was_killed_does_not_hang_for_ever(tmp_path):
    code = (
        "import os, signal, sys, threading\n"
        "os.environ['DIFFDENOISE_TIME_LIMIT'] = '0.5'\n"
        "from diffdenoise.scan import worker\n"
        "from tests.scan.test_child import run\n"
        "print(run('nothing')[0]['process'], flush=True)\n"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
        "run('compute')\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == -9
    process = int(done.stdout)
    assert any(_is_gone(process) or time.sleep(0.25) for _ in range(120))


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    # Nobody may be there to take note of its end.
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_is_printed_is_no_answer(capfd):
    assert run("print")[0]["process"] != os.getpid()
    assert capfd.readouterr() == ("", "")


def test_errors_keep_their_kind_and_words_of_libraries_stay_inside():
    with pytest.raises(ShapeError, match="a: has no shape"):
        run("ours")
    with pytest.raises(UndecodableError):
        run("other")


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_said(value, monkeypatch):
    monkeypatch.setenv(MEMORY_SETTING, value)
    with pytest.raises(SettingsError, match="DIFFDENOISE_MEMORY_LIMIT: is no number above 0"):
        most_unpacked(1)


def test_the_kept_process_ends_with_this_one():
    code = "from tests.scan.test_child import run\nprint(run('nothing')[0]['process'])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alias_deflate.tif", "more than the file's 74,234 bytes can hold"),
        ("cell.mat", "more than the file's 4,344 bytes can hold"),
        ("j2k_big_cs.dcm", "frame is of 25000x25000 pixels, but the header states 64x64"),
        ("jls_big.dcm", "frame is of 60000x20000 pixels, but the header states 64x64"),
        ("rle_abort.dcm", "is damaged|are damaged"),
        ("lie_bz2.nrrd", "unpack to more than the 32,768 bytes that its header states"),
        ("nanaffine.nii", "srow_x/srow_y/srow_z hold NaN"),
        ("zbz2.zarr", "DIFFDENOISE_MEMORY_LIMIT|is damaged"),
        ("zgzip2.zarr", "DIFFDENOISE_MEMORY_LIMIT|is damaged"),
    ],
)
def test_bombs_are_refused_in_one_line(name, reason, capfd):
    with pytest.raises(FormatError, match=reason) as caught:
        read_scan(BOMBS / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't limit a process's memory")
@pytest.mark.parametrize("name", sorted(path.name for path in BOMBS.iterdir() if path.suffix != ".md"))
def test_bombs_take_little_memory_and_the_command_ends_well(name, tmp_path):
    most = 2**30

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    done = subprocess.run(
        [sys.executable, "-m", "diffdenoise", "info", str(BOMBS / name)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("diffdenoise: ")
    assert done.stderr.count("\n") == 1
    assert "internal error" not in done.stderr


def test_one_bad_file_leaves_the_other_series_alone(tmp_path):
    values = slices(tmp_path / "good", count=4)
    for name in ("jls_big.dcm", "rle_abort.dcm"):
        (tmp_path / name).write_bytes((BOMBS / name).read_bytes())
    read, refused = [], 0
    for found in find_scans([tmp_path]).scans:
        try:
            read.append(found.read())
        except FormatError:
            refused += 1
    assert refused == 2
    (scan,) = read
    assert np.array_equal(scan.data, values.transpose(2, 1, 0))


@pytest.mark.parametrize("case", ["tiff-deflate", "hdf5-int16", "mat-int16", "zarr-int16"])
def test_a_large_honest_file_is_read_where_the_setting_lets_it(case, tmp_path, monkeypatch):
    path = make(case, tmp_path)
    expected = read_scan(path).data
    monkeypatch.setenv(MEMORY_SETTING, str(300 / 2**30))
    with pytest.raises(FormatError, match=r"over the limit of 300; .* set DIFFDENOISE_MEMORY_LIMIT"):
        read_scan(path)
    monkeypatch.setenv(MEMORY_SETTING, str(10 * expected.nbytes / 2**30))
    assert np.array_equal(read_scan(path).data, expected)

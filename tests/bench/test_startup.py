"""Start-up times: what is measured is the process's own computing, and the table says on what."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench import startup


def test_seconds_are_those_of_the_processor_not_of_the_clock(tmp_path: Path) -> None:
    waits = startup.cpu_seconds(["-c", "import time; time.sleep(1)"], tmp_path, tmp_path)
    code = "import time\nwhile time.process_time() < 0.8: pass"
    assert waits < 0.5 < 0.8 <= startup.cpu_seconds(["-c", code], tmp_path, tmp_path)


def test_a_use_that_fails_has_no_time(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="failed"):
        startup.cpu_seconds(["-c", "raise SystemExit(3)"], tmp_path, tmp_path)


def test_the_package_is_that_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "diffdenoise.py").write_text("from pathlib import Path; Path('seen').touch()")
    startup.cpu_seconds(["-c", "import diffdenoise"], tmp_path, tmp_path)
    assert (tmp_path / "seen").exists()


def test_the_table_names_machine_versions_and_seed() -> None:
    machine = startup.machine()
    assert machine["cores"] == str(os.cpu_count())
    rows = {"`a`": {"before": 4.5, "now": 2.5}, "`b`": {"now": 1.25}}
    lines = startup.table({"machine": machine, "runs": 3, "seed": 0, "rows": rows}).splitlines()
    assert lines[2:4] == ["| `a` | 4.5 | 2.5 |", "| `b` |  | 1.25 |"]
    assert machine["processor"] in lines[-1]
    assert f"onnxruntime {machine['onnxruntime']}" in lines[-1]
    assert "seed 0" in lines[-1]


def test_figures_of_before_stay_where_only_now_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "CELL", tmp_path / "cell.json")
    assert startup.with_stored({"a": {"now": 1.0}}) == {"a": {"now": 1.0}}
    startup.CELL.write_text(json.dumps({"rows": {"a": {"before": 4.0, "now": 2.0}, "old": {"now": 1.0}}}))
    assert startup.with_stored({"a": {"now": 1.0}}) == {"a": {"before": 4.0, "now": 1.0}}

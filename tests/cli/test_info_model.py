"""`diffdenoise info` of a model folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import diffdenoise as dd
from diffdenoise.errors import ModelError

from .conftest import TINY, Outcome

Run = Callable[..., Outcome]


@pytest.fixture
def model(run: Run, tmp_path: Path, noisy: Path) -> Path:
    """A trained model's folder."""
    made = run("train", noisy, "-o", tmp_path / "model", *TINY)
    assert made.code == 0, made.err
    return tmp_path / "model"


def test_a_model_is_described_by_its_record(run: Run, model: Path) -> None:
    found = run("info", model, "--json").json
    record = json.loads((model / "record.json").read_text())
    assert found["model"] == str(model)
    assert found["record"] == record
    assert found["settings"]["stage3"]["width"] == 8
    assert found["noise_percent_of_range"] == pytest.approx(100 * record["noise"]["stds"][0], rel=0.5)
    assert dd.info(model) == found
    told = run("info", model)
    assert told.code == 0
    lines = dict(line.split(maxsplit=1) for line in told.out.splitlines())
    assert lines["model"] == str(model)
    assert "5 slices of 64x60 pixels, of 1 scan(s)" in told.out
    assert record["fingerprint"][:16] in told.out
    assert lines["steps"].startswith("blind-spot 3, diffusion 3, targets 1, student 3")
    assert "% of the range" in told.out


def test_options_of_scans_are_refused(run: Run, model: Path, tmp_path: Path) -> None:
    for words in (["--axis", "1"], ["--series", "1.2"], ["--picture", tmp_path / "a.png"]):
        outcome = run("info", model, *words)
        assert outcome.code == 2
        assert f"{words[0]}: is for scans" in outcome.err


def test_what_is_no_whole_model_is_told(run: Run, model: Path) -> None:
    (model / "record.json").rename(model / "record")
    (model / "work").mkdir()
    (model / "work" / "state.json").write_text("{}")
    outcome = run("info", model)
    assert outcome.code == 2
    assert "its training has not finished" in outcome.err
    with pytest.raises(ModelError, match="has not finished"):
        dd.info(model)
    (model / "record.json").write_text("[]")
    outcome = run("info", model)
    assert outcome.code == 2
    assert "record.json" in outcome.err
    assert "train anew" in outcome.err


def test_words_of_a_record_that_anyone_may_have_written_stay_on_their_line(run: Run, model: Path) -> None:
    record = json.loads((model / "record.json").read_text())
    record["data"] = {"slices": "1\n2\x1b[31m" + "x" * 500, "slice_sizes": {"a": 1}}
    (model / "record.json").write_text(json.dumps(record))
    told = run("info", model).out
    assert len(told.splitlines()) == 10
    assert "\x1b" not in told
    assert "x" * 101 not in told

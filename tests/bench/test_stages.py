"""The measuring scripts: step counts from a run's speeds, scores, and tables that match their cells."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import stages_table
from bench.split import schedule_for
from bench.stages import run_part, schedule_like, scores
from diffdenoise.config import Settings
from diffdenoise.training.hardware import Hardware
from tests.conftest import TINY

_ROOT = Path(__file__).parents[2]
_RUN: dict[str, Any] = {
    "training_seconds": 110.0,
    "stages": {
        "blind-spot": {"steps": {"steps": 50}, "seconds": 25.0},
        "diffusion": {"steps": {"steps": 30}, "seconds": 15.0},
        "targets": {"steps": {"steps": 16}, "seconds": 8.0},
        "student": {"steps": {"steps": 48}, "seconds": 12.0},
        "refine": {"steps": {"steps": 160}, "seconds": 40.0},
    },
}


def test_the_pages_hold_what_the_cells_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("docs/quality.md", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(_ROOT / name, tmp_path / name)
    shutil.copytree(_ROOT / "bench" / "cells", tmp_path / "bench" / "cells")
    monkeypatch.chdir(tmp_path)
    stages_table.main()
    for name in ("docs/quality.md", "README.md"):
        assert (tmp_path / name).read_text() == (_ROOT / name).read_text(), name


def test_a_split_of_the_same_seconds() -> None:
    shares = {"blind-spot": 0.5, "diffusion": 0.1, "targets": 0.1, "student": 0.1, "refine": 0.2}
    steps = {name: value["steps"] for name, value in schedule_for(_RUN, shares).items()}
    assert steps == {"blind-spot": 100, "diffusion": 20, "targets": 20, "student": 40, "refine": 80}


def test_step_counts_like_a_run() -> None:
    assert schedule_like(_RUN, "method")["refine"].steps == 160
    assert schedule_like(_RUN, "ceiling")["ceiling"].steps == 440
    rounds = schedule_like(_RUN, "iterations")
    assert [rounds[name].steps for name in ("blind-spot", "refine", "refine-2", "refine-3")] == [
        50,
        53,
        53,
        53,
    ]


def test_scores_are_those_of_the_clean_range() -> None:
    clean = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    psnr, ssim = scores(clean + np.float32(0.1), clean)
    assert psnr == pytest.approx(20.0, abs=0.01)
    assert 0 < ssim < 1


def test_every_row_of_the_method_is_scored() -> None:
    clean = np.stack([np.outer(np.linspace(0, 1, 32), np.ones(32))] * 3).astype(np.float32)
    noisy = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    settings = Settings.build(**TINY)
    hardware = Hardware(torch.device("cpu"), bf16=False)
    rows = run_part("method", clean, noisy, settings, hardware)["rows"]
    assert len(rows) == 9
    assert "stage 2: symmetric pair" in rows
    assert "stage 3: student" in rows

"""What a run hands from stage to stage, and with which figures it trains them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffdenoise.config import Settings
from diffdenoise.model import student_network
from diffdenoise.networks.start import load_start
from diffdenoise.plan import make_plan
from diffdenoise.run import Run
from diffdenoise.scan.read import from_array
from diffdenoise.scan.scan import Scan
from diffdenoise.stages import distil
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet
from tests.conftest import make_volume, tiny_settings


def run_of(folder: Path, settings: Settings, scan: Scan | None = None) -> Run:
    """A run that has not begun."""
    plan = make_plan([scan or from_array(make_volume())], settings)
    workspace = Workspace.open(folder / "work", settings, plan.fingerprint(), resume=False)
    return Run(plan, workspace, Hardware(torch.device("cpu"), bf16=False), Quiet(), 3600.0)


def varying() -> Scan:
    """A scan whose noise grows with brightness."""
    clean = np.clip(make_volume((96, 96, 6), std=0), 0, None)
    draws = np.random.default_rng(1)
    return from_array((clean + (20 + 0.1 * clean) * draws.normal(size=clean.shape)).astype(np.float32))


def two_rounds(**changes: Any) -> Settings:
    """Settings of two rounds, all stages a step or two."""
    schedule = {"blind-spot": {"steps": 2}}
    for turn in ("", "-2"):
        schedule |= {f"{name}{turn}": {"steps": 2} for name in ("diffusion", "student", "refine")}
        schedule[f"targets{turn}"] = {"steps": 1}
    return tiny_settings(iterations=2, schedule=schedule, **changes)


def test_later_rounds_do_not_use_the_noisy_pixel_twice(tmp_path: Path) -> None:
    run = run_of(tmp_path, two_rounds())
    assert [run.target_kind(turn) for turn in (1, 2)] == ["fusion", "srds"]
    corrected = tiny_settings(stage3={"width": 4, "draws": 1, "target": "corrected"})
    assert run_of(tmp_path / "other", corrected).target_kind(1) == "corrected"


def test_the_condition_is_stage_1_first_and_then_the_last_rounds_student(tmp_path: Path) -> None:
    run = run_of(tmp_path, two_rounds())
    run.blind_spot()
    item = run.slices.whole(1)
    with torch.no_grad():
        first = run.condition_of(1)(item)
        torch.testing.assert_close(first, run.teacher(1).condition(item))
    for stage in (run.diffusion, run.targets, run.student, run.refine):
        stage(1)
    student = student_network(run.settings, run.plan.neighbours)
    run.workspace.load("refine", student)
    with torch.no_grad():
        second = run.condition_of(2)(item)
        torch.testing.assert_close(second, distil.denoise(student, item))
    assert not torch.allclose(first, second)


def test_the_residuals_std_is_that_of_the_noisy_scan_less_the_condition(tmp_path: Path) -> None:
    run = run_of(tmp_path, two_rounds())
    run.blind_spot()
    run.diffusion(1)
    with torch.no_grad():
        residuals = [
            item[:, :1] - run.condition_of(1)(item) for item in map(run.slices.whole, range(len(run.slices)))
        ]
    expected = float(torch.cat(residuals).square().mean().sqrt())
    assert run.residual_std == pytest.approx(expected, rel=1e-4)


def test_recorruption_is_stronger_where_the_level_is_less_sure(tmp_path: Path) -> None:
    assert run_of(tmp_path / "one", tiny_settings()).alpha == 0.5
    assert run_of(tmp_path / "varying", tiny_settings(), varying()).alpha == 1.0
    given = tiny_settings(stage3={"width": 4, "draws": 1, "alpha": 0.7})
    assert run_of(tmp_path / "given", given).alpha == 0.7


def test_a_student_that_knows_noise_learns_slower(tmp_path: Path) -> None:
    schedule = tiny_settings().schedule
    knowing = Settings.build(minutes=None, schedule=schedule)
    assert run_of(tmp_path / "knowing", knowing).student_rate == 1e-3
    assert run_of(tmp_path / "random", tiny_settings()).student_rate == 2e-3
    wide = Settings.build(minutes=None, schedule=schedule, stage1={"blind_spot": 5})
    assert run_of(tmp_path / "wide", wide).student_rate == 2e-3


def test_peak_learning_rates_are_those_documented() -> None:
    settings = Settings()
    assert (settings.stage1.learning_rate, settings.stage2.learning_rate) == (3e-3, 1e-3)


@pytest.mark.parametrize("synthetic", [True, False])
def test_networks_begin_with_the_weights_that_come_with_the_package(tmp_path: Path, synthetic: bool) -> None:
    start = "synthetic" if synthetic else "random"
    run = run_of(tmp_path, Settings.build(minutes=None, schedule=tiny_settings().schedule, start=start))
    item = run.slices.whole(0)
    known = student_network(run.settings, run.plan.neighbours)
    load_start(known, "student")
    with torch.no_grad():
        # An untrained network of random weights leaves the image as it is: its last layer is zero.
        same = torch.allclose(distil.denoise(run._student, item), distil.denoise(known, item))
        changes = not torch.equal(distil.denoise(run._student, item), item[:, :1])
    assert same == changes == synthetic

"""What a run hands from stage to stage, and with which figures it trains them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from diffdenoise.config import Settings
from diffdenoise.method.stages import Stages
from diffdenoise.method.student import denoise
from diffdenoise.networks.start import load_student
from diffdenoise.networks.student import student_network
from diffdenoise.noise.correlation import Correlation
from diffdenoise.plan import make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet
from tests.conftest import make_volume, tiny_settings


def stages_of(folder: Path, settings: Settings) -> Stages:
    """A run that has not begun."""
    plan = make_plan([from_array(make_volume())], settings)
    workspace = Workspace.open(folder / "work", settings, plan.fingerprint(), resume=False)
    return Stages(plan, workspace, Hardware(torch.device("cpu"), bf16=False), Quiet(), 3600.0)


def two_rounds(**changes: Any) -> Settings:
    """Settings of two rounds, all stages a step or two."""
    schedule = {"blind-spot": {"steps": 2}}
    for turn in ("", "-2"):
        schedule |= {f"{name}{turn}": {"steps": 2} for name in ("diffusion", "student", "refine")}
        schedule[f"targets{turn}"] = {"steps": 1}
    return tiny_settings(iterations=2, schedule=schedule, **changes)


def test_the_condition_is_stage_1_first_and_then_the_last_rounds_student(tmp_path: Path) -> None:
    stages = stages_of(tmp_path, two_rounds())
    stages.blind_spot()
    item = stages.slices.whole(1)
    with torch.no_grad():
        first = stages.condition_of(1)(item)
        torch.testing.assert_close(first, stages.teacher(1).condition(item))
    for stage in (stages.diffusion, stages.targets, stages.student, stages.refine):
        stage(1)
    student = student_network(stages.settings, stages.plan.neighbours)
    stages.workspace.load("refine", student)
    with torch.no_grad():
        second = stages.condition_of(2)(item)
        torch.testing.assert_close(second, denoise(student, item, stages.plan.domain.level))
    assert not torch.allclose(first, second)


def test_the_residuals_std_is_that_of_the_noisy_scan_less_the_condition(tmp_path: Path) -> None:
    stages = stages_of(tmp_path, two_rounds())
    stages.blind_spot()
    stages.diffusion(1)
    with torch.no_grad():
        residuals = [
            item[:, :1] - stages.condition_of(1)(item)
            for item in map(stages.slices.whole, range(len(stages.slices)))
        ]
    expected = float(torch.cat(residuals).square().mean().sqrt())
    assert stages.residual_std == pytest.approx(expected, rel=1e-4)


def test_teacher_and_student_are_compared_within_a_share_of_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def within(seconds: float, compare: Any, sides: Any, now: Any) -> Any:
        given.append(seconds)
        return compare(sides[0])

    monkeypatch.setattr("diffdenoise.method.stages.within", within)
    steps = {name: {"steps": 1} for name in ("blind-spot", "diffusion", "refine")}
    stages = stages_of(tmp_path, tiny_settings(minutes=2.0, schedule=steps))
    for stage in (stages.blind_spot, lambda: stages.diffusion(1), lambda: stages.targets(1)):
        stage()
    assert given == [pytest.approx(0.05 * 120)]
    assert len(stages.workspace.figure("risks")) == 2
    # Of targets, whose steps may be given back, the variance is that of whole windows, whatever the time.
    assert stages.workspace.figure("variance") is None or stages.workspace.steps_done()["targets"].steps


def test_noise_that_is_correlated_along_an_axis_is_seen_and_averaged_as_it_lies(tmp_path: Path) -> None:
    settings = tiny_settings()
    plan = make_plan([from_array(make_volume())], settings)
    along = replace(plan.noise, correlation=Correlation.of_axes((), (0.5,)))
    workspace = Workspace.open(tmp_path / "work", settings, plan.fingerprint(), resume=False)
    hardware = Hardware(torch.device("cpu"), bf16=False)
    stages = Stages(replace(plan, noise=along), workspace, hardware, Quiet(), 3600.0)
    batch = stages.slices.patches(torch.Generator().manual_seed(0), 200, 16)
    assert set(batch.turns) == {0, 2, 4, 6}
    assert stages.orientations == 4


@pytest.mark.parametrize("synthetic", [True, False])
def test_networks_begin_with_the_weights_that_come_with_the_package(tmp_path: Path, synthetic: bool) -> None:
    start = "synthetic" if synthetic else "random"
    stages = stages_of(tmp_path, Settings.build(minutes=None, schedule=tiny_settings().schedule, start=start))
    item = stages.slices.whole(0)
    known = student_network(stages.settings, stages.plan.neighbours)
    load_student(known, stages.plan.known)
    level = stages.plan.domain.level
    with torch.no_grad():
        # An untrained network of random weights leaves the image as it is: its last layer is zero.
        begun, shipped = (denoise(network, item, level) for network in (stages.networks.student, known))
        same, changes = torch.allclose(begun, shipped), not torch.equal(begun, item[:, :1])
    assert same == changes == synthetic

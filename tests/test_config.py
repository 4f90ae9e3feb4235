"""Settings that contradict each other are refused, in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffdenoise.config import Settings
from diffdenoise.errors import SettingsError


def test_networks_of_the_default_widths_begin_with_synthetic_weights() -> None:
    assert Settings().starts_synthetic("stage3")
    assert not Settings.build(start="random").starts_synthetic("stage3")
    narrow = Settings.build(stage3={"width": 8})
    assert not narrow.starts_synthetic("stage3")
    assert narrow.starts_synthetic("stage1")


def test_synthetic_weights_of_another_width_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"stage2\.width is 8; synthetic weights have 32"):
        Settings.build(start="synthetic", stage2={"width": 8})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": {"refine": {"steps": 0}}}, "only targets and student can be left out"),
        ({"schedule": {"diffusion-2": {"steps": 0}}}, "only targets and student can be left out"),
        ({"schedule": {"targets": {"steps": 0}, "student": {"steps": 3}}}, "only be left out together"),
        ({"schedule": {"targets": {"steps": 3}, "student": {"steps": 0}}}, "only be left out together"),
        ({"schedule": {"student": {"steps": 0}}}, "only be left out together"),
        (
            {"schedule": {"targets": {"steps": 0}}, "stage3": {"refine": False}},
            "cannot be left out where stage3.refine is false",
        ),
    ],
)
def test_a_schedule_without_a_stage_that_is_needed_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.build(**changes)


def test_targets_and_student_can_be_left_out_together() -> None:
    settings = Settings.build(schedule={"targets": {"steps": 0}, "student": {"steps": 0}})
    assert settings.schedule["student"].steps == 0


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("stage3.drows", "stage3.draws"),
        ("stage2.jointly_blnd", "stage2.jointly_blind"),
        ("stgae3.draws", "stage3.draws"),
        ("stage1.draws", "stage3.draws"),
        ("sampling.node", "sampling.nodes"),
        ("minuts", "minutes"),
        ("draws", "stage3.draws"),
        ("schedule.student.step", "schedule.student.steps"),
        ("schedule.studnt.steps", "student"),
        ("schedule.diffusio-2.steps", "diffusion-2"),
    ],
)
def test_a_misspelt_setting_gets_the_nearest_one_named(key: str, meant: str, tmp_path: Path) -> None:
    tree: Any = 4
    for part in reversed(key.split(".")):
        tree = {part: tree}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    for build in (
        lambda: Settings.build(assignments=[f"{key}=4"]),
        lambda: Settings.build(file),
        lambda: Settings.build(**tree),
    ):
        with pytest.raises(SettingsError, match=f"did you mean {re.escape(meant)}[?;]") as caught:
            build()
        assert "\n" not in str(caught.value)


def test_a_misspelt_group_gets_the_nearest_one_named() -> None:
    with pytest.raises(SettingsError, match=r"setting samplig: .*did you mean sampling\?"):
        Settings.build(samplig={"nodes": 3, "pairs": 2})


def test_a_setting_unlike_any_other_gets_the_list_named() -> None:
    with pytest.raises(
        SettingsError, match=r"setting wavelets: there is no such setting; .*to_yaml.* lists all"
    ):
        Settings.build(wavelets=3)


def test_the_papers_recipe_goes_under_what_is_asked_for(tmp_path: Path) -> None:
    paper = Settings.build(recipe="paper")
    assert (paper.iterations, paper.stage3.refine, paper.stage3.target) == (3, False, "srds")
    file = tmp_path / "settings.yaml"
    file.write_text("stage3:\n  draws: 3\niterations: 2\n", encoding="utf-8")
    found = Settings.build(file, ["stage2.jointly_blind=false"], recipe="paper", seed=4)
    assert (found.iterations, found.stage3.draws, found.stage3.refine) == (2, 3, False)
    assert (found.stage2.jointly_blind, found.seed) == (False, 4)
    with pytest.raises(SettingsError, match="recipe 'papr': is not known; expected paper"):
        Settings.build(recipe="papr")
    # It is itself again afterwards.
    assert Settings.build(recipe="paper") == paper
    file.write_text("iterations: {a: 1}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="iterations"):
        Settings.build(file, recipe="paper")

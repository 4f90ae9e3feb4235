"""Settings that contradict each other are refused, in words."""

from __future__ import annotations

from typing import Any

import pytest

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

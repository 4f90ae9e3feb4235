"""What a scan and its noise decide."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.config import Settings
from diffdenoise.method import choices
from diffdenoise.noise.simulate import rician
from diffdenoise.plan import Plan, make_plan
from diffdenoise.scan.read import from_array
from diffdenoise.scan.scan import Scan
from tests.conftest import make_volume, tiny_settings


def plan_of(settings: Settings, scan: Scan | None = None) -> Plan:
    """The plan of a small scan."""
    return make_plan([scan or from_array(make_volume())], settings)


def varying() -> Scan:
    """A scan whose noise grows with brightness."""
    clean = np.clip(make_volume((96, 96, 6), std=0), 0, None)
    draws = np.random.default_rng(1)
    return from_array((clean + (20 + 0.1 * clean) * draws.normal(size=clean.shape)).astype(np.float32))


def magnitude() -> Scan:
    """A magnitude image, whose noise scatters less near its floor."""
    y, x = np.mgrid[:128, :128] - 64.0
    clean = np.where(np.hypot(y, x) < 44, 600 + 150 * np.cos(x / 20), 0.0)[..., None].repeat(3, -1)
    return from_array(rician(clean, 80.0, rng=np.random.default_rng(0)).astype(np.float32))


def test_later_rounds_do_not_use_the_noisy_pixel_twice() -> None:
    assert [choices.target_kind(tiny_settings(), number) for number in (1, 2)] == ["fusion", "srds"]
    corrected = tiny_settings(stage3={"width": 4, "draws": 1, "target": "corrected"})
    assert choices.target_kind(corrected, 1) == "corrected"


def test_recorruption_is_stronger_where_the_level_is_less_sure() -> None:
    assert choices.alpha(plan_of(tiny_settings())) == 0.5
    assert choices.alpha(plan_of(tiny_settings(), varying())) == 1.0
    assert choices.alpha(plan_of(tiny_settings(), magnitude())) == 1.0
    assert choices.alpha(plan_of(tiny_settings(stage3={"width": 4, "draws": 1, "alpha": 0.7}))) == 0.7


def test_a_student_that_knows_noise_learns_slower() -> None:
    schedule = tiny_settings().schedule
    assert choices.student_rate(plan_of(Settings.build(minutes=None, schedule=schedule))) == 1e-3
    assert choices.student_rate(plan_of(tiny_settings())) == 2e-3
    wide = Settings.build(minutes=None, schedule=schedule, stage1={"blind_spot": 5})
    assert choices.student_rate(plan_of(wide)) == 2e-3


def test_only_a_share_of_an_unsure_refinement_is_kept() -> None:
    schedule = tiny_settings().schedule
    knowing = Settings.build(minutes=None, schedule=schedule)
    assert choices.refined_share(plan_of(knowing)) == 1.0
    assert choices.refined_share(plan_of(knowing, varying())) == 0.5
    assert choices.refined_share(plan_of(knowing, magnitude())) == 0.75
    # Random weights are worth nothing.
    assert choices.refined_share(plan_of(tiny_settings(), magnitude())) == 1.0


@pytest.mark.parametrize(
    ("budget_s", "inference_s", "expected"),
    [(0, 9, 8), (60, 1, 8), (60, 2, 4), (60, 2.2, 2), (60, 4.2, 2), (60, 4.4, 1), (60, 9, 1)],
)
def test_orientations_take_a_seventh_of_the_budget(
    budget_s: float, inference_s: float, expected: int
) -> None:
    assert choices.affordable_orientations(budget_s, inference_s) == expected


@pytest.mark.parametrize(("most", "inference_s", "expected"), [(4, 1, 4), (2, 1, 2), (2, 9, 1), (4, 2.2, 2)])
def test_there_are_no_more_orientations_than_leave_the_noise_as_it_is(
    most: int, inference_s: float, expected: int
) -> None:
    assert choices.affordable_orientations(60, inference_s, most) == expected
    assert choices.affordable_orientations(0, inference_s, most) == most


def test_peak_learning_rates_are_those_documented() -> None:
    settings = Settings()
    assert (settings.stage1.learning_rate, settings.stage2.learning_rate) == (3e-3, 1e-3)


def test_few_slices_are_passed_over_a_bounded_number_of_times() -> None:
    schedule = tiny_settings().schedule
    knowing = Settings.build(minutes=None, schedule=schedule)
    # 8 patches of 64 x 64 pixels a step, fifteen passes; and some steps for the smallest.
    large = from_array(make_volume((256, 256, 20)))
    assert choices.most_steps(plan_of(knowing, large)) == 15 * 256 * 256 * 20 // (8 * 64 * 64)
    assert choices.most_steps(plan_of(knowing)) == 200
    # From random weights it takes as long as it takes.
    assert choices.most_steps(plan_of(tiny_settings(), large)) is None

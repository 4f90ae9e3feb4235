"""One run, a stage at a time: figures of each that stay, and that a fault in it moves.

The phantom's noise varies with its brightness, so that every stage there is has a part. Losses are means over
the stage's steps; errors are against the clean phantom, on the 0..1 scale of the networks, where those of
the noisy phantom itself are 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from diffdenoise.config import Settings
from diffdenoise.method.stages import Stages
from diffdenoise.method.student import denoise
from diffdenoise.noise.model import NoiseModel
from diffdenoise.plan import make_plan
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet
from tests.end_to_end.phantom import clean_phantom, noisy_phantom

STEPS = 20
#: Loss and error of each stage. Weights and draws are fixed; what is left is how a processor rounds: with
#: other vector units, up to 0.12 % in a loss and 0.01 % in an error.
GOLDEN = {
    "blind-spot": (-4.7693, 0.05964),
    "diffusion": (1.0808, 0.06233),
    "targets": (None, 0.04684),
    "student": (0.11029, 0.04575),
    "refine": (2.4198, 0.03510),
}
LOSS_WITHIN, ERROR_WITHIN = 0.006, 0.002


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float | None, float]]:
    """Train all stages, and look at each as it ends."""
    noisy = noisy_phantom("level-varying")
    learning = ("blind-spot", "diffusion", "student", "refine")
    schedule = {name: {"steps": STEPS} for name in learning} | {"targets": {"steps": noisy.shape[2]}}
    settings = Settings.build(minutes=None, schedule=schedule, data={"patch": 32, "batch": 4, "axis": 2})
    intensities = IntensityMap.fit(noisy)
    # Told rather than estimated, so that the figures are those of the stages alone.
    signals = np.array([0.0, 250.0, 500.0, 750.0, 1000.0])
    brightness = (signals - intensities.low) / intensities.range
    stds = np.sqrt(20 * signals + 25**2) / intensities.range
    noise = NoiseModel(tuple(map(float, brightness)), tuple(map(float, stds)))
    made = make_plan([from_array(noisy)], settings)
    plan = replace(made, noise=noise, places=(None,), blind_spot=1, neighbours=1)
    workspace = Workspace.open(
        tmp_path_factory.mktemp("run") / "work", settings, plan.fingerprint(), resume=False
    )
    stages = Stages(plan, workspace, Hardware(torch.device("cpu"), bf16=False), Quiet(), 3600.0)
    clean = np.moveaxis(intensities.scale(clean_phantom()), 2, 0)

    def error(estimate: Callable[[Tensor, int], Tensor]) -> float:
        with torch.no_grad():
            found = [estimate(stages.slices.whole(k), k)[0, 0].numpy() for k in range(len(clean))]
        # Back from where the noise has one level.
        denoised = plan.entered[0].leave(0, np.stack(found))
        return float(np.sqrt(np.mean((denoised - clean) ** 2)))

    def loss(name: str) -> float:
        return float(workspace.stages[name]["losses"][-1][1])

    found: dict[str, tuple[float | None, float]] = {}
    stages.blind_spot()
    found["blind-spot"] = loss("blind-spot"), error(lambda item, _: stages.condition_of(1)(item))
    stages.diffusion(1)
    teacher = stages.teacher(1)
    found["diffusion"] = loss("diffusion"), error(teacher.srds)
    stages.targets(1)
    targets = {k: workspace.target("targets", k) for k in range(len(clean))}
    found["targets"] = None, error(lambda _, k: targets[k].image[:, :][None, None])  # type: ignore[union-attr]
    later = {"student": stages.student, "refine": stages.refine}
    for name, stage in later.items():
        stage(1)
        found[name] = (
            loss(name),
            error(lambda item, _: denoise(stages.networks.student, item, plan.domain.level)),
        )
    return found


@pytest.mark.parametrize("stage", GOLDEN)
def test_each_stage_gives_its_figures(figures: dict[str, tuple[float | None, float]], stage: str) -> None:
    loss, error = figures[stage]
    expected_loss, expected_error = GOLDEN[stage]
    assert error == pytest.approx(expected_error, rel=ERROR_WITHIN)
    if expected_loss is not None:
        assert loss == pytest.approx(expected_loss, rel=LOSS_WITHIN)


def test_each_estimate_is_better_than_the_one_before(
    figures: dict[str, tuple[float | None, float]],
) -> None:
    errors = {name: error for name, (_, error) in figures.items()}
    assert errors["targets"] < errors["diffusion"]
    assert errors["refine"] < errors["student"]

"""Stage 2 hands on no noise when jointly blind, and does in the paper's literal form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from diffdenoise.config import Settings
from diffdenoise.method.stages import Stages
from diffdenoise.plan import make_plan
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import from_array
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet

_NOISE_STD = 0.1


def _leakage_slope(folder: Path, jointly_blind: bool) -> float:
    """Slope of (stage 2's output - condition) on the true noise, after a short training."""
    x, y = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 48))
    clean = np.stack([0.5 + 0.3 * np.cos(3 * x + k) * np.sin(2 * y - k) for k in range(6)])
    noise = _NOISE_STD * np.random.default_rng(0).standard_normal(clean.shape)
    noisy = (clean + noise).astype(np.float32)
    settings = Settings.build(
        minutes=1.0,
        data={"axis": 0, "patch": 32, "batch": 8, "neighbours": 0},
        stage1={"width": 4},
        stage2={"width": 8, "jointly_blind": jointly_blind, "learning_rate": 3e-3},
        sampling={"nodes": 4},
        schedule={"blind-spot": {"steps": 20}, "diffusion": {"steps": 200}},
    )
    plan = make_plan([from_array(noisy)], settings)
    workspace = Workspace.open(folder / "work", settings, plan.fingerprint(), resume=False)
    stages = Stages(plan, workspace, Hardware(torch.device("cpu"), bf16=False), Quiet(), 3600.0)
    stages.blind_spot()
    stages.diffusion(1)
    teacher = stages.teacher(1)
    scaled = noise / IntensityMap.fit(noisy).range
    slopes = []
    for number, one in enumerate(scaled):
        item = stages.slices.whole(number)
        change = (teacher.srds(item, number) - teacher.condition(item))[0, 0].numpy()
        slopes.append(float((change * one).mean() / (one * one).mean()))
    return float(np.mean(slopes))


def test_jointly_blind_does_not_leak(tmp_path: Path) -> None:
    assert abs(_leakage_slope(tmp_path, jointly_blind=True)) < 0.1


def test_literal_form_leaks(tmp_path: Path) -> None:
    assert _leakage_slope(tmp_path, jointly_blind=False) > 0.3

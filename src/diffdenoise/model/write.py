"""Write a model folder: weights, settings, record and a small model card."""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.numpy import save_file

from diffdenoise._version import __version__
from diffdenoise.config import STAGES, round_name, stage_names
from diffdenoise.model.folder import CARD, RECORD, SETTINGS, STUDENT
from diffdenoise.model.record import ModelRecord, thinned
from diffdenoise.plan import Plan
from diffdenoise.scan.atomic import atomic_path

if TYPE_CHECKING:
    from torch import nn

    from diffdenoise.training.hardware import Hardware
    from diffdenoise.training.workspace import Workspace

_CARD_TEXT = """# DiffDenoise model

A denoiser trained on noisy images alone by DiffDenoise {version}. Run it with

    diffdenoise denoise SCAN -o DENOISED --model THIS_FOLDER

- Trained on {slices} slices ({sizes} pixels) of {volumes} volume(s), with {neighbours} neighbour
  slice(s) on either side as inputs; data fingerprint `{fingerprint}`. No names or headers of the
  scans are stored.
- Noise found: std {noise:.2%} of the intensity range (0.5th to 99.5th percentile), correlated over
  {correlation} pixels (down, along).
- `student.safetensors` is the denoiser{origin}.
- `blind_spot.safetensors` and `diffusion.safetensors` are stages 1 and 2, which {taught}.
- `settings.yaml` repeats the training on the same data; `record.json` tells how it went.

For research use. It has learned from the images above; on images of another kind, train another.
"""


def write_model(
    folder: Path,
    plan: Plan,
    workspace: Workspace,
    hardware: Hardware,
    orientations: int,
    start: nn.Module | None = None,
) -> None:
    """Turn a finished workspace into a model folder; the record goes last and makes it complete.

    Parameters
    ----------
    folder : Path
        Model folder.
    plan : Plan
        What was trained on what.
    workspace : Workspace
        Weights and records of all stages.
    hardware : Hardware
        Where it was trained.
    orientations : int
        Turned and mirrored copies that the student's output is to be averaged over.
    start : Module, optional
        The student that training began with, if that is to be run in place of the trained one.
    """
    settings = plan.settings
    stages = workspace.stages
    last = settings.iterations
    for stage, name in (
        (stage_names(settings, plan.self_trains)[-1], STUDENT),
        (round_name("diffusion", last), "diffusion.safetensors"),
        ("blind-spot", "blind_spot.safetensors"),
    ):
        shutil.copyfile(workspace.weights(stage), folder / name)
    if start is not None:
        weights = {name: value.cpu().contiguous().numpy() for name, value in start.state_dict().items()}
        save_file(weights, folder / STUDENT)
    student = settings.stage3.model_copy(update={"orientations": orientations})
    repeat = settings.model_copy(update={"schedule": workspace.steps_done(), "stage3": student})
    (folder / SETTINGS).write_text(repeat.to_yaml(), encoding="utf-8")
    targets = start is None and stages[round_name("targets", last)]["steps"]["steps"] > 0
    summary = plan.as_dict()
    del summary["settings"]
    (folder / CARD).write_text(
        _CARD_TEXT.format(
            version=__version__,
            slices=plan.slices,
            sizes=", ".join(summary["slice_sizes"]),
            volumes=len(plan.volumes),
            neighbours=plan.neighbours,
            fingerprint=plan.fingerprint()[:16],
            noise=plan.noise.typical_std,
            origin=_origin(plan, start),
            taught="it learned from" if targets else "it did not learn from: it was ahead of them",
            correlation=" and ".join(f"{width:g}" for width in plan.noise.correlation.width_px),
        ),
        encoding="utf-8",
    )
    record = ModelRecord.model_validate_json(
        json.dumps(
            {
                "neighbours": plan.neighbours,
                "fingerprint": plan.fingerprint(),
                "data": summary,
                "noise": plan.noise.as_dict(),
                "orientations": orientations,
                "rician_std": plan.rician_std,
                "trained_on": [one.as_dict() for one in plan.trained_on],
                "kept": "trained" if start is None else "start",
                "synthetic_start": [stage for stage in STAGES if settings.starts_synthetic(stage)],
                "residual_std": {
                    name: workspace.figure(name)
                    for name in (round_name("residual_std", turn) for turn in range(1, last + 1))
                },
                "risks": {
                    name: workspace.figure(name)
                    for name in (round_name("risks", turn) for turn in range(1, last + 1))
                },
                "stages": {
                    name: {**stage, "losses": thinned(stage.get("losses") or [])}
                    for name, stage in stages.items()
                },
                "seconds": round(workspace.spent_s, 1),
                "device": hardware.describe()[:200],
                "precision": hardware.precision,
                "versions": {
                    "diffdenoise": __version__,
                    "python": platform.python_version(),
                    **{name: version(name) for name in ("torch", "numpy")},
                },
            }
        )
    )
    with atomic_path(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record.as_dict(), indent=1), encoding="utf-8")


def _origin(plan: Plan, start: nn.Module | None) -> str:
    """Where the student's weights come from, in words."""
    if start is not None:
        return ": the weights that come with the package, beyond which training did not get"
    if plan.settings.starts_synthetic("stage3"):
        return ": the weights that come with the package, trained on the images above"
    return ", trained on the images above from random weights"

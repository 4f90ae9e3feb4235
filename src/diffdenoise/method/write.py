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
from diffdenoise.model.named import name_for
from diffdenoise.model.record import ModelRecord, thinned
from diffdenoise.plan import Plan
from diffdenoise.scan.atomic import atomic_path

if TYPE_CHECKING:
    from diffdenoise.method.kept import Kept
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
- `student.safetensors` is the denoiser{origin}. Its last training took {steps} steps.
- `blind_spot.safetensors` and `diffusion.safetensors` are stages 1 and 2, which {taught}.
- `settings.yaml` repeats the training on the same data; `record.json` tells how it went.

For research use. It has learned from the images above; on images of another kind, train another.
"""


def write_model(
    folder: Path,
    plan: Plan,
    workspace: Workspace,
    hardware: Hardware,
    averaged: tuple[int, int],
    kept: Kept,
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
    averaged : (int, int)
        Turned and mirrored copies that the student's output is to be averaged over, and axes of slices.
    kept : Kept
        The student that is to be run.
    """
    settings, last = plan.settings, plan.settings.iterations
    for stage, name in (
        (stage_names(settings)[-1], STUDENT),
        (round_name("diffusion", last), "diffusion.safetensors"),
        ("blind-spot", "blind_spot.safetensors"),
    ):
        shutil.copyfile(workspace.weights(stage), folder / name)
    if kept.share < 1:
        stored = kept.network.state_dict()
        weights = {name: value.cpu().contiguous().numpy() for name, value in stored.items()}
        save_file(weights, folder / STUDENT)
    student = settings.stage3.model_copy(update={"orientations": averaged[0]})
    repeat = settings.model_copy(update={"schedule": workspace.steps_done(), "stage3": student})
    (folder / SETTINGS).write_text(repeat.to_yaml(), encoding="utf-8")
    (folder / CARD).write_text(_card(plan, workspace, kept.share), encoding="utf-8")
    record = _record(plan, workspace, hardware, averaged, kept.share)
    with atomic_path(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record.as_dict(), indent=1), encoding="utf-8")


def _card(plan: Plan, workspace: Workspace, share: float) -> str:
    """The model card: what it was trained on, and where its weights come from."""
    targets = workspace.stages[round_name("targets", plan.settings.iterations)]["steps"]["steps"]
    taught = share > 0 and targets > 0
    return _CARD_TEXT.format(
        version=__version__,
        slices=plan.slices,
        sizes=", ".join(plan.as_dict()["slice_sizes"]),
        volumes=len(plan.volumes),
        neighbours=plan.neighbours,
        fingerprint=plan.fingerprint()[:16],
        noise=plan.noise.typical_std,
        origin=_origin(plan, share),
        steps=workspace.stages[stage_names(plan.settings)[-1]]["steps"]["steps"],
        taught="it learned from" if taught else "it did not learn from: it was ahead of them",
        correlation=" and ".join(f"{width:g}" for width in plan.noise.correlation.width_px),
    )


def _record(
    plan: Plan, workspace: Workspace, hardware: Hardware, averaged: tuple[int, int], share: float
) -> ModelRecord:
    """What is known of the training, as the folder's reader checks it."""
    rounds = range(1, plan.settings.iterations + 1)
    summary = plan.as_dict()
    del summary["settings"]
    tree = {
        "neighbours": plan.neighbours,
        "fingerprint": plan.fingerprint(),
        "data": summary,
        "noise": plan.noise.as_dict(),
        "orientations": averaged[0],
        "axes": averaged[1],
        "level": plan.domain.level,
        "rician_std": plan.rician_std,
        "coils": plan.diagnosis.coils,
        "trained_on": [one.as_dict() for one in plan.trained_on],
        "kept": "trained" if share else "start",
        "kept_share": share,
        "weights": name_for(plan.known) if plan.settings.starts_synthetic("stage3") else None,
        "synthetic_start": [stage for stage in STAGES if plan.settings.starts_synthetic(stage)],
        **{
            figure: {name: workspace.figure(name) for name in (round_name(figure, turn) for turn in rounds)}
            for figure in ("residual_std", "risks")
        },
        "stages": {
            name: {**stage, "losses": thinned(stage.get("losses") or [])}
            for name, stage in workspace.stages.items()
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
    return ModelRecord.of_plain(tree)


def _origin(plan: Plan, share: float) -> str:
    """Where the student's weights come from, in words."""
    if not share:
        return ": the weights that come with the package, beyond which training did not get"
    if plan.settings.starts_synthetic("stage3"):
        part = "" if share == 1 else f"; of what that changed, {share:.0%} is kept"
        return f": the weights that come with the package, trained on the images above{part}"
    return ", trained on the images above from random weights"

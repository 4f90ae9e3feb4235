"""The order of the method, one line a stage.

read -> scale -> diagnose -> 1: blind-spot condition -> 2: diffusion, symmetric sampling
-> 3: student -> unscale -> write.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from diffdenoise.config import Settings
from diffdenoise.errors import DeviceError, DiskFullError, InputError, ModelError, OutputError, option
from diffdenoise.method.stages import Stages
from diffdenoise.method.write import write_model
from diffdenoise.model import Model
from diffdenoise.model.folder import RECORD
from diffdenoise.noise.statement import Noise
from diffdenoise.plain_files import is_about_another
from diffdenoise.plan import Plan, make_plan
from diffdenoise.scan.scan import Scan
from diffdenoise.training.hardware import choose_hardware
from diffdenoise.training.heap import trim
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Progress, Quiet

#: What is said where the diagnosis has no level to build on.
_BLIND = (
    "how strong the noise is cannot be told from anatomy: the stages as published are trained, which need no"
    " level (give noise_std if you know it)"
)


def train(
    scans: Sequence[Scan],
    settings: Settings,
    model_dir: Path,
    *,
    noises: Sequence[Noise] | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
    checkpoint_s: float = 20.0,
    spent_s: float = 0.0,
) -> Model:
    """Train the three stages on noisy scans alone.

    Parameters
    ----------
    scans : sequence of Scan
        The data set; sizes may differ.
    settings : Settings
        What to train, and for how long.
    model_dir : Path
        Becomes the model folder; holds the state of an unfinished run below `work`.
    noises : sequence of Noise, optional
        What is known of each scan's noise; None: looked for here.
    resume : bool
        Go on with the unfinished run in `model_dir`.
    device, threads
        See `choose_hardware`.
    progress : Progress, optional
        Told about stages and steps.
    checkpoint_s : float
        Seconds between checkpoints.
    spent_s : float
        Seconds of the budget already spent, such as on reading and on loading torch.

    Returns
    -------
    Model

    Raises
    ------
    DiffDenoiseError
        If scans, settings, folder or device don't fit.
    KeyboardInterrupt
        If the user stopped the run; `resume` goes on from the last checkpoint.
    """
    began = time.monotonic()
    hardware = choose_hardware(device, threads)
    settings = settings.for_training()
    plan = make_plan(scans, settings, noises)
    if plan.contradiction is not None:
        (progress or Quiet()).say(plan.contradiction.in_words())
    if plan.is_blind:
        (progress or Quiet()).say(_BLIND)
    if (model_dir / RECORD).exists():
        if not resume:
            raise OutputError(f"{model_dir}: holds a finished model; choose another folder or delete it")
        return _finished(model_dir, plan, device, threads)
    workspace = Workspace.open(model_dir / "work", settings, plan.fingerprint(), resume=resume)
    try:
        with _in_the_users_words(model_dir):
            workspace.spend(spent_s + time.monotonic() - began)
            _train_into(model_dir, Stages(plan, workspace, hardware, progress or Quiet(), checkpoint_s))
    except (OutputError, DeviceError):
        # What was done is kept for --resume.
        raise
    except Exception:
        workspace.remove_if_nothing_was_done()
        raise
    finally:
        workspace.release()
    workspace.remove()
    trim()
    return Model.load(model_dir, device, threads)


def _train_into(model_dir: Path, stages: Stages) -> None:
    """Train, and write the model folder."""
    train_all_stages(stages)
    kept, averaged = stages.what_is_kept(), (stages.orientations, stages.axes)
    write_model(model_dir, stages.plan, stages.workspace, stages.hardware, averaged, kept)


def train_all_stages(stages: Stages) -> None:
    """Train stage 1 once, then as many rounds of stages 2 and 3 as the settings ask for."""
    stages.blind_spot()
    for round_number in range(1, stages.settings.iterations + 1):
        stages.diffusion(round_number)
        stages.targets(round_number)
        stages.student(round_number)
        stages.refine(round_number)


@contextmanager
def _in_the_users_words(model_dir: Path) -> Iterator[None]:
    """Turn what the system and libraries say of full disks and memories into errors for the user."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and is_about_another(error, model_dir):
            raise InputError(
                f"{error.filename}: cannot be read ({error.strerror}); put that right, then go on with "
                f"{option('resume')}"
            ) from error
        raise _unwritable(model_dir, error) from error
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the GPU's memory is full; set a smaller data.batch, or use {option('device', 'cpu')}"
        ) from error


def _unwritable(model_dir: Path, error: Exception) -> OutputError:
    """Return the user's error for what the system, or the library that writes weights, said."""
    reason = getattr(error, "strerror", None) or str(error)
    # safetensors tells the system's number in words only.
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in reason
    if full:
        return DiskFullError(f"{model_dir}: the disk is full; make room, then go on with {option('resume')}")
    return OutputError(
        f"{model_dir}: cannot be written ({reason}); put that right, then go on with {option('resume')}"
    )


def _finished(model_dir: Path, plan: Plan, device: str, threads: int | None) -> Model:
    """Return the model of a run that was stopped after its last stage."""
    model = Model.load(model_dir, device, threads)
    if model.details.fingerprint != plan.fingerprint():
        raise ModelError(f"{model_dir}: was trained on other scans; give the same ones to go on")
    # What the run chose for itself doesn't count as a wish.
    chosen: dict[str, Any] = {"schedule": plan.settings.schedule}
    if plan.settings.stage3.orientations is None:
        chosen["stage3"] = model.settings.stage3.model_copy(update={"orientations": None})
    if model.settings.model_copy(update=chosen) != plan.settings:
        raise ModelError(f"{model_dir}: was trained with other settings; resume with the same")
    shutil.rmtree(model_dir / "work", ignore_errors=True)
    return model

"""Our method and its ablations on a benchmark case: trained as `diffdenoise` does, each stage scored."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data import Data
from diffdenoise.config import Settings, round_name, stage_names
from diffdenoise.method import choices
from diffdenoise.method.kept import Kept
from diffdenoise.method.recorruption import recorrupted_level
from diffdenoise.method.stages import Stages
from diffdenoise.method.step_data import with_centre
from diffdenoise.method.train import train_all_stages
from diffdenoise.model.denoiser import Denoiser, denoiser_of
from diffdenoise.networks.start import load_student
from diffdenoise.networks.student import student_network
from diffdenoise.noise.domain import entered
from diffdenoise.noise.rician import signal_of_denoised
from diffdenoise.plan import Plan, make_plan
from diffdenoise.scan.prepared import Prepared, prepare
from diffdenoise.scan.read import from_array
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.hardware import Hardware
from diffdenoise.training.randomness import generator
from diffdenoise.training.slices import Slices
from diffdenoise.training.workspace import Workspace
from diffdenoise.types import Quiet, Stack

#: Draws that the student at its training level is averaged over: as many as there are orientations.
_RECORRUPTED = 8


def plan_of(stacks: Sequence[Stack], settings: Settings, spacing_mm: tuple[float, ...] | None = None) -> Plan:
    """Our plan for stacks of slices, of voxels of that size."""
    data = settings.data.model_copy(update={"axis": 0})
    scans = [replace(from_array(stack), spacing_mm=spacing_mm) for stack in stacks]
    return make_plan(scans, settings.model_copy(update={"data": data}))


def ours(
    data: Data, settings: Settings, hardware: Hardware, now: Callable[[], float], *, samples: str = "all"
) -> tuple[dict[str, Stack], dict[str, Any]]:
    """Train the three stages on the noisy scans alone, and denoise the scored slices with each.

    Parameters
    ----------
    now : callable
        Source of seconds.
    samples : "all", "few" or "none"
        Which of stage 2's estimates are scored: all take as long as the training, a few a third of it.

    Returns
    -------
    results : dict of row name to scored slices
        "result" is what users get.
    details : dict
        Steps and seconds by stage, the noise as found, the choices made.
    """
    plan = plan_of(data.train, settings, data.spacing_mm)
    if plan.is_clean:
        # As `denoise` does, which says so.
        unchanged = np.stack([data.noisy[s][k] for s, k in data.scored])
        return {"result": unchanged}, {"left_as_it_is": True, "noise": plan.noise.as_dict()}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "work", settings, plan.fingerprint(), resume=False)
        stages = Stages(plan, workspace, hardware, Quiet(), 3600.0, keep_time=False, now=now)
        began = time.monotonic()
        train_all_stages(stages)
        seconds = time.monotonic() - began
        rows = Rows(data, plan, hardware, stages)
        kept = stages.what_is_kept()
        rows.add_students(kept)
        if settings.iterations == 1 and samples != "none":
            rows.add_samples(every_row=samples == "all")
        details = {
            "stages": {
                name: {key: record[key] for key in ("steps", "seconds")}
                for name, record in workspace.stages.items()
            },
            "risks": workspace.figure("risks"),
            "kept_share": kept.share,
            "training_seconds": round(seconds, 1),
            "noise": plan.noise.as_dict(),
            "plan": {
                "neighbours": plan.neighbours,
                "blind_spot": plan.blind_spot,
                "std": plan.noise.typical_std,
            },
        }
    return rows.results, details


def instant(data: Data, settings: Settings, hardware: Hardware) -> tuple[dict[str, Stack], dict[str, Any]]:
    """Denoise the scored slices with the weights that come with the package, told the noise as it is found.

    Returns
    -------
    results, details
        As of `ours`.
    """
    plan = plan_of(data.train, settings, data.spacing_mm)
    if plan.is_clean:
        unchanged = np.stack([data.noisy[s][k] for s, k in data.scored])
        return {"result": unchanged}, {"left_as_it_is": True, "noise": plan.noise.as_dict()}
    rows = Rows(data, plan, hardware)
    rows.add_instant()
    return rows.results, {"noise": plan.noise.as_dict(), "neighbours": plan.neighbours}


class Rows:
    """Scored slices, denoised by each of a finished run's estimators.

    Attributes
    ----------
    results : dict of row name to scored slices
        In the data's own units.
    """

    def __init__(self, data: Data, plan: Plan, hardware: Hardware, stages: Stages | None = None) -> None:
        self.results: dict[str, Stack] = {}
        self._data, self._plan, self._hardware, self._run = data, plan, hardware, stages
        self._prepared = [prepare(from_array(stack), 0) for stack in data.noisy]
        stacks = [stack for ready in self._prepared for stack in ready.stacks]
        volumes = in_memory(stacks, known_of(self._prepared))
        # How the level varies in place is known of the scans that were learned from.
        same = data.train is data.noisy
        places = self._plan.places if same else [None] * len(volumes)
        self._entered = entered(volumes, self._plan.domain, places)
        self._slices = Slices(self._entered, self._plan.neighbours)
        self._starts = np.cumsum([0, *(len(stack) for stack in data.noisy)])

    @property
    def _stages(self) -> Stages:
        if self._run is None:
            raise RuntimeError("nothing was trained")
        return self._run

    def _add(self, name: str, estimate_of: Callable[[Tensor, int], Tensor]) -> None:
        hardware, found = self._hardware, []
        for s, k in self._data.scored:
            number = int(self._starts[s]) + k
            item = self._slices.whole(number).to(hardware.device)
            with torch.no_grad(), hardware.autocast():
                output = estimate_of(item, number)[0, 0].float().cpu().numpy()
            stack = self._prepared[s].stacks[0].copy()
            (stack[k],) = self._entered[s].leave(k, output[None])
            found.append(self._prepared[s].restored([stack]).whole()[k].astype(np.float32))
        self.results[name] = np.stack(found)

    def _denoiser_of(self, stage: str | nn.Module | None, orientations: int) -> Denoiser:
        """A student, or the one that a stage left, as users run it; None: as training began."""
        settings = self._plan.settings
        student = self._hardware.place(student_network(settings, self._plan.neighbours))
        if stage is None:
            load_student(student, self._plan.known)
        elif isinstance(stage, nn.Module):
            student.load_state_dict(stage.state_dict())
        else:
            self._stages.workspace.load(stage, student)
        turns = self._plan.noise.correlation.alike_turns()[:orientations]
        return denoiser_of(student, turns, self._hardware.device.type, torch.get_num_threads())

    def _add_student(
        self, name: str, stage: str | nn.Module | None, orientations: int = 1, axes: int = 1
    ) -> None:
        """Add a student; parameters as of `_denoiser_of`."""
        as_run, level = self._denoiser_of(stage, orientations), self._plan.domain.level
        if axes == 1:
            self._add(name, lambda item, _: torch.from_numpy(as_run.run(item.cpu().numpy(), level)))
            return
        whole = as_run.denoise(self._entered, level, Quiet(), axes)
        restored = [one.restored([found]) for one, found in zip(self._prepared, whole, strict=True)]
        slices = [restored[s].slab(0, 0, k, k + 1)[0] for s, k in self._data.scored]
        self.results[name] = np.stack(slices).astype(np.float32)

    def add_recorrupted(self) -> None:
        """Add the refined student at the level that it was trained at: on y + alpha n e, averaged over draws.

        In one pass it is run on y itself, and told that this is less noisy by the factor sqrt(1 + alpha^2).
        """
        plan, seed = self._plan, self._plan.settings.seed
        level = recorrupted_level(plan.domain.level, choices.alpha(plan))
        as_run, noise = self._denoiser_of("refine", 1), self._stages.noise_draws()

        def estimate(item: Tensor, number: int) -> Tensor:
            draws, centre = generator(seed, "recorrupted", number), item[:, :1]
            total = torch.zeros_like(centre)
            for _ in range(_RECORRUPTED):
                added = noise.draw(centre, draws)
                seen = with_centre(item, centre + choices.alpha(plan) * added)
                total += torch.from_numpy(as_run.run(seen.cpu().numpy(), level))
            return total / _RECORRUPTED

        self._add("recorrupted", estimate)

    def add_students(self, kept: Kept) -> None:
        """Add what users get, in one pass too, and what it began with."""
        settings = self._plan.settings
        turns, orientations = settings.iterations, settings.stage3.orientations or 8
        last = stage_names(settings)[-1]
        self._add_student("result", kept.network, orientations, self._stages.axes)
        self._add_student("one-pass", kept.network)
        if 0 < kept.share < 1:
            self._add_student("all-kept", last)
        if settings.starts_synthetic("stage3"):
            self._add_student("start", None, orientations)
        self._undo_bias()
        for turn in range(1, turns):
            self._add_student(f"iteration-{turn}", round_name(last.removesuffix(f"-{turns}"), turn))

    def add_instant(self) -> None:
        """Add what the weights that come with the package give without any training."""
        self._add_student("result", None, self._plan.settings.stage3.orientations or 8, self._plan.most_axes)
        self._add_student("one-pass", None)
        self._undo_bias()

    def _undo_bias(self) -> None:
        plan = self._plan
        if plan.rician_std is None:
            return
        biased = self.results["result"]
        for name, image in self.results.items():
            found = plan.rician_std, plan.diagnosis.coils
            self.results[name] = _unbiased(image, *found, self._data, self._prepared)
        self.results["biased"] = biased

    def add_samples(self, *, every_row: bool) -> None:
        """Add stage 2's estimates, and what the student was before its last step."""
        teacher = self._stages.teacher(1)
        pairs: dict[int, Tensor] = {}

        def pair(item: Tensor, number: int) -> Tensor:
            pairs[number] = teacher.srds(item, number)
            return pairs[number]

        if self._plan.settings.stage3.refine:
            self.add_recorrupted()
        self._add("condition", lambda item, _: teacher.condition(item))
        self._add("srds", pair)
        self._add("fusion", lambda item, k: teacher.fuse(item, pairs[k]))
        if every_row:
            self._add("single", lambda item, k: teacher.random_samples(item, k, 1))
            self._add("two-random", lambda item, k: teacher.random_samples(item, k, 2))
            self._add("four-pairs", lambda item, k: teacher.srds(item, k, pairs=4))
            self._add("one-step", lambda item, _: teacher.one_step(item))
            self._add("corrected", lambda item, k: teacher.corrected(item, k))
        settings = self._plan.settings
        distilled = self._stages.workspace.stages["student"]["steps"]["steps"]
        if settings.stage3.refine and distilled:
            self._add_student("distilled", "student")


def known_of(prepared: Sequence[Prepared]) -> list[NDArray[np.bool_]] | None:
    """Where scans hold data; None: everywhere."""
    if all(ready.known is None for ready in prepared):
        return None
    return [
        where
        for ready in prepared
        for where in ready.known or [np.ones(stack.shape, bool) for stack in ready.stacks]
    ]


def _unbiased(image: Stack, std: float, coils: int, data: Data, prepared: Sequence[Prepared]) -> Stack:
    """Undo the Rician bias of the scored slices, scan by scan, as the model does."""
    result = np.empty_like(image)
    scans = np.array([s for s, _ in data.scored])
    for s in np.unique(scans):
        own = scans == s
        (result[own],) = signal_of_denoised([image[own]], std * prepared[s].intensities.range, coils)
    return result


def _with(**changes: Any) -> Callable[[Settings], Settings]:
    def change(settings: Settings) -> Settings:
        updates = {
            name: getattr(settings, name).model_copy(update=value) if isinstance(value, dict) else value
            for name, value in changes.items()
        }
        return settings.model_copy(update=updates)

    return change


#: Ablations, in few settings each. Without refinement the early stages have most of the time; those begin
#: with random weights, as in the paper.
VARIANTS: dict[str, Callable[[Settings], Settings]] = {
    "ours": _with(),
    "ours-random-start": _with(start="random"),
    "ours-literal": _with(
        start="random", stage2={"jointly_blind": False}, stage3={"target": "srds", "refine": False}
    ),
    "ours-paper": _with(start="random", stage3={"target": "srds", "refine": False}),
    "ours-distilled": _with(start="random", stage3={"refine": False}),
    "ours-no-neighbours": _with(data={"neighbours": 0}),
    "ours-iterations": _with(iterations=3),
}

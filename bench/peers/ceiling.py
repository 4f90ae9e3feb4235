"""What the student's network can reach: trained on clean images until that helps no more.

The same start as ours, on clean images of this very scan (which nobody has) or of other people (which a
supervised method could have). Training goes in rounds of the table's time, each with its own decay of the
rate; slices that are kept back tell when another round adds nothing.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.peers.trained import Job, Result
from diffdenoise.method.student import squared_distance
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.slices import Slices
from diffdenoise.types import Stack

#: Rounds at most, and the gain in dB on the slices kept back under which another one is not worth it.
MOST_ROUNDS, LEAST_GAIN_DB = 6, 0.03
#: Fewest and most slices that are kept back, the former also for what is left on either side of them.
_FEWEST_HELD, _MOST_LOOKED_AT = 3, 6


def ceiling(job: Job) -> Result:
    """On clean images of the scan itself."""
    return _trained_until_it_stops(job, own_scan(job))


def ceiling_others(job: Job) -> Result:
    """On clean images of other people; scored on this scan all the same."""
    if not job.data.others:
        raise ValueError("ceiling-others: this case has no clean images of other people")
    return _trained_until_it_stops(job, _kept_back(job.data.others, []))


@dataclasses.dataclass(frozen=True)
class Split:
    """Clean stacks to train on, and others that tell when to stop."""

    train: list[Stack]
    held: list[Stack]


def own_scan(job: Job) -> Split:
    """Clean stacks of the scan without a block that is not scored; held are those, or other people's."""
    if job.data.train_clean is None:
        raise ValueError("ceiling: this case has no clean images")
    same = job.data.train_clean is job.data.clean
    split = _kept_back(job.data.train_clean, job.data.scored if same else [])
    if split.held:
        return split
    # Where all slices are scored, other people tell when to stop; failing them, the scan with other noise.
    return Split(job.data.train_clean, job.data.others or job.data.train_clean)


def _kept_back(stacks: list[Stack], scored: list[tuple[int, int]]) -> Split:
    """Keep back a block of slices without a scored one; where each is a stack, every tenth."""
    if len(stacks) >= 10 and all(len(stack) == 1 for stack in stacks):
        held = stacks[::10]
        return Split([stack for k, stack in enumerate(stacks) if k % 10], held)
    chosen = max(range(len(stacks)), key=lambda s: len(stacks[s]))
    count = len(stacks[chosen])
    taken = [k for s, k in scored if s == chosen]
    wanted = min(_MOST_LOOKED_AT, count // 4)
    for size in range(wanted, _FEWEST_HELD - 1, -1):
        # Nearest to the middle, where there is something to see, with whole stacks left beside it.
        places = range(_FEWEST_HELD, count - size - _FEWEST_HELD + 1)
        free = [first for first in places if not any(first <= k < first + size for k in taken)]
        if free:
            first = min(free, key=lambda place: abs(2 * place + size - count))
            one, rest = stacks[chosen], [stack for s, stack in enumerate(stacks) if s != chosen]
            return Split([*rest, one[:first], one[first + size :]], [one[first : first + size]])
    return Split(stacks, [])


def _trained_until_it_stops(job: Job, split: Split) -> Result:
    # As ours begins: from the package's weights, where networks are of the default width.
    job = dataclasses.replace(job, synthetic_start=job.settings.starts_synthetic("stage3"))
    slices = Slices(in_memory(split.train), job.plan.neighbours)
    student = job.student()
    scale = job.data.told_std**2
    shown = _Held(job, split.held)
    reached = [shown.psnr(student)]
    best, steps = copy.deepcopy(student.state_dict()), 0
    stopped = "cap"
    for number in range(MOST_ROUNDS):

        def loss_of(step: int, before: int = 1_000_000 * number) -> Tensor:
            patch, draws = job.patches(slices, "ceiling", before + step)
            dirty = job.data.noise.add_to_patches(patch, draws)
            return squared_distance(job.denoise(student, dirty), patch[:, :1]) / scale

        steps += job.fit(student, loss_of).steps
        reached.append(shown.psnr(student))
        gain = reached[-1] - max(reached[:-1])
        if gain > 0:
            best = copy.deepcopy(student.state_dict())
        if gain < LEAST_GAIN_DB:
            stopped = "no further rise"
            break
    student.load_state_dict(best)
    details: dict[str, Any] = {
        "steps": steps,
        "held_psnr": [round(value, 3) for value in reached],
        "held_slices": sum(len(stack) for stack in split.held),
        "stopped": stopped,
        "most_rounds": MOST_ROUNDS,
    }
    return job.estimates(lambda item: job.denoise(student, item)), details


class _Held:
    """Slices kept back, with one noise for all rounds."""

    def __init__(self, job: Job, held: list[Stack]) -> None:
        rng = np.random.default_rng([job.settings.seed, 77])
        noisy = [job.data.noise.add(stack, rng) for stack in held]
        self._slices = Slices(in_memory(noisy), job.plan.neighbours)
        clean = [image for stack in held for image in stack]
        numbers = np.linspace(0, len(clean) - 1, min(len(clean), _MOST_LOOKED_AT)).round().astype(int)
        self._clean = {int(number): clean[number] for number in numbers}
        self._job = job

    def psnr(self, student: torch.nn.Module) -> float:
        """Mean PSNR in dB, peak 1."""
        hardware, errors = self._job.hardware, []
        for number, clean in self._clean.items():
            item = self._slices.whole(number).to(hardware.device)
            with torch.no_grad(), hardware.autocast():
                output = self._job.denoise(student, item)[0, 0].float().cpu().numpy()
            errors.append(float(np.mean((output - clean) ** 2)))
        return float(-10 * np.log10(np.mean(errors)))

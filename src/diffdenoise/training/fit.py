"""The one training loop that all stages share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from diffdenoise.errors import DivergedError, option
from diffdenoise.training.checkpoint_io import load_checkpoint, save_checkpoint
from diffdenoise.training.clock import StagePlan
from diffdenoise.training.hardware import Hardware
from diffdenoise.types import Progress

#: Decay of the exponential moving average of the weights; lower at first, so that it forgets the
#: initial weights (the warm-up of Karras et al. 2022, appendix F.2, in another form).
_EMA_DECAY = 0.995
#: Gradients are clipped to this norm; without normalisation layers, a rare patch can be wild.
_CLIP_NORM = 1.0
#: Steps between two points of the curve of losses, and the share of a step in the smoothed loss.
_CURVE_STEPS, _NEW_SHARE = 20, 0.02
#: Name of the checkpoint inside a stage's folder.
_CHECKPOINT = "checkpoint.safetensors"

#: loss_of(step) -> loss; everything random in it is drawn from generators keyed by the step.
LossOf = Callable[[int], Tensor]


def fit(
    network: nn.Module,
    loss_of: LossOf,
    plan: StagePlan,
    *,
    learning_rate: float,
    hardware: Hardware,
    folder: Path,
    progress: Progress,
    checkpoint_s: float = 20.0,
) -> list[tuple[int, float]]:
    """Train `network` until its plan ends; leaves the averaged weights in it.

    Parameters
    ----------
    network : Module
        Trained in place, on the device of `hardware`.
    loss_of : callable
        Loss of a step, given its number from 0.
    plan : StagePlan
        Decides when to stop.
    learning_rate : float
        Peak learning rate of AdamW.
    hardware : Hardware
        Device and precision.
    folder : Path
        The checkpoint is kept here; an existing one is continued.
    progress : Progress
        Told about each step.
    checkpoint_s : float
        Seconds between checkpoints.

    Returns
    -------
    list of (step, smoothed loss)

    Raises
    ------
    KeyboardInterrupt
        If the user stopped the run; the last checkpoint stays.
    DivergedError
        If the loss is not a number.
    """
    checkpoint = folder / _CHECKPOINT
    state = _State(network, plan, learning_rate)
    goes_on = state.load(checkpoint) if checkpoint.is_file() else True
    saved_at = time.monotonic()
    while goes_on:
        loss = state.step(loss_of, hardware)
        if not math.isfinite(loss):
            told = f"training diverged at step {state.done} (loss {loss})"
            raise DivergedError(
                f"{told}; try a lower learning_rate or another {option('seed', python='seed')}"
            )
        progress.advance(state.done, plan.total(), state.note(loss), plan.seconds_left())
        goes_on = plan.after_step(state.done)
        if time.monotonic() - saved_at >= checkpoint_s:
            state.save(checkpoint)
            saved_at = time.monotonic()
    state.leave_average()
    return state.curve


class _State:
    """All that a step changes, which is what a checkpoint holds."""

    def __init__(self, network: nn.Module, plan: StagePlan, rate: float) -> None:
        self._parameters = dict(network.named_parameters())
        self._average = {name: one.detach().clone() for name, one in self._parameters.items()}
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._plan = plan
        self._rate = rate
        self.done = 0
        self.smoothed: float | None = None
        self.curve: list[tuple[int, float]] = []

    def step(self, loss_of: LossOf, hardware: Hardware) -> float:
        """Take one step; return its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * self._plan.learning_rate(self.done)
        self._optimizer.zero_grad()
        with hardware.autocast():
            loss = loss_of(self.done)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters.values(), _CLIP_NORM)
        self._optimizer.step()
        for name, parameter in self._parameters.items():
            average = self._average[name]
            average.copy_(_averaged(average, parameter.detach(), self.done))
        self.done += 1
        return loss.item()

    def note(self, loss: float) -> float:
        """Note the loss of the last step; return the smoothed one."""
        before = self.smoothed
        self.smoothed = loss if before is None else (1 - _NEW_SHARE) * before + _NEW_SHARE * loss
        if self.done % _CURVE_STEPS == 0:
            self.curve.append((self.done, round(self.smoothed, 6)))
        return self.smoothed

    @torch.no_grad()
    def leave_average(self) -> None:
        """Put the averaged weights into the network."""
        for name, parameter in self._parameters.items():
            parameter.copy_(self._average[name])

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            own = {"weight": parameter, "average": self._average[name], **self._optimizer.state[parameter]}
            tensors |= {f"{kind} {name}": tensor for kind, tensor in own.items()}
        rest = {
            "done": self.done,
            "plan": self._plan.state(),
            "smoothed": self.smoothed,
            "curve": self.curve,
        }
        save_checkpoint(path, tensors, rest)

    @torch.no_grad()
    def load(self, path: Path) -> bool:
        """Go on from a checkpoint; return whether another step follows."""
        tensors, rest = load_checkpoint(path)
        for key, tensor in tensors.items():
            kind, _, name = key.partition(" ")
            parameter = self._parameters[name]
            if tensor.shape == parameter.shape:
                # Fused optimisers pair weights and moments by their place in memory, so the layout counts.
                tensor = torch.empty_like(parameter).copy_(tensor)
            if kind == "weight":
                parameter.copy_(tensor)
            elif kind == "average":
                self._average[name].copy_(tensor)
            else:
                self._optimizer.state[parameter][kind] = tensor.to(parameter.device)
        self.done, self.smoothed = int(rest["done"]), rest["smoothed"]
        self.curve = [(int(step), float(loss)) for step, loss in rest["curve"]]
        self._plan.restore(rest["plan"])
        goes_on = self._plan.after_step(self.done)
        # Again, as a stage's speed isn't measured from where it was stopped.
        self._plan.restore(rest["plan"])
        return goes_on


def _averaged(average: Tensor, current: Tensor, updates: int) -> Tensor:
    """The moving average after `updates` others: the first is the weights themselves."""
    decay = min(_EMA_DECAY, (updates + 1) / (updates + 10)) if updates else 0.0
    return torch.lerp(current, average, decay)

"""Long trainings in pieces: how far one is, and what it goes on from."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

#: Seconds between states written.
_KEEP_S = 120.0
#: What tells two trainings apart; another machine may go on with the first's.
_SAME = ("steps", "batch", "stacks", "scans", "seed")


class Progress:
    """Part of a training that is done, and whether it is time to pause.

    Parameters
    ----------
    steps : int
        Of the whole training.
    pause_after_s : float, optional
        Seconds from now; None: never.
    """

    def __init__(self, steps: int, pause_after_s: float | None = None) -> None:
        self._steps = steps
        self._ends = None if pause_after_s is None else time.monotonic() + pause_after_s
        self._kept = time.monotonic()

    def part(self, step: int) -> float:
        """Part that is done after a number of steps; 1 ends the training."""
        return step / self._steps

    def pauses(self) -> bool:
        """Whether the time is over."""
        return self._ends is not None and time.monotonic() >= self._ends

    def keeps(self) -> bool:
        """Whether it is time to write a state."""
        if time.monotonic() - self._kept < _KEEP_S:
            return False
        self._kept = time.monotonic()
        return True


class State:
    """Averaged weights of a network, and beside them what its training goes on from, bit for bit.

    Parameters
    ----------
    folder : Path
        Where `NAME.safetensors` and `NAME.state.safetensors` are written, each at once or not at all.
    name : str
        Of the network.
    made : dict of str to str
        How it is trained: steps, batch, stacks, seed, and for the record more.
    draws : torch.Generator
        Source of the training's draws.
    """

    def __init__(self, folder: Path, name: str, made: dict[str, str], draws: torch.Generator) -> None:
        self._weights = folder / f"{name}.safetensors"
        self._state = folder / f"{name}.state.safetensors"
        self._made, self._draws = made, draws

    def load(self, network: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor]) -> int:
        """Put back what was kept, and return the steps that were done; 0 where nothing was.

        Raises
        ------
        SystemExit
            If what was kept is of another training.
        """
        if not self._state.is_file():
            return 0
        with safe_open(self._state, "pt") as stored:
            kept = stored.metadata()
        for key in _SAME:
            if kept[key] != self._made[key]:
                raise SystemExit(
                    f"{self._state} is of a training with --{key} {kept[key]}; give that, or another --out"
                )
        tensors = load_file(self._state)
        for name, parameter in network.named_parameters():
            parameter.data.copy_(tensors[f"weights.{name}"])
            average[name].copy_(tensors[f"average.{name}"])
            # Laid out in memory as the weights are: a fused step goes through both side by side.
            moments = {
                key: torch.empty_like(parameter).copy_(tensors[f"{key}.{name}"])
                for key in ("exp_avg", "exp_avg_sq")
            }
            optimizer.state[parameter] = {"step": tensors["step"].clone(), **moments}
        self._draws.set_state(tensors["draws"])
        return int(tensors["step"])

    def keep(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], step: int
    ) -> None:
        """Write the averaged weights, in half precision, and the state."""
        made = {**self._made, "steps": str(step)}
        _save({key: value.half() for key, value in average.items()}, self._weights, made)
        if not step:
            return
        tensors = {"step": torch.tensor(float(step)), "draws": self._draws.get_state()}
        for name, parameter in network.named_parameters():
            tensors[f"weights.{name}"] = parameter.detach()
            tensors[f"average.{name}"] = average[name]
            for key in ("exp_avg", "exp_avg_sq"):
                tensors[f"{key}.{name}"] = optimizer.state[parameter][key]
        _save(tensors, self._state, self._made)


def _save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    save_file({key: value.contiguous() for key, value in tensors.items()}, partial, metadata=metadata)
    partial.replace(path)

"""The folder in which a run keeps its state, so that it can go on after any stop."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from diffdenoise._version import __version__
from diffdenoise.config import Settings, Steps
from diffdenoise.errors import ModelError, OutputError, option
from diffdenoise.lock import WORK_LOCK, WORK_STATE, refuse_if_used, release, take
from diffdenoise.owner import this_process
from diffdenoise.plain_files import NotPlainError, parse_json, read_plain
from diffdenoise.training.checkpoint_io import reading, save_json, save_tensors
from diffdenoise.training.slices import Target

#: Number of the layout of state and checkpoints, which only versions with the same go on with.
_LAYOUT = 2
#: Bytes of a state at most: that of nine rounds with losses at many places takes a tenth.
_MOST_STATE_BYTES = 2**28


@dataclass(frozen=True)
class StoredImage:
    """An image (height, width) in a file, of which parts are read when they are asked for."""

    path: Path
    shape: tuple[int, int]

    def __getitem__(self, part: tuple[slice, slice], /) -> Tensor:
        with reading(self.path), safe_open(self.path, framework="pt") as file:
            pixels: Tensor = file.get_slice("target")[part]
        return pixels


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


class Workspace:
    """State of an unfinished run: which stages are done, their weights and figures.

    Parameters
    ----------
    folder : Path
        `work` inside the model folder.
    state : dict
        Contents of its `state.json`.
    """

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder = folder
        self._state = state

    @classmethod
    def open(cls, folder: Path, settings: Settings, fingerprint: str, *, resume: bool) -> Workspace:
        """Begin a run in `folder`, or go on with the one that is there.

        Raises
        ------
        OutputError
            If a run is there and `resume` is False, or the folder can't be made.
        ModelError
            If there is none to resume, or it had other data or settings.
        """
        if resume:
            state = _state_to_resume(folder, settings, fingerprint)
            take(folder / WORK_LOCK, folder.parent, this_process())
            return cls(folder, state)
        _check_is_free(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder.parent}: cannot be made ({error.strerror})") from error
        take(folder / WORK_LOCK, folder.parent, this_process())
        workspace = cls(
            folder,
            {
                "version": __version__,
                "layout": _LAYOUT,
                "fingerprint": fingerprint,
                "settings": settings.model_dump(mode="json"),
                "spent_s": 0.0,
                "stages": {},
                "figures": {},
            },
        )
        workspace.save()
        return workspace

    def save(self) -> None:
        """Write the state."""
        save_json(self._state, self.folder / WORK_STATE)

    @property
    def spent_s(self) -> float:
        """Seconds spent on finished stages."""
        return float(self._state["spent_s"])

    def spend(self, seconds: float) -> None:
        """Add seconds that were spent outside of the stages."""
        self._state["spent_s"] += seconds
        self.save()

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        """Record of each finished stage: steps, seconds, losses."""
        return dict(self._state["stages"])

    def is_done(self, stage: str) -> bool:
        """Whether a stage is finished."""
        return stage in self._state["stages"]

    def steps_done(self) -> dict[str, Steps]:
        """Steps of each finished stage, as a schedule that repeats them."""
        return {name: Steps(**record["steps"]) for name, record in self._state["stages"].items()}

    def finish(
        self, stage: str, network: nn.Module | None, steps: Steps, spent_s: float, **record: Any
    ) -> None:
        """Note that a stage is finished; its weights go first, so that the note is never wrong."""
        if network is not None:
            save_tensors(network.state_dict(), self.weights(stage))
        self._state["stages"][stage] = {"steps": steps.model_dump(), **record}
        self._state["spent_s"] = spent_s
        self.save()
        shutil.rmtree(self.stage_folder(stage), ignore_errors=True)

    def weights(self, stage: str) -> Path:
        """Path of a finished stage's weights."""
        return self.folder / f"{stage}.safetensors"

    def load(self, stage: str, network: nn.Module) -> None:
        """Put a finished stage's weights into `network`."""
        with reading(self.weights(stage)):
            network.load_state_dict(load_file(self.weights(stage)))

    def stage_folder(self, stage: str) -> Path:
        """Folder of a running stage's checkpoints."""
        return self.folder / stage

    def figure(self, name: str) -> Any:
        """A figure kept earlier, or None."""
        return self._state["figures"].get(name)

    def keep(self, name: str, value: Any) -> None:
        """Keep a figure (numbers, lists) for the rest of the run."""
        self._state["figures"][name] = value
        self.save()

    def target(self, stage: str, number: int) -> Target | None:
        """A cached target, or None; its pixels stay in their file."""
        path = self._targets(stage) / f"{number}.safetensors"
        if not path.is_file():
            return None
        with reading(path), safe_open(path, framework="pt") as file:
            top, left = file.get_tensor("place").tolist()
            height, width = file.get_slice("target").get_shape()
        return Target(top, left, StoredImage(path, (height, width)))

    def keep_target(self, stage: str, number: int, place: tuple[int, int], image: Tensor) -> None:
        """Cache the target (height, width) of one slice, or of a window at a place (top, left) of it."""
        folder = self._targets(stage)
        folder.mkdir(exist_ok=True)
        tensors = {"target": image, "place": torch.tensor(place)}
        save_tensors(tensors, folder / f"{number}.safetensors")

    def _targets(self, stage: str) -> Path:
        return self.folder / f"{stage}-cache"

    def release(self) -> None:
        """Leave the run to another process."""
        release(self.folder / WORK_LOCK, this_process())

    def remove(self) -> None:
        """Delete the whole state."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_if_nothing_was_done(self) -> None:
        """Delete the state, and the model folder made for it, if no step of any stage was stored."""
        if all(path.name in (WORK_STATE, WORK_LOCK) for path in self.folder.iterdir()):
            self.remove()
            self.folder.parent.rmdir()


def _check_is_free(folder: Path) -> None:
    """Raise an error if anything is where a run is to begin."""
    refuse_if_used(folder, folder.parent)
    if (folder / WORK_STATE).exists():
        raise OutputError(
            f"{folder.parent}: holds an unfinished training; go on with {option('resume')}, or "
            "delete the folder"
        )
    begun = {folder, folder / WORK_LOCK}
    if any(entry not in begun for place in (folder.parent, folder) for entry in _entries(place)):
        raise OutputError(f"{folder.parent}: is not empty; name a new folder for the model")


def _state_to_resume(folder: Path, settings: Settings, fingerprint: str) -> dict[str, Any]:
    """Read the state of a run that was stopped; raise an error if it isn't this one's."""
    path = folder / WORK_STATE
    if not path.is_file():
        raise ModelError(f"{folder.parent}: holds no unfinished training; leave out {option('resume')}")
    wanted = settings.model_dump(mode="json")
    try:
        state: dict[str, Any] = parse_json(read_plain(path, _MOST_STATE_BYTES))
        version, same = state["version"], state["fingerprint"] == fingerprint
        readable = state.get("layout") == _LAYOUT
        changed = [key for key in wanted if state["settings"].get(key) != wanted[key]]
    except (OSError, NotPlainError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: is damaged; delete {folder.parent} and train anew") from error
    if version != __version__:
        raise ModelError(
            f"{folder.parent}: was begun with version {version}, this is {__version__};"
            " delete it and train anew"
        )
    if not readable:
        raise ModelError(
            f"{folder.parent}: was begun with a version whose checkpoints this one can't read;"
            " delete it and train anew"
        )
    if not same:
        raise ModelError(f"{folder.parent}: was begun on other scans; give the same ones to go on")
    if changed:
        raise ModelError(
            f"{folder.parent}: was begun with another {', '.join(changed)}; resume with the same"
        )
    return state

"""Files of a run's state, safetensors and JSON: nothing is pickled, nothing is half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from diffdenoise.errors import ModelError, option

#: Where a checkpoint's JSON stands in the safetensors header: in one file, the two belong together.
_STATE = "state"
#: What to do about a checkpoint that is damaged.
_ANEW = "delete it, and the stage begins anew"


def save_tensors(
    tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file so that `path` is the old file or the whole new one, never a part."""
    temporary = path.with_name(f".{path.name}.part")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, temporary, metadata)
    _replace(temporary, path)


def save_json(tree: Any, path: Path) -> None:
    """Write JSON so that `path` is the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(tree, indent=1), encoding="utf-8")
    _replace(temporary, path)


def _replace(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def save_checkpoint(path: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint in place of the last one; a killed write leaves that as it is.

    Parameters
    ----------
    path : Path
        File to write; its folder is made.
    tensors : dict of str to Tensor
        No two of them in the same memory.
    state : dict
        What JSON can hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, path, {_STATE: json.dumps(state)})


@contextmanager
def reading(path: Path, remedy: str = "delete the run that it is of, and train anew") -> Iterator[None]:
    """Turn what the system and safetensors say while a file of a run is read into the user's words.

    Parameters
    ----------
    path : path
        The file.
    remedy : str
        What to do if it is damaged.

    Raises
    ------
    ModelError
        If it can't be read, or is damaged.
    """
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror or 'it is gone'}); put that right, then go on with "
            f"{option('resume')}"
        ) from error
    except SafetensorError as error:
        raise ModelError(f"{path}: is damaged; {remedy}") from error


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a checkpoint back: tensors on the CPU, and the state.

    Raises
    ------
    ModelError
        If it is damaged, or can't be read.
    """
    try:
        with reading(path, _ANEW), safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state: dict[str, Any] = json.loads((file.metadata() or {})[_STATE])
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: is damaged; {_ANEW}") from error
    return tensors, state

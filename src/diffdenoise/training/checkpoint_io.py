"""Files of a run's state, safetensors and JSON: nothing is pickled, nothing is half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from diffdenoise.errors import ModelError

#: Where a checkpoint's JSON stands in the safetensors header: in one file, the two belong together.
_STATE = "state"


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


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a checkpoint back: tensors on the CPU, and the state.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state: dict[str, Any] = json.loads((file.metadata() or {})[_STATE])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: is damaged; delete it, and the stage begins anew") from error
    return tensors, state

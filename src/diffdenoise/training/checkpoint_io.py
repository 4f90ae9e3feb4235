"""Lightning checkpoints as safetensors and JSON: nothing is pickled, nothing is half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors.torch import load_file, save_file

_TENSORS = "tensors.safetensors"
_REST = "state.json"
#: Marks a tensor's or a tuple's place in the JSON tree.
_TENSOR_KEY = "__tensor__"
_LAYOUT_KEY = "__layout__"
_TUPLE_KEY = "__tuple__"
_INT_KEYS = "__int_keys__"


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file so that `path` is the old file or the whole new one, never a part."""
    temporary = path.with_name(f".{path.name}.part")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
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


class SafetensorsIO(CheckpointIO):
    """A checkpoint is a folder with its tensors (safetensors) and everything else (JSON)."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the checkpoint; a killed write leaves the last whole one readable."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, torch.Tensor] = {}
        tree = _split(checkpoint, tensors)
        # The two files must belong together: the tensors go to a new name that the JSON points to.
        step = int(checkpoint["global_step"])
        name = f"{step}-{_TENSORS}"
        save_tensors(tensors, folder / name)
        save_json({"tensors": name, "tree": tree}, folder / _REST)
        for stale in folder.glob(f"*-{_TENSORS}"):
            if stale.name != name:
                stale.unlink()

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint back."""
        folder = Path(path)
        state = json.loads((folder / _REST).read_text(encoding="utf-8"))
        tensors = load_file(folder / state["tensors"])
        joined: dict[str, Any] = _join(state["tree"], tensors)
        return joined

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint folder."""
        folder = Path(path)
        for file in folder.glob("*"):
            file.unlink()
        if folder.is_dir():
            folder.rmdir()


def has_checkpoint(path: Path) -> bool:
    """Whether `path` holds a whole checkpoint."""
    return (path / _REST).is_file()


def _split(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return `node` as a JSON tree, its tensors moved to `tensors`."""
    if isinstance(node, torch.Tensor):
        key = str(len(tensors))
        # A copy, since safetensors refuses two names for one storage.
        tensors[key] = node.detach().clone()
        # Fused optimisers pair weights and moments by their place in memory, so the layout counts.
        last = node.dim() == 4 and node.is_contiguous(memory_format=torch.channels_last)
        return {_TENSOR_KEY: key, _LAYOUT_KEY: "channels_last" if last else "contiguous"}
    if isinstance(node, dict):
        integers = any(isinstance(key, int) for key in node)
        items = {str(key): _split(value, tensors) for key, value in node.items()}
        return {_INT_KEYS: items} if integers else items
    if isinstance(node, tuple):
        return {_TUPLE_KEY: [_split(value, tensors) for value in node]}
    if isinstance(node, list):
        return [_split(value, tensors) for value in node]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"a checkpoint cannot hold a {type(node).__name__}")


def _join(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Undo `_split`."""
    if isinstance(node, dict):
        if _TENSOR_KEY in node:
            tensor = tensors[node[_TENSOR_KEY]]
            last = node[_LAYOUT_KEY] == "channels_last"
            return tensor.contiguous(memory_format=torch.channels_last) if last else tensor
        if _TUPLE_KEY in node:
            return tuple(_join(value, tensors) for value in node[_TUPLE_KEY])
        if _INT_KEYS in node:
            return {int(key): _join(value, tensors) for key, value in node[_INT_KEYS].items()}
        return {key: _join(value, tensors) for key, value in node.items()}
    if isinstance(node, list):
        return [_join(value, tensors) for value in node]
    return node

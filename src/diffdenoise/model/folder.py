"""Read a model folder; nothing in it is believed unchecked.

A folder may come from anyone. Its record, settings and the header of its weights are read first, with bounds
on every number and list; only what fits the network that they describe is loaded at all.
"""

from __future__ import annotations

import os
import reprlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from diffdenoise._version import __version__
from diffdenoise.config import Settings
from diffdenoise.errors import ModelError, SettingsError, option
from diffdenoise.lock import WORK_STATE
from diffdenoise.model.record import RECORD_FORMAT, ModelRecord
from diffdenoise.plain_files import NotPlainError, parse_json, read_plain

#: Files of a model folder.
STUDENT, SETTINGS, RECORD, CARD = "student.safetensors", "settings.yaml", "record.json", "README.md"
#: Bytes of a record: losses of 54 stages (nine rounds) at 2000 places each take half of it.
MOST_RECORD_BYTES = 2**23
#: Bytes of the largest student's weights: 30 million of four bytes are under half of it.
MOST_WEIGHTS_BYTES = 2**29
#: Bytes that the header of a weights file may take beside each tensor's name and shape.
_MOST_HEADER_BYTES = 2**17


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds a model, or one whose training has not finished."""
    if not folder.is_dir():
        return False
    whole = all(os.path.lexists(folder / name) for name in (RECORD, SETTINGS))
    return whole or os.path.lexists(folder / "work" / WORK_STATE)


def check_model_folder(folder: Path) -> None:
    """Raise `ModelError` if there is no folder, or none that holds a model."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder; train one first")
    if not os.path.lexists(folder / RECORD):
        if (folder / "work").is_dir():
            raise ModelError(f"{folder}: its training has not finished; go on with {option('resume')}")
        raise ModelError(f"{folder}: is not a model folder; it has no {RECORD}")


def read_record(folder: Path) -> ModelRecord:
    """Read and check a model folder's record.

    Raises
    ------
    ModelError
        If it can't be read, is of a later version, or says what can't be.
    """
    content = read_model_file(folder, RECORD, MOST_RECORD_BYTES)
    try:
        return ModelRecord.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{folder / RECORD}: {_explain(error, content)}") from error


def read_settings(folder: Path) -> Settings:
    """Read and check a model folder's settings; raises `ModelError`."""
    try:
        return Settings.build(folder / SETTINGS, follow_link=False)
    except SettingsError as error:
        where = "" if str(folder / SETTINGS) in str(error) else f"{folder / SETTINGS}: "
        raise ModelError(f"{where}{error}") from error


def read_weights(folder: Path, expected: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Return the student's weights, from a safetensors file that holds just these tensors.

    Parameters
    ----------
    folder : path
        Model folder.
    expected : dict of str to tuple of int
        Shape of each tensor; all are float32.

    Raises
    ------
    ModelError
        If the file holds anything else, or weights that are no numbers.
    """
    path = folder / STUDENT
    numbers = sum(prod(shape) for shape in expected.values())
    content = read_model_file(folder, STUDENT, 4 * numbers + _MOST_HEADER_BYTES)
    # https://huggingface.co/docs/safetensors: eight bytes of length, the header as JSON, the numbers.
    length = int.from_bytes(content[:8], "little")
    damaged = ModelError(f"{path}: is damaged or incomplete; get the model again or train anew")
    if not 2 <= length <= min(_MOST_HEADER_BYTES, len(content) - 8):
        raise damaged
    try:
        header = parse_json(content[8 : 8 + length])
    except ValueError as error:
        raise damaged from error
    if not isinstance(header, dict):
        raise damaged
    header.pop("__metadata__", None)
    found = {name: _shape_of(entry) for name, entry in header.items()}
    if found != expected:
        name = min(found.keys() ^ expected.keys() or {key for key in expected if found[key] != expected[key]})
        raise ModelError(
            f"{path}: does not fit the model's settings (tensor {reprlib.repr(name)}); get the model "
            "again or train anew"
        )
    if len(content) != 8 + length + 4 * numbers:
        raise damaged
    return _loaded(content, path, damaged)


def read_model_file(folder: Path, name: str, most_bytes: int) -> bytes:
    """Return the content of a file of a model folder.

    Raises
    ------
    ModelError
        If it is missing, larger, a link, or no regular file.
    """
    path = folder / name
    try:
        return read_plain(path, most_bytes)
    except NotPlainError as error:
        raise ModelError(f"{path}: {error}; get the model again or train anew") from error
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); get the model again or train anew"
        ) from error


def _loaded(content: bytes, path: Path, damaged: ModelError) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a safetensors file whose header is right."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: dict[str, NDArray[np.float32]] = load(content)
    except (ValueError, KeyError, SafetensorError) as error:
        raise damaged from error
    if not all(bool(np.isfinite(tensor).all()) for tensor in tensors.values()):
        raise ModelError(f"{path}: holds NaN or infinite weights; get the model again or train anew")
    return tensors


def _shape_of(entry: Any) -> tuple[int, ...] | None:
    """Shape of a float32 tensor in a safetensors header; None for anything else."""
    if not isinstance(entry, dict) or entry.get("dtype") != "F32" or not isinstance(entry.get("shape"), list):
        return None
    shape = entry["shape"]
    return tuple(shape) if all(type(side) is int for side in shape) else None


def _explain(error: ValidationError, content: bytes) -> str:
    """What is wrong with a record, in words; of a later or an earlier version's, that it is one."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "is no JSON; get the model again or train anew"
    try:
        tree = parse_json(content)
        kind, version = tree.get("format", RECORD_FORMAT), tree.get("versions", {}).get("diffdenoise", "?")
    except (ValueError, AttributeError):
        kind, version = RECORD_FORMAT, "?"
    if type(kind) is int and kind > RECORD_FORMAT:
        return (
            f"is of a later version ({reprlib.repr(version)}) than this ({__version__}); upgrade diffdenoise"
        )
    if kind == RECORD_FORMAT - 1:
        return (
            "is of an earlier form, whose networks work on other intensities; train anew (its settings.yaml "
            "repeats the training)"
        )
    where = ".".join(str(part) for part in first["loc"])[:100] or "the record"
    return (
        f"{where}: {first['msg'].removeprefix('Value error, ')} (found {reprlib.repr(first.get('input'))}); "
        "get the model again or train anew"
    )

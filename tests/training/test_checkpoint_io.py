from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from diffdenoise.errors import ModelError
from diffdenoise.training.checkpoint_io import load_checkpoint, save_checkpoint, save_json, save_tensors


def tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    """Of several types and memory layouts."""
    return {
        "weight": torch.full((4, 2, 3, 3), value).to(memory_format=torch.channels_last),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "count": torch.tensor(7),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }


def state(done: int = 3) -> dict[str, Any]:
    """What JSON can hold."""
    return {"done": done, "curve": [[20, 0.5]], "smoothed": None, "name": "größe", "plan": {}}


def check(path: Path, value: float = 1.0, done: int = 3) -> None:
    """Compare a checkpoint with what was saved."""
    loaded, rest = load_checkpoint(path)
    saved = tensors(value)
    assert loaded.keys() == saved.keys()
    assert all(loaded[name].dtype == saved[name].dtype for name in saved)
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    assert rest == state(done)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "stage" / "checkpoint.safetensors"
    for value, done in ((1.0, 3), (2.0, 5)):
        save_checkpoint(path, tensors(value), state(done))
        check(path, value, done)
        assert list(path.parent.iterdir()) == [path]


def test_a_number_that_is_none_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", {}, {"loss": float("nan")})
    loss = load_checkpoint(tmp_path / "a")[1]["loss"]
    assert loss != loss


def test_the_file_is_safetensors_with_json(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, tensors(), state())
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["state"]) == state()
    assert header["count"]["dtype"] == "I64"


def test_what_cannot_be_stored_is_refused_and_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, tensors(), state())
    with pytest.raises(TypeError, match="set"):
        save_checkpoint(path, tensors(2.0), {**state(5), "odd": {1, 2}})
    check(path)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, tensors(), state())

    def fsync(_: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="no space"):
            save_checkpoint(path, tensors(2.0), state(5))
    check(path)
    save_checkpoint(path, tensors(3.0), state(6))
    check(path, 3.0, 6)


@pytest.mark.parametrize("kept", [0, 6, 100, -1])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, tensors(), state())
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors: is damaged; delete it"):
        load_checkpoint(path)


def test_a_checkpoint_that_cannot_be_read_is_not_told_as_one_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.safetensors: cannot be read .* go on with resume=True"):
        load_checkpoint(tmp_path / "gone.safetensors")


def test_a_file_of_weights_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_tensors(tensors(), path)
    with pytest.raises(ModelError, match="is damaged"):
        load_checkpoint(path)


def test_single_files_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_json({"a": 1}, tmp_path / "a.json")
    save_tensors({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        save_json({"a": 2}, tmp_path / "a.json")
    with pytest.raises(OSError, match="no space"):
        save_tensors({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before

from __future__ import annotations

import json
import os

import pytest
import torch
from torch import nn

from diffdenoise.training.checkpoint_io import SafetensorsIO, has_checkpoint, save_json, save_tensors


def checkpoint(step=3, value=1.0):
    weight = torch.full((4, 2, 3, 3), value)
    return {
        "global_step": step,
        "state_dict": {"a.weight": weight, "shared": weight, "count": torch.tensor(7)},
        "optimizer_states": [
            {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.arange(6.0).reshape(2, 3).T}, 1: {}}}
        ],
        "betas": (0.9, (0.99, [1, None, True])),
        "empty": {},
        "curve": [(20, 0.5)],
        "loss": float("nan"),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "name": "größe",
    }


def same(one, other):
    """Equal in values, types and order; NaN equals NaN."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or one != one)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "last.ckpt"
    SafetensorsIO().save_checkpoint(checkpoint(), path)
    assert same(SafetensorsIO().load_checkpoint(path), checkpoint())


def test_training_goes_on_as_if_unbroken_whatever_the_memory_layout(tmp_path):
    # Fused optimisers pair a weight with its moments by their place in memory.
    def start():
        torch.manual_seed(0)
        layer = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.01, fused=True)

    def train(layer, optimizer, images):
        for image in images:
            optimizer.zero_grad()
            (layer(image) ** 3).mean().backward()
            optimizer.step()

    images = torch.randn(8, 2, 4, 8, 8)
    whole = start()
    train(*whole, images)
    first = start()
    train(*first, images[:4])
    states = {"global_step": 4, "net": first[0].state_dict(), "optimizer": first[1].state_dict()}
    SafetensorsIO().save_checkpoint(states, tmp_path / "last.ckpt")
    loaded = SafetensorsIO().load_checkpoint(tmp_path / "last.ckpt")
    later = start()
    later[0].load_state_dict(loaded["net"])
    later[1].load_state_dict(loaded["optimizer"])
    train(*later, images[4:])
    torch.testing.assert_close(later[0].weight, whole[0].weight, rtol=0, atol=0)


def test_files_are_json_and_safetensors(tmp_path):
    path = tmp_path / "last.ckpt"
    SafetensorsIO().save_checkpoint(checkpoint(), path)
    assert sorted(file.suffix for file in path.iterdir()) == [".json", ".safetensors"]
    for file in path.iterdir():
        content = file.read_bytes()
        if file.suffix == ".json":
            json.loads(content)
        else:
            length = int.from_bytes(content[:8], "little")
            assert "0" in json.loads(content[8 : 8 + length])


def test_only_the_last_checkpoint_is_kept(tmp_path):
    path = tmp_path / "last.ckpt"
    for step in (3, 5, 5, 8):
        SafetensorsIO().save_checkpoint(checkpoint(step, float(step)), path)
        assert len(list(path.iterdir())) == 2
        assert same(SafetensorsIO().load_checkpoint(path), checkpoint(step, float(step)))


def test_what_cannot_be_stored_is_refused_and_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.ckpt"
    SafetensorsIO().save_checkpoint(checkpoint(), path)
    with pytest.raises(TypeError, match="cannot hold a set"):
        SafetensorsIO().save_checkpoint({**checkpoint(5), "odd": {1, 2}}, path)
    assert same(SafetensorsIO().load_checkpoint(path), checkpoint())


@pytest.mark.parametrize("writes", [0, 1])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch, writes):
    path = tmp_path / "last.ckpt"
    SafetensorsIO().save_checkpoint(checkpoint(), path)
    done = []

    def fsync(descriptor):
        if len(done) == writes:
            raise OSError("no space left on device")
        done.append(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="no space"):
            SafetensorsIO().save_checkpoint(checkpoint(5, 2.0), path)
    assert same(SafetensorsIO().load_checkpoint(path), checkpoint())
    SafetensorsIO().save_checkpoint(checkpoint(6, 3.0), path)
    assert same(SafetensorsIO().load_checkpoint(path), checkpoint(6, 3.0))


def test_a_checkpoint_counts_only_when_it_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    assert not has_checkpoint(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            SafetensorsIO().save_checkpoint(checkpoint(), path)
    assert not has_checkpoint(path)
    SafetensorsIO().save_checkpoint(checkpoint(), path)
    assert has_checkpoint(path)
    SafetensorsIO().remove_checkpoint(path)
    assert not path.exists()


def test_single_files_are_replaced_whole(tmp_path, monkeypatch):
    save_json({"a": 1}, tmp_path / "a.json")
    save_tensors({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        save_json({"a": 2}, tmp_path / "a.json")
    with pytest.raises(OSError, match="no space"):
        save_tensors({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before

"""Zarr stores from the command line: a folder that is one scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

from tests.conftest import make_volume

from .conftest import TINY, Outcome

Run = Callable[..., Outcome]


def store(path: Path, seed: int = 0) -> Path:
    """An OME-Zarr volume of five slices."""
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [3, 0.5, 0.5]}]}]
    image = {"axes": axes, "datasets": levels}
    group = zarr.create_group(path, attributes={"ome": {"version": "0.5", "multiscales": [image]}})
    group.create_array("0", data=np.ascontiguousarray(make_volume(seed=seed).T), chunks=(1, 16, 16))
    return path


def test_a_store_is_one_scan(run: Run, tmp_path: Path) -> None:
    source = store(tmp_path / "a.ome.zarr")
    told = run("info", source, "--json", "--picture", tmp_path / "noise.png")
    assert told.code == 0, told.err
    assert told.json["shape"] == [5, 36, 40]
    assert told.json["spacing_mm"] == [3, 0.5, 0.5]
    outcome = run("denoise", source, "-o", tmp_path / "out" / "b.ome.zarr", *TINY, "--json")
    assert outcome.code == 0, outcome.err
    before, after = (zarr.open(path, mode="r") for path in (source, tmp_path / "out" / "b.ome.zarr"))
    assert after.attrs.asdict() == before.attrs.asdict()
    assert after["0"].metadata.to_dict() == before["0"].metadata.to_dict()
    assert not np.array_equal(after["0"][...], before["0"][...])
    for wrong, reason in {
        source: "is the input itself",
        source / "b.zarr": "inside the image a.ome.zarr",
        tmp_path / "b.nii": "expected .zarr",
    }.items():
        refused = run("denoise", source, "-o", wrong, *TINY, "--overwrite")
        assert refused.code == 2
        assert reason in refused.err
    for options in (["--save-model", source / "m"], ["--picture", source / "p.png"]):
        refused = run("denoise", source, "-o", tmp_path / "c.zarr", *TINY, *options)
        assert "inside the image a.ome.zarr" in refused.err
    assert "inside the image a.ome.zarr" in run("train", source, "-o", source / "m", *TINY).err
    assert sorted(path.name for path in source.iterdir()) == ["0", "zarr.json"]


def test_a_folder_of_stores_becomes_a_folder_of_stores(run: Run, tmp_path: Path) -> None:
    store(tmp_path / "in" / "a.zarr")
    store(tmp_path / "in" / "deeper" / "b.ome.zarr", seed=1)
    (store(tmp_path / "in" / "c.zarr", seed=2) / "0" / "zarr.json").write_text("{")
    outcome = run("denoise", tmp_path / "in", "-o", tmp_path / "out", *TINY)
    assert outcome.code == 2
    assert "c.zarr: is damaged" in outcome.err.splitlines()[-1]
    found = {
        path.parent.parent.relative_to(tmp_path / "out").as_posix()
        for path in tmp_path.glob("out/**/0/zarr.json")
    }
    assert found == {"a.zarr", "deeper/b.ome.zarr"}

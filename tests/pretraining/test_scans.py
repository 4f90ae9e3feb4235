"""Real scans among the pictures that networks learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pretraining import scans
from pretraining.scans import ALONE, Kind, draw_real
from pretraining.source import Source

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume of eight slices that rise along its axis, and an image alone; neither has noise."""
    y, x = np.mgrid[:240, :230]
    smooth = 500 + 300 * np.sin(x / 9.0) * np.cos(y / 11.0)
    np.save(tmp_path / "alone.npy", smooth.astype(np.float32))
    volume = smooth[..., None] + 10 * np.arange(9.0)
    np.save(tmp_path / "volume.npy", volume.astype(np.float32))
    monkeypatch.setattr(scans, "KINDS", (Kind("volume.npy", 4.0), Kind("alone.npy", least=0)))
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*already clean")
def test_stacks_are_cut_from_adjacent_slices_and_from_images_alone(folder: Path) -> None:
    stacks, spacing = draw_real(folder, 192, torch.Generator().manual_seed(0))
    assert stacks.shape[1:] == (7, 192, 192)
    assert set(spacing.tolist()) == {4.0, ALONE}
    # Three places of seven slices in nine, and one image, ten times each.
    assert len(stacks) == len(spacing) == 40
    assert float(stacks.min()) >= 0
    assert float(stacks.max()) <= 1.5
    alone = stacks[spacing.isinf()]
    assert torch.equal(alone[:, :1].expand_as(alone), alone)
    means = stacks[~spacing.isinf()].mean((2, 3)).diff(dim=1)
    # Slices rise, or fall where brightness is turned over.
    assert bool(((means > 0).all(1) | (means < 0).all(1)).all())
    assert bool((means > 0).all(1).any())
    assert bool((means < 0).all(1).any())


@pytest.mark.filterwarnings("ignore:.*already clean")
def test_half_of_all_patches_are_of_them_and_alone_ones_have_no_neighbours(folder: Path) -> None:
    source = Source(2, 0, CPU, folder)
    _, spacing = source.clean(400, 7)
    alone = float(spacing.isinf().float().mean())
    # A quarter of half.
    assert 0.07 < alone < 0.18
    told = source.told(400)
    assert bool(torch.isfinite(told.features).all())
    none = (told.noisy[:, 1:] == 0.5).flatten(1).all(1)
    assert torch.equal(none, told.features[:, -6] == 0)
    assert not bool(none.all())


def test_a_data_set_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"mri-brain-t2-torchio/t2.nii.gz is missing"):
        draw_real(tmp_path, 192, torch.Generator())

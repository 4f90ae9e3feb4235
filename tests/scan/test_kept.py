"""Slices in a file without a name are read back as they were set."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from diffdenoise.errors import DiskFullError
from diffdenoise.scan import kept
from diffdenoise.scan.kept import FiledSlices, keep_slices

SHAPES = [(4, 3, 5), (2, 3, 5)]


def test_small_results_are_arrays():
    assert [one.shape for one in keep_slices(SHAPES) if isinstance(one, np.ndarray)] == SHAPES


def test_large_ones_are_parts_of_one_file(monkeypatch, tmp_path):
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = keep_slices(SHAPES)
    assert isinstance(first, FiledSlices)
    values = np.random.default_rng(0).normal(size=(6, 3, 5)).astype(np.float32)
    second[0:2], first[2:4], first[0:2] = values[4:], values[2:4], values[:2]
    assert np.array_equal(first[0:4], values[:4])
    assert np.array_equal(first[3], values[3])
    assert np.array_equal(second[-1], values[5])
    assert (len(first), second.shape) == (4, (2, 3, 5))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_what_to_do(monkeypatch):
    class Full:
        def seek(self, place: int) -> None:
            pass

        def write(self, content: bytes) -> None:
            raise OSError(errno.ENOSPC, "full")

    slices = FiledSlices(Full(), 0, (2, 3, 5))
    with pytest.raises(DiskFullError, match="TMPDIR"):
        slices[0:1] = np.zeros((1, 3, 5), np.float32)

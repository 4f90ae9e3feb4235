"""A scan's values go down the layers to its file, and back up in as few places as ARCHITECTURE.md says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import diffdenoise
from tests.layers import LAYERS

from .conftest import TINY, Outcome

PACKAGE = Path(diffdenoise.__file__).parent
Run = Callable[..., Outcome]


def layer_of(frame: FrameType) -> tuple[str, int] | None:
    """Name and layer of what a frame is of; None outside of the package."""
    file = Path(frame.f_code.co_filename)
    if not file.is_relative_to(PACKAGE):
        return None
    inside = file.relative_to(PACKAGE)
    return f"{inside.as_posix()}: {frame.f_code.co_name}", LAYERS[inside.parts[0].removesuffix(".py")]


class Watched:
    """The calls from a file of a lower layer to one of a higher, while something runs."""

    def __init__(self) -> None:
        self.up: set[str] = set()

    def __enter__(self) -> Watched:
        self._before = sys.getprofile()
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)

    def _see(self, frame: FrameType, event: str, _: Any) -> None:
        called = layer_of(frame) if event == "call" else None
        if called is None:
            return
        caller = frame.f_back
        while caller is not None and (place := layer_of(caller)) is None:
            caller = caller.f_back
        if caller is not None and place is not None and place[1] < called[1]:
            self.up.add(called[0])


def test_values_come_back_up_from_the_file_in_three_places_at_most(
    run: Run, tmp_path: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    assert run("train", noisy, "-o", model, *TINY).code == 0
    # Slice by slice, as a large scan.
    monkeypatch.setattr("diffdenoise.scan.formats.nifti.LAZY_FROM_BYTES", 1)
    extras = ("--save-residual", tmp_path / "r.nii.gz", "--save-noise", tmp_path / "n.nii.gz")
    with Watched() as watched:
        outcome = run("denoise", noisy, "-o", tmp_path / "o.nii.gz", "--model", model, *extras, "--quiet")
    assert outcome.code == 0, outcome.err
    # Who watches is told how far it is; that is no data.
    assert {place for place in watched.up if not place.startswith("cli/progress.py")} == {
        "work/finish.py: keep",
        "work/maps.py: _difference",
        "work/maps.py: levels_in",
    }

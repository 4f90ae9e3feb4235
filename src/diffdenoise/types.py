"""Array aliases and the progress protocol, shared by all layers."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

#: Any real-valued array, in the scan's own units, axes as in the file.
Array: TypeAlias = NDArray[np.generic]
#: float32 of shape (slices, height, width): one stack of slices, scaled intensities.
Stack: TypeAlias = NDArray[np.float32]
#: float64 of shape (4, 4): voxel indices to millimetres.
Affine: TypeAlias = NDArray[np.float64]


class Slices(Protocol):
    """Slices of one volume: an array (slices, height, width), or what gives slices when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, height and width."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Any:
        """A slice (height, width) by its number; several (slices, height, width) by a range."""


class Progress(Protocol):
    """What a long run tells whoever watches it. Implementations only show it."""

    def start(self, stage: str) -> None:
        """A stage begins. `stage` is readable: "stage 1 of 3: blind-spot network"."""

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """`step` of `total` is done (`total` is None while it is still being measured)."""

    def finish(self) -> None:
        """The stage that was started last has ended."""

    def say(self, text: str) -> None:
        """One line of information for the user."""


@runtime_checkable
class OverallProgress(Progress, Protocol):
    """A `Progress` that shows the whole run too, where its length is known."""

    def overall(self, spent_s: float, total_s: float) -> None:
        """`spent_s` seconds of about `total_s` have been spent on the run; told before `advance`."""


class Quiet:
    """A `Progress` that shows nothing."""

    def start(self, stage: str) -> None:
        """Show nothing."""

    def advance(self, step: int, total: int | None, loss: float | None, seconds_left: float | None) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

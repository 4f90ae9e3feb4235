"""A volume's slices in scaled intensities, however they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffdenoise.types import Stack


class Volume(Protocol):
    """Slices in scaled intensities, read as they are asked for."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, height and width."""

    def slab(self, first: int, last: int) -> Stack:
        """Slices from `first` up to, and without, `last`."""

    def known(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Where these hold data; None: everywhere."""


@dataclass(frozen=True)
class InMemory:
    """A volume that is there as a whole.

    Attributes
    ----------
    stack : float32 array (slices, height, width)
        Scaled intensities.
    where : bool array, same shape, or None
        Where there is data; None: everywhere.
    """

    stack: Stack
    where: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, height and width."""
        count, height, width = self.stack.shape
        return count, height, width

    def slab(self, first: int, last: int) -> Stack:
        """Slices from `first` up to, and without, `last`."""
        return self.stack[first:last]

    def known(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Where these hold data."""
        return None if self.where is None else self.where[first:last]


def in_memory(stacks: Sequence[Stack], known: Sequence[NDArray[np.bool_]] | None = None) -> list[InMemory]:
    """Return stacks of slices as volumes."""
    if known is None:
        return [InMemory(stack) for stack in stacks]
    return [InMemory(stack, where) for stack, where in zip(stacks, known, strict=True)]

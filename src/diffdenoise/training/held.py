"""Slices by number, read when they are asked for; as many as fit into memory are held there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from diffdenoise.scan.volume import Volume

#: Bytes of slices in memory at most.
MOST_BYTES = 384 * 2**20
#: Slices side by side in the part of a data set that is held, where it doesn't fit.
_RUN = 8


class HeldSlices:
    """The slices of all volumes, numbered through.

    Parameters
    ----------
    volumes : sequence of Volume
        Sizes may differ.
    most_bytes : int
        Bytes of slices in memory at most.
    """

    def __init__(self, volumes: Sequence[Volume], most_bytes: int = MOST_BYTES) -> None:
        self._volumes = list(volumes)
        self._most_bytes = most_bytes
        self._places = [(v, k) for v, volume in enumerate(volumes) for k in range(volume.shape[0])]
        self._starts = np.cumsum([0, *(volume.shape[0] for volume in volumes)]).tolist()
        total, largest = sum(map(self._bytes, range(len(self)))), max(map(self._bytes, range(len(self))))
        self.all_fit = total <= most_bytes
        most = len(self) if self.all_fit else max(most_bytes // largest, 1)
        # Of functions that don't know this object, so that it goes, and the slices too, with its last user.
        self._image: Callable[[int], Tensor] = lru_cache(most)(partial(_image, volumes, self._places))
        self._known: Callable[[int], Tensor] = lru_cache(most)(partial(_known, volumes, self._places))
        # Told of all slices alike, so that those of a batch go together.
        self._has_gaps = any(
            volume.known(k, k + 1) is not None for volume in volumes for k in range(volume.shape[0])
        )

    def __len__(self) -> int:
        return len(self._places)

    def size(self, number: int) -> tuple[int, int]:
        """Height and width of one slice in pixels."""
        _, height, width = self._volumes[self._places[number][0]].shape
        return height, width

    def image(self, number: int) -> Tensor:
        """One slice, float32 (height, width)."""
        return self._image(number)

    def known(self, number: int) -> Tensor | None:
        """Where one slice has data, bool (height, width); None: all have data everywhere."""
        return self._known(number) if self._has_gaps else None

    def place(self, number: int) -> tuple[int, int, int]:
        """Number of a volume's first slice, place of one slice in that volume, and slices there."""
        volume, position = self._places[number]
        return self._starts[volume], position, self._volumes[volume].shape[0]

    def part(self, numbers: list[int], neighbours: int, generator: torch.Generator) -> list[int]:
        """Draw those of some slices that are held in memory at a time: all, if all slices fit.

        Else as many as do, with their neighbours, in runs of a few side by side.
        """
        if self.all_fit:
            return numbers
        runs = [
            list(run) for _, run in groupby(numbers, lambda n: (self.place(n)[0], self.place(n)[1] // _RUN))
        ]
        order = torch.randperm(len(runs), generator=generator).tolist()
        chosen: list[int] = []
        left = self._most_bytes
        for run in (runs[place] for place in order):
            left -= sum(map(self._bytes, run)) + 2 * neighbours * self._bytes(run[0])
            if left < 0 and chosen:
                break
            chosen += run
        return sorted(chosen)

    def _bytes(self, number: int) -> int:
        height, width = self.size(number)
        # A float and a flag a pixel.
        return 5 * height * width


def _image(volumes: Sequence[Volume], places: Sequence[tuple[int, int]], number: int) -> Tensor:
    v, k = places[number]
    return torch.from_numpy(np.ascontiguousarray(volumes[v].slab(k, k + 1)[0], dtype=np.float32))


def _known(volumes: Sequence[Volume], places: Sequence[tuple[int, int]], number: int) -> Tensor:
    v, k = places[number]
    known = volumes[v].known(k, k + 1)
    if known is None:
        return torch.ones(volumes[v].shape[1:], dtype=torch.bool)
    return torch.from_numpy(np.ascontiguousarray(known[0]))

"""Slices by number, read when they are asked for; as many as fit into memory are held there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from diffdenoise.scan.neighbours import with_neighbours
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
        self.all_fit = sum(map(self._bytes, range(len(self)))) <= most_bytes
        # What was drawn last, with its neighbours; of a data set that doesn't fit, only that is held.
        self._drawn: list[int] = []
        self._wanted: set[int] = set()
        self._images: dict[int, Tensor] = {}
        self._knowns: dict[int, Tensor] = {}
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

    def place(self, number: int) -> tuple[int, int]:
        """Volume of one slice, and its number there."""
        return self._places[number]

    def count(self, volume: int) -> int:
        """Slices of a volume."""
        return self._volumes[volume].shape[0]

    def image(self, number: int) -> Tensor:
        """One slice, float32 (height, width)."""
        return self._get(self._images, self._read_image, number)

    def known(self, number: int) -> Tensor | None:
        """Where one slice has data, bool (height, width); None: all have data everywhere."""
        return self._get(self._knowns, self._read_known, number) if self._has_gaps else None

    def beside(self, number: int, neighbours: int) -> list[int]:
        """Return the numbers of a slice and of its neighbours, nearest first."""
        volume, position = self._places[number]
        places = with_neighbours(position, neighbours, self._volumes[volume].shape[0])
        return [self._starts[volume] + place for place in places]

    def part(self, numbers: list[int], neighbours: int, generator: torch.Generator) -> list[int]:
        """Draw those of some slices that are held in memory at a time, and read them.

        All, if all slices fit; else as many as do, with their neighbours, in runs of a few side by side.
        """
        drawn = numbers if self.all_fit else self._draw(numbers, neighbours, generator)
        if drawn != self._drawn:
            self._drawn = drawn
            self._wanted = {each for number in drawn for each in self.beside(number, neighbours)}
            self._hold()
        return drawn

    def _hold(self) -> None:
        """Read what is wanted and isn't held, and let go of the rest, if not all fit."""
        if not self.all_fit:
            for kept in (self._images, self._knowns):
                for number in kept.keys() - self._wanted:
                    del kept[number]
        # From the first to the last: compressed files are read forward, and from their start again for what
        # lies before, so that in a random order each slice would take a pass over the file.
        for number in sorted(self._wanted):
            self.image(number)
            self.known(number)

    def _get(self, held: dict[int, Tensor], read: Callable[[int], Tensor], number: int) -> Tensor:
        if number in held:
            return held[number]
        found = read(number)
        if self.all_fit or number in self._wanted:
            held[number] = found
        return found

    def _draw(self, numbers: list[int], neighbours: int, generator: torch.Generator) -> list[int]:
        """Draw as many slices as fit, with their neighbours."""
        runs = [list(run) for _, run in groupby(numbers, self._run)]
        order = torch.randperm(len(runs), generator=generator).tolist()
        chosen: list[int] = []
        left = self._most_bytes
        for run in (runs[place] for place in order):
            left -= sum(map(self._bytes, run)) + 2 * neighbours * self._bytes(run[0])
            if left < 0 and chosen:
                break
            chosen += run
        return sorted(chosen)

    def _run(self, number: int) -> tuple[int, int]:
        volume, position = self._places[number]
        return volume, position // _RUN

    def _bytes(self, number: int) -> int:
        height, width = self.size(number)
        # A float and a flag a pixel.
        return 5 * height * width

    def _read_image(self, number: int) -> Tensor:
        v, k = self._places[number]
        return torch.from_numpy(np.ascontiguousarray(self._volumes[v].slab(k, k + 1)[0], dtype=np.float32))

    def _read_known(self, number: int) -> Tensor:
        v, k = self._places[number]
        known = self._volumes[v].known(k, k + 1)
        if known is None:
            return torch.ones(self.size(number), dtype=torch.bool)
        return torch.from_numpy(np.ascontiguousarray(known[0]))

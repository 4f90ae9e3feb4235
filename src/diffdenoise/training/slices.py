"""All slices of a data set, whatever their sizes, and random patches from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from diffdenoise.errors import SettingsError
from diffdenoise.scan.volume import Volume
from diffdenoise.training.held import MOST_BYTES, HeldSlices
from diffdenoise.training.held_out import Place, Window, learned


class Image(Protocol):
    """Pixels (height, width), of which parts are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""

    def __getitem__(self, part: tuple[slice, slice], /) -> Tensor:
        """Rows and columns."""


@dataclass(frozen=True)
class Target:
    """What the student is to learn for a slice, or for a window of it.

    Attributes
    ----------
    top, left : int
        Place of its first pixel in the slice.
    image : Tensor (height, width), or what is read when a part of it is asked for
        Scaled intensities.
    """

    top: int
    left: int
    image: Image

    @property
    def inside(self) -> Window:
        """The whole target."""
        height, width = self.image.shape
        return Window(0, 0, height, width)


class Batch(NamedTuple):
    """Patches of slices, each turned and mirrored at random.

    Attributes
    ----------
    noisy : Tensor (count, channels, side, side)
        Slice and neighbours.
    target : Tensor (count, 1, side, side) or None
        The same places of the targets.
    turns : list of int
        How each was turned: see `turn_square`.
    known : Tensor (count, 1, side, side) or None
        1 where there is data, 0 elsewhere; None: everywhere.
    counted : Tensor (count, 1, side, side) or None
        1 where there is data that may be learned from, 0 elsewhere; None: everywhere.
    """

    noisy: Tensor
    target: Tensor | None
    turns: list[int]
    known: Tensor | None
    counted: Tensor | None


class Slices:
    """Volumes of slices in scaled intensities, addressed by one running number.

    Parameters
    ----------
    volumes : sequence of Volume
        Sizes may differ. None is drawn from slices without any data.
    neighbours : int
        Slices on either side that go with each slice.
    most_bytes : int
        Bytes of slices in memory at most.
    turns : sequence of int
        The turns of patches that are drawn: see `turn_square`.

    Raises
    ------
    SettingsError
        If a volume has too few slices for that many neighbours.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        neighbours: int,
        most_bytes: int = MOST_BYTES,
        turns: Sequence[int] = range(8),
    ) -> None:
        for volume in volumes:
            if volume.shape[0] < 2 * neighbours:
                raise SettingsError(
                    f"data.neighbours is {neighbours}, but a volume has {volume.shape[0]} slice(s) only; "
                    f"set data.neighbours=0"
                )
        self.neighbours = neighbours
        self._held = HeldSlices(volumes, most_bytes)
        self._turns = list(turns)
        self._boxes = [self._box(number) for number in range(len(self))]
        self._fitting: dict[int, tuple[int, list[int]]] = {}
        self._held_out: list[Place] = []

    def __len__(self) -> int:
        return len(self._held)

    @property
    def channels(self) -> int:
        """Channels of one item: the slice and its neighbours."""
        return 1 + 2 * self.neighbours

    def fitting(self, side: int) -> tuple[int, list[int]]:
        """Slices that hold a patch of `side` pixels; of the largest size that any holds, if none does.

        Returns
        -------
        side : int
            Side of the patches to cut.
        numbers : list of int
            Slices to cut them from. Smaller ones are left out, not to make all patches smaller.
        """
        if side not in self._fitting:
            sides = [min(self.size(number)) if self._boxes[number] else 0 for number in range(len(self))]
            least = min(side, max(sides))
            self._fitting[side] = least, [number for number, own in enumerate(sides) if own >= least]
        return self._fitting[side]

    def size(self, number: int) -> tuple[int, int]:
        """Height and width of one slice in pixels."""
        return self._held.size(number)

    def known(self, number: int, window: Window | None = None) -> Tensor | None:
        """Where one slice, or a window of it, has data (1, 1, height, width); None: everywhere."""
        where = self._held.known(number)
        return None if where is None else _cut(where, window)[None, None].float()

    def is_empty(self, number: int) -> bool:
        """Whether a slice has no data at all."""
        return self._boxes[number] is None

    def _box(self, number: int) -> Window | None:
        """The part of a slice that has data; None if there is none."""
        height, width = self.size(number)
        where = self._held.known(number)
        if where is None:
            return Window(0, 0, height, width)
        rows, columns = (torch.nonzero(where.any(axis)).flatten().tolist() for axis in (1, 0))
        if not rows:
            return None
        return Window(rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)

    def hold_out(self, places: Sequence[Place]) -> None:
        """Let nothing be learned from some windows; as what lies beside other slices they are seen."""
        self._held_out = list(places)

    def box(self, number: int, side: int) -> Window:
        """Return the part of a slice that patches are drawn from: what has data, widened to hold one."""
        box, (height, width) = self._boxes[number], self.size(number)
        if box is None:
            raise ValueError(f"slice {number} has no data")
        top, left = min(box.top, height - side), min(box.left, width - side)
        bottom = max(box.top + box.height, top + side)
        right = max(box.left + box.width, left + side)
        return Window(top, left, bottom - top, right - left)

    def whole(self, number: int, window: Window | None = None) -> Tensor:
        """One slice, or a window of it, with its neighbours, (1, channels, height, width), itself first."""
        numbers = self._held.beside(number, self.neighbours)
        # In the order of the file, where they aren't held.
        images = {each: self._held.image(each) for each in sorted(numbers)}
        return torch.stack([_cut(images[each], window) for each in numbers])[None]

    def patches(
        self,
        generator: torch.Generator,
        count: int,
        side: int,
        targets: dict[int, Target] | None = None,
        part: torch.Generator | None = None,
    ) -> Batch:
        """Draw random patches, each turned and mirrored at random.

        Parameters
        ----------
        generator : torch.Generator
            Source of the draws.
        count, side : int
            Patches, and their side in pixels; see `fitting`.
        targets : dict of slice number to Target, optional
            Draw only from those of these slices that fit, and cut the same patch from their targets.
        part : torch.Generator, optional
            Draws which part of the slices is held in memory, where not all are, and drawn from.

        Returns
        -------
        Batch
        """
        side, numbers = self.fitting(side)
        if targets is not None:
            numbers = [number for number in numbers if number in targets]
        if part is not None:
            numbers = self._held.part(numbers, self.neighbours, part)
        chosen = torch.randint(len(numbers), (count,), generator=generator).tolist()
        draws = torch.rand(count, 2, generator=generator).tolist()
        drawn = torch.randint(len(self._turns), (count,), generator=generator).tolist()
        turns = [self._turns[one] for one in drawn]
        noisy, clean, known, counted = [], [], [], []
        for which, (down, right), turn in zip(chosen, draws, turns, strict=True):
            number = numbers[which]
            target = None if targets is None else targets[number]
            inside = self.box(number, side) if target is None else target.inside
            top = inside.top + int(down * (inside.height - side + 1))
            left = inside.left + int(right * (inside.width - side + 1))
            if target is not None:
                clean.append(turn_square(target.image[top : top + side, left : left + side][None], turn))
                top, left = top + target.top, left + target.left
            window = Window(top, left, side, side)
            noisy.append(turn_square(self.whole(number, window)[0], turn))
            where = self.known(number, window)
            if where is not None:
                known.append(turn_square(where[0], turn))
            if self._held_out:
                counts = learned(self._held_out, number, window)[None]
                counted.append(turn_square(counts if where is None else counts * where[0], turn))
        data = torch.stack(known) if known else None
        return Batch(
            torch.stack(noisy),
            torch.stack(clean) if targets is not None else None,
            turns,
            data,
            torch.stack(counted) if counted else data,
        )


def _cut(image: Tensor, window: Window | None) -> Tensor:
    """A window of an image (height, width); None: all of it."""
    if window is None:
        return image
    return image[window.top : window.top + window.height, window.left : window.left + window.width]


def turn_square(patch: Tensor, turn: int) -> Tensor:
    """One of the eight rotations and reflections of a square (channels, side, side)."""
    patch = torch.rot90(patch, turn % 4, (1, 2))
    return patch.flip(2) if turn >= 4 else patch

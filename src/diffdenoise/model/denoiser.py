"""A student on a backend: all slices of a scan, of any size, averaged over orientations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from diffdenoise.model.backends import Backend, make_backend
from diffdenoise.model.graph import STEP, reach
from diffdenoise.model.orientations import run_turned
from diffdenoise.model.slices import Sink, denoise_volume
from diffdenoise.model.tiles import Channels, run_in_tiles
from diffdenoise.networks.known_noise import UNIT
from diffdenoise.noise.domain import MIDDLE, EnteredVolume
from diffdenoise.scan.kept import FiledSlices, keep_slices
from diffdenoise.scan.volume import InMemory, Volume
from diffdenoise.types import Progress, Stack

if TYPE_CHECKING:
    from torch import nn

#: Features of a slice at full resolution that are computed at once: 50 MB of them, of which a handful is
#: in memory. Width 32: pieces of 640 pixels a side.
_MOST_FEATURES = 32 * 640**2
#: Least side of a piece: smaller ones are mostly halo.
_LEAST_SIDE = 128
#: Slices at most that are computed at once, for progress to be shown.
_MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Denoiser:
    """A trained student, ready to run.

    Attributes
    ----------
    backend : Backend
        What computes it.
    neighbours : int
        Slices on either side that it takes as inputs.
    width : int
        Its features at full resolution.
    turns : tuple of int
        Turned and mirrored copies that its output is averaged over; see `orientations.turned`.
    """

    backend: Backend
    neighbours: int
    width: int
    turns: tuple[int, ...]

    @property
    def side(self) -> int:
        """Side of the largest piece of a slice that is computed at once, in pixels."""
        return max(_LEAST_SIDE, STEP * (isqrt(_MOST_FEATURES // self.width) // STEP))

    def run(self, noisy: Channels, level: float) -> Channels:
        """Denoise slices.

        Parameters
        ----------
        noisy : float32 array (n, 1 + 2 neighbours, height, width)
            Intensities of the domain; any height and width.
        level : float
            Std of the noise there.

        Returns
        -------
        float32 array (n, 1, height, width)
        """
        return self._run_own(noisy.copy(), level)

    def _run_own(self, noisy: Channels, level: float) -> Channels:
        """Denoise slices whose array nobody else has: it is changed."""

        def tiled(channels: Channels) -> Channels:
            return run_in_tiles(self.backend.run, channels, side=self.side, step=STEP, reach=reach())

        middle, unit = np.float32(MIDDLE), np.float32(level / UNIT)
        noisy -= middle
        noisy /= unit
        found = run_turned(tiled, noisy, self.turns)
        found *= unit
        found += middle
        return found

    def denoise(
        self, volumes: Sequence[EnteredVolume], level: float, progress: Progress, axes: int = 1
    ) -> list[Stack | FiledSlices]:
        """Denoise a scan.

        Parameters
        ----------
        volumes : sequence of EnteredVolume
            Its slices in their domain, read as they are needed.
        level : float
            Std of the noise there.
        progress : Progress
            Told about each slice.
        axes : 1 or 3
            Axes that volumes are cut into slices along; the results are averaged.

        Returns
        -------
        list of float32 arrays or the like (slices, height, width)
            Scaled intensities; see `keep_slices`.
        """
        total = sum(sum(volume.shape[:axes]) for volume in volumes)
        results = keep_slices([volume.shape for volume in volumes])
        progress.start("denoising")
        done = 0
        for volume, denoised in zip(volumes, results, strict=True):

            def keep(
                first: int, slab: Stack, own: EnteredVolume = volume, into: Stack | FiledSlices = denoised
            ) -> None:
                into[first : first + len(slab)] = own.leave(first, slab)

            def told(count: int, before: int = done) -> None:
                progress.advance(before + count, total, None, None)

            if axes == 1:
                self._run_through(volume, level, keep, told)
            else:
                mean = self._along_all_axes(volume, level, told)
                for number in range(len(mean)):
                    keep(number, mean[number : number + 1])
            done += sum(volume.shape[:axes])
        progress.finish()
        return results

    def denoise_part(self, volume: EnteredVolume, level: float, first: int, last: int) -> Stack:
        """Denoise slices `first` up to, and without, `last` of a volume; see `denoise`."""
        found = np.empty((last - first, *volume.shape[1:]), np.float32)

        def keep(number: int, slab: Stack) -> None:
            found[number - first : number - first + len(slab)] = volume.leave(number, slab)

        self._run_through(volume, level, keep, lambda _: None, (first, last))
        return found

    def _along_all_axes(self, volume: Volume, level: float, told: Callable[[int], None]) -> Stack:
        """Mean of what slices along each of the three axes give; the volume is held in memory."""
        stack, known = volume.slab(0, volume.shape[0]), volume.known(0, volume.shape[0])
        total = np.zeros(volume.shape, np.float32)
        for axis in range(3):
            where = None if known is None else np.ascontiguousarray(np.moveaxis(known, axis, 0))
            turned = InMemory(np.ascontiguousarray(np.moveaxis(stack, axis, 0)), where)
            into = np.moveaxis(total, axis, 0)

            def add(first: int, slab: Stack, into: Stack = into) -> None:
                into[first : first + len(slab)] += slab

            def so_far(count: int, before: int = sum(volume.shape[:axis])) -> None:
                told(before + count)

            self._run_through(turned, level, add, so_far)
        total /= 3
        return total

    def _run_through(
        self,
        volume: Volume,
        level: float,
        sink: Sink,
        told: Callable[[int], None],
        part: tuple[int, int] | None = None,
    ) -> None:
        _, height, width = volume.shape

        def run(channels: Channels) -> Channels:
            return self._run_own(channels, level)

        at_once = max(1, min(_MOST_AT_ONCE, self.side**2 // (4 * height * width)))
        denoise_volume(volume, sink, run, neighbours=self.neighbours, at_once=at_once, told=told, part=part)


def denoiser_of(
    student: nn.Module, turns: Sequence[int], device: str, threads: int | None = None
) -> Denoiser:
    """Return a student in training as users will run it.

    Parameters
    ----------
    student : UNet
        Its weights of now are copied.
    turns : sequence of int
        Turned and mirrored copies to average over.
    device : str
        As torch names it.
    threads : int, optional
        CPU threads.
    """
    weights = {name: value.detach().cpu().numpy().copy() for name, value in student.state_dict().items()}
    width, channels = weights["entry.weight"].shape[:2]
    return Denoiser(make_backend(weights, device, threads), channels // 2, width, tuple(turns))

"""A student on a backend: all slices of a scan, of any size, averaged over orientations."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

from diffdenoise.model.backends import Backend, make_backend
from diffdenoise.model.graph import STEP, reach
from diffdenoise.model.orientations import run_turned
from diffdenoise.model.slices import denoise_volume
from diffdenoise.model.tiles import Channels, run_in_tiles
from diffdenoise.scan.kept import FiledSlices, keep_slices
from diffdenoise.scan.prepared import Prepared
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
    orientations : int
        Turned and mirrored copies that its output is averaged over.
    """

    backend: Backend
    neighbours: int
    width: int
    orientations: int

    @property
    def side(self) -> int:
        """Side of the largest piece of a slice that is computed at once, in pixels."""
        return max(_LEAST_SIDE, STEP * (isqrt(_MOST_FEATURES // self.width) // STEP))

    def run(self, noisy: Channels) -> Channels:
        """Denoise slices.

        Parameters
        ----------
        noisy : float32 array (n, 1 + 2 neighbours, height, width)
            Scaled intensities; any height and width.

        Returns
        -------
        float32 array (n, 1, height, width)
        """

        def tiled(channels: Channels) -> Channels:
            return run_in_tiles(self.backend.run, channels, side=self.side, step=STEP, reach=reach())

        return run_turned(tiled, noisy, self.orientations)

    def denoise(self, ready: Prepared, progress: Progress) -> list[Stack | FiledSlices]:
        """Denoise a scan.

        Parameters
        ----------
        ready : Prepared
            Its slices, read as they are needed.
        progress : Progress
            Told about each slice.

        Returns
        -------
        list of float32 arrays or the like (slices, height, width)
            Scaled intensities; see `keep_slices`.
        """
        total, done = sum(count for count, _, _ in ready.shapes), 0
        results = keep_slices(ready.shapes)
        progress.start("denoising")
        for volume, denoised in zip(ready.volumes, results, strict=True):
            count, height, width = volume.shape

            def keep(first: int, slab: Stack, into: Stack | FiledSlices = denoised) -> None:
                into[first : first + len(slab)] = slab

            def told(count: int, before: int = done) -> None:
                progress.advance(before + count, total, None, None)

            at_once = max(1, min(_MOST_AT_ONCE, self.side**2 // (4 * height * width)))
            denoise_volume(volume, keep, self.run, neighbours=self.neighbours, at_once=at_once, told=told)
            done += count
        progress.finish()
        return results


def denoiser_of(student: nn.Module, orientations: int, device: str, threads: int | None = None) -> Denoiser:
    """Return a student in training as users will run it.

    Parameters
    ----------
    student : UNet
        Its weights of now are copied.
    orientations : int
        Turned and mirrored copies to average over.
    device : str
        As torch names it.
    threads : int, optional
        CPU threads.
    """
    weights = {name: value.detach().cpu().numpy().copy() for name, value in student.state_dict().items()}
    width, channels = weights["entry.weight"].shape[:2]
    return Denoiser(make_backend(weights, device, threads), channels // 2, width, orientations)

"""Real scans among the pictures: of none of the data sets that the benchmark scores.

They teach how sharp, how textured and how low in contrast images are, which synthetic pictures of the same
noise do not: with them a student of the same steps is .1 to .5 dB better on scans of other people, organs and
scanners. Each is first denoised by the package itself, where that finds noise, so that the student doesn't
learn to keep what scanners add; then zoomed, turned over in brightness, and cut up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from diffdenoise.api import denoise
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import read_scan
from pretraining.pictures import SLICES

#: Cuts of each slice; least and largest zoom; range of the exponent of their brightness; share turned over.
_CUTS, _ZOOM, _GAMMA, _INVERTED = 10, (0.6, 1.5), (0.7, 1.4), 0.25
#: Least std of a cut: others show background.
_LEAST_STD = 0.03
#: Where air ends and tissue begins, as parts of the range of an MR scan. What scanners leave in air (ghosts,
#: speckle) says nothing of anatomy, and weights that learned to expect it leave blots there.
_AIR, _TISSUE = 0.04, 0.12
#: What stands for the distance of slices that have none beside them.
ALONE = math.inf


@dataclass(frozen=True)
class Kind:
    """Files of a data set.

    Attributes
    ----------
    files : str
        Pattern below the data folder.
    spacing : float
        Distance of the slices as a multiple of the pixels'; `ALONE`: each slice is an image of its own.
    least : float
        Values below are padding.
    air : bool
        Whether the air about the body is dark, but not empty.
    """

    files: str
    spacing: float = ALONE
    least: float = -math.inf
    air: bool = True


#: All may be given away; see the data sets' own licences: MIT, PDDL, BSD-2, BSD-3, BSD-3, CC BY 3.0.
KINDS = (
    Kind("mri-brain-t2-torchio/t2.nii.gz", 5.0),
    Kind("mri-brain-t1-studyforrest/dicoms/*.dcm"),
    Kind("mri-brain-uih/t1_gre_fsp_3d_sag/*.dcm"),
    Kind("ct-abdomen-dcmqi/*.dcm", least=-1024, air=False),
    Kind("mri-misc-dipy/t1_coronal_slice.npy"),
    Kind("cxr-hannover/*.png", air=False),
)


def draw_real(folder: Path, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut stacks of adjacent slices out of real scans.

    Parameters
    ----------
    folder : Path
        Of the data sets.
    side : int
        Of a stack in pixels.
    generator : torch.Generator
        Source of the draws, on the CPU.

    Returns
    -------
    stacks : Tensor (count, 7, side, side)
        Intensities from 0; slices alone seven times.
    spacing : Tensor (count,)
        Distance of the slices in pixels; `ALONE`.
    """
    found, spacings = [], []
    for kind in KINDS:
        paths = sorted(folder.glob(kind.files))
        if not paths:
            raise SystemExit(f"{folder / kind.files} is missing")
        for path in paths:
            for stack in _stacks(path, kind):
                cuts = [cut for _ in range(_CUTS) if (cut := _cut(stack, side, generator)) is not None]
                found += cuts
                spacings += [kind.spacing] * len(cuts)
    return torch.stack(found), torch.tensor(spacings)


def _stacks(path: Path, kind: Kind) -> list[Tensor]:
    """Stacks of seven slices (7, height, width) of a file, with intensities of about 0 to 1."""
    noisy = np.squeeze(np.asarray(read_scan(path).data, np.float32)).clip(kind.least, None)
    values = denoise(noisy)
    scaled = np.asarray(IntensityMap.fit(values).scale(values), np.float32)
    if kind.air:
        scaled = _without_air(scaled)
    if math.isinf(kind.spacing):
        return [torch.from_numpy(scaled).expand(SLICES, -1, -1)]
    slices = torch.from_numpy(np.ascontiguousarray(np.moveaxis(scaled, -1, 0)))
    return list(slices.unfold(0, SLICES, 1).permute(0, 3, 1, 2))


def _without_air(scaled: np.ndarray) -> np.ndarray:
    """Intensities of which those of air are 0, and tissue's as they were, with a smooth step between."""
    part = np.clip((scaled - _AIR) / (_TISSUE - _AIR), 0, 1)
    return scaled * (3 * part**2 - 2 * part**3)


def _cut(stack: Tensor, side: int, generator: torch.Generator) -> Tensor | None:
    """A random square of a stack, as it would look on another grid and in another contrast."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    zoom, gamma = (math.exp(uniform(math.log(low), math.log(high))) for low, high in (_ZOOM, _GAMMA))
    zoomed = functional.interpolate(
        stack[None], scale_factor=zoom, mode="bicubic", antialias=True, align_corners=False
    )[0]
    height, width = zoomed.shape[1:]
    zoomed = functional.pad(zoomed, (0, max(0, side - width), 0, max(0, side - height)))
    top, left = (int(uniform(0, 1) * (size - side + 1)) for size in zoomed.shape[1:])
    found = zoomed[:, top : top + side, left : left + side].clamp(0, 1.5) ** gamma
    if float(found.std()) < _LEAST_STD:
        return None
    return 1.2 - found.clamp_max(1.2) if uniform(0, 1) < _INVERTED else found

"""What the student is told of a scan's noise, and its weights for that noise.

The weights that come with the package are of one network for all noise: a few layers turn what is known of it
into a gain and a shift of the features inside each block (FiLM: Perez et al. 2018, "FiLM: Visual
reasoning with a general conditioning layer"). A scan's noise is the same throughout, so that gains and shifts
are multiplied into the weights once, and the student that runs is a plain U-Net.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from diffdenoise.networks.shipped import read_shipped

#: Side of the grid of frequencies on which the noise's power is told, as `rfft2` lays it out.
GRID = 16
#: Least power, as a share of the mean, that is told from none.
LEAST_POWER = 0.03
#: Of log power, and of the log of the level about its middle, to numbers of about 1.
POWER_SCALE, LEVEL_SCALE, MIDDLE_LEVEL = 0.5, 0.5, 0.08
#: What the student sees is in units of the noise's std, times this.
UNIT = 0.1
#: Numbers that tell of a noise.
FEATURES = GRID * (GRID // 2 + 1) + 7
#: Features inside the layers that take them.
HIDDEN = 128
#: The student's blocks, in the order of their gains and shifts.
BLOCKS = ("down_blocks.0", "down_blocks.1", "down_blocks.2", "up_blocks.0", "up_blocks.1")

Weights = dict[str, NDArray[np.float32]]
#: The weights' files in the package. The air of the real scans that the first learned from isn't empty, which
#: does harm where a true zero is told: those for magnitudes learned from synthetic pictures alone.
STUDENT, MAGNITUDE = "student.safetensors", "student-magnitude.safetensors"


@dataclass(frozen=True)
class Known:
    """What is known of a scan's noise, and of the slices beside a slice.

    Attributes
    ----------
    power : array (16, 9)
        Spectrum at the frequencies of `numpy.fft.rfft2` of 16 x 16 pixels, of mean 1 over the whole plane.
    level : float
        Std as a share of the intensity range.
    neighbours : int
        Slices on either side.
    spacing : float or None
        Their distance as a multiple of the pixels'; None: not known.
    zero : float or None
        Of magnitude images: the intensity without any signal, scaled; None: noise isn't of a magnitude.
    """

    power: NDArray[np.float64]
    level: float
    neighbours: int = 0
    spacing: float | None = None
    zero: float | None = None

    def features(self) -> NDArray[np.float64]:
        """Return it as the numbers that the layers take, (FEATURES,)."""
        beside = self.neighbours > 0 and self.spacing is not None
        others = [
            LEVEL_SCALE * math.log(self.level / MIDDLE_LEVEL),
            float(self.neighbours >= 1),
            float(self.neighbours >= 3),
            float(beside),
            math.log(self.spacing) if beside and self.spacing is not None else 0.0,
            float(self.zero is not None),
            0.0 if self.zero is None else UNIT * (self.zero - 0.5) / self.level,
        ]
        return np.concatenate([POWER_SCALE * np.log(self.power + LEAST_POWER).ravel(), others])


def start_student(known: Known) -> Weights:
    """Return the weights that come with the package, of a student for a scan's noise.

    The student takes no more slices beside a slice than there are.
    """
    file = STUDENT if known.zero is None else MAGNITUDE
    weights = weights_for(load(read_shipped(file)), known)
    # Nearest first: those left out are not there.
    entry = weights["entry.weight"][:, : 1 + 2 * known.neighbours]
    return {**weights, "entry.weight": np.ascontiguousarray(entry)}


def weights_for(stored: Mapping[str, NDArray[np.float32]], known: Known) -> Weights:
    """Return the student's weights for a scan's noise.

    Parameters
    ----------
    stored : dict of str to array
        Of the network for all noise: the student's own as `student.NAME`, and the layers.
    known : Known
        What is known of the noise.
    """
    hidden = known.features()
    for layer in ("embed.0", "embed.2"):
        hidden = np.maximum(stored[f"{layer}.weight"].astype(float) @ hidden + stored[f"{layer}.bias"], 0)
    own = {
        name.removeprefix("student."): np.array(value, np.float32)
        for name, value in stored.items()
        if name.startswith("student.")
    }
    for number, block in enumerate(BLOCKS):
        layer = f"modulations.{number}"
        both = stored[f"{layer}.weight"].astype(float) @ hidden + stored[f"{layer}.bias"]
        gain, shift = (part.astype(np.float32) for part in np.split(both, 2))
        own[f"{block}.first.weight"] *= (1 + gain)[:, None, None, None]
        own[f"{block}.first.bias"] = own[f"{block}.first.bias"] * (1 + gain) + shift
    return own

"""Random draws as a pure function of the seed and of what they are for.

No generator lives longer than a step, so a run that continues at step k draws what the unbroken run
drew, and no random state has to be stored.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """Return a CPU generator for one step, slice or draw.

    Parameters
    ----------
    seed : int
        The run's seed.
    purpose : str
        What the draws are for, such as the stage's name.
    index : int
        Step or slice number.
    """
    words = [seed, zlib.crc32(purpose.encode()), index]
    state = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(state)

"""The diagnosis of one scan: the same for information, training, the picture and the record."""

from __future__ import annotations

from diffdenoise.noise.diagnosis import Diagnosis, diagnose
from diffdenoise.scan.prepared import Prepared


def diagnose_prepared(ready: Prepared, least_std: float = 0.0) -> Diagnosis:
    """Look at the noise of a scan, in shares of its range.

    Parameters
    ----------
    ready : Prepared
        The scan; what isn't data, and values that noise was cut off at, are left out.
    least_std : float
        Levels below this are raised to it.
    """
    stacks = ready.measurable()
    return diagnose(stacks, [ready.intensities.zero] * len(stacks), least_std)

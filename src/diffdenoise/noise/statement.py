"""What is known of one scan's noise: found once, and handed to all that ask for it."""

from __future__ import annotations

from functools import cached_property

from diffdenoise.noise.diagnosis import Diagnosis, diagnose_stacks
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import Factors
from diffdenoise.scan.prepared import Prepared, prepare
from diffdenoise.scan.scan import Scan


class Noise:
    """A scan's noise: the same for information, training, denoising, picture and record.

    Attributes
    ----------
    ready : Prepared
        The scan in slices and scaled intensities, which the diagnosis refers to.
    """

    def __init__(self, ready: Prepared) -> None:
        self.ready = ready

    def __repr__(self) -> str:
        return f"Noise(of a range of {self.range:.6g}: {self.diagnosis})"

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """What was found, in shares of the range; looked for when it is first asked for.

        What isn't data, and values that noise was cut off at, are left out.
        """
        stacks = self.ready.measurable()
        return diagnose_stacks(stacks, [self.ready.intensities.zero] * len(stacks))

    @property
    def axis(self) -> int | None:
        """Array axis across the slices."""
        return self.ready.axis

    @property
    def range(self) -> float:
        """What one scaled intensity is, in the scan's units."""
        return self.ready.intensities.range

    @property
    def model(self) -> NoiseModel:
        """Level and correlation, in scaled intensities."""
        return self.diagnosis.noise

    @property
    def factors(self) -> list[Factors] | None:
        """How many times its typical level the noise is at each place of each volume; None: alike."""
        place = self.model.place
        return None if place is None else [place.over(shape) for shape in self.ready.shapes]

    @property
    def std(self) -> float | None:
        """Typical level in the scan's units: in the middle of the tissue; None: pixels are all alike."""
        return self.diagnosis.std * self.range if self.diagnosis.std > 0 else None

    @property
    def percent(self) -> float | None:
        """Typical level in percent of the range; None as for `std`."""
        return 100 * self.diagnosis.std if self.diagnosis.std > 0 else None


def diagnose(scan: Scan, axis: int | None = None) -> Noise:
    """Return the statement of a scan's noise.

    Parameters
    ----------
    scan : Scan
        One that can be denoised: see `check_scan`.
    axis : int, optional
        Array axis across the slices; None: chosen from the voxel sizes.

    Raises
    ------
    IntensityError
        If nothing, or but one value, is left of it without the regions that are no data.
    """
    return Noise(prepare(scan, axis))

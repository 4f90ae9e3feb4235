"""A level of the noise that somebody told, held against what the scan itself shows."""

from __future__ import annotations

from dataclasses import dataclass

from diffdenoise.errors import option
from diffdenoise.noise.diagnosis import Diagnosis

#: From how many times the scan's own statement, up or down, a told level contradicts it. Of 126 scans of
#: known noise all but one are stated at .83 to 1.28 times their level (bench/noise_estimates.py; that one has
#: noise of its own beside the added): a right level is not contradicted. A wrong one that isn't costs .5 dB
#: under wide noise, and less under white (bench/told_wrong.py).
CONTRADICTS = 1.3
#: Calm patches from which on a scan's statement is sure: of 8 x 8 pixels, so many tell a std to 3 %.
_ENOUGH = 16


@dataclass(frozen=True)
class Contradiction:
    """A told level that the scan shows not to be its noise's; all in the scan's own units.

    Attributes
    ----------
    told : float
        As the user said.
    shown : float
        What the scan shows: its noise is this, or no more than this.
    is_bound : bool
        Whether it is no more than a bound.
    is_clean : bool
        Whether, by what the scan shows, there is too little noise to touch it.
    """

    told: float
    shown: float
    is_bound: bool
    is_clean: bool

    @property
    def taken(self) -> float | None:
        """Level to work with in place of the told one; None: all that the scan itself shows of its noise."""
        return self.shown if self.is_bound and not self.is_clean else None

    def in_words(self) -> str:
        """Say both, which is taken, and how to insist."""
        shown = f"{'at most ' if self.is_bound else ''}{self.shown:.3g}"
        then = "which is little against what tissues differ by" if self.is_clean else "and that is taken"
        insist = option("set", "noise_std_as_told=true", python="noise_std_as_told=True")
        return (
            f"a noise std of {self.told:.3g} was told, but the scan shows {shown}, {then}; "
            f"{insist} takes the told one"
        )

    def as_dict(self) -> dict[str, float | bool]:
        """Return it for JSON."""
        return {"told": self.told, "shown": self.shown, "is_upper_bound": self.is_bound}


def contradiction(told: float, unit: float, found: Diagnosis, clean_below: float) -> Contradiction | None:
    """Return what a scan has against a level, or None.

    Parameters
    ----------
    told : float
        Std of the noise in the scan's own units.
    unit : float
        What one scaled intensity is in these.
    found : Diagnosis
        What the scan shows.
    clean_below : float
        See `Diagnosis.is_clean`.
    """
    against = Contradiction(told, unit * found.std, found.is_upper_bound, found.is_clean(clean_below))
    if found.is_upper_bound:
        # The bound itself, taken once for what was told, is not told to be above it again.
        return against if told > against.shown * (1 + 1e-6) else None
    if sum(point.patches for point in found.curve) < _ENOUGH:
        return None
    # Of magnitudes, some mean the scatter in tissue, and others that of the complex noise's parts.
    levels = [unit * level for level in (found.std, found.rician_std) if level]
    if min(levels) / CONTRADICTS <= told <= CONTRADICTS * max(levels):
        return None
    return against

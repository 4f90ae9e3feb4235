"""What a training run will do, worked out from the scans and the settings before torch is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from diffdenoise.config import Settings, stage_names
from diffdenoise.errors import InputError, SettingsError
from diffdenoise.model.known import (
    LEAST_STD,
    NEARLY,
    domain_at,
    domain_of,
    known_noise,
    most_axes,
    spacing_of,
)
from diffdenoise.networks.known_noise import Known
from diffdenoise.noise.diagnosis import Diagnosis, diagnose_stacks
from diffdenoise.noise.domain import Domain, EnteredVolume
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.noise.told import Contradiction, contradiction
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.volume import Volume
from diffdenoise.trust.character import Character, character_of

#: Kernel widths in pixels up to which a blind spot of 1, 3, 5 and 7 pixels is best: a wider one hides
#: more of the correlated noise, and more of the anatomy.
BLIND_SPOTS = ((0.5, 1), (0.75, 3), (1.1, 5), (np.inf, 7))
#: Scans of a data set whose noise is looked at.
_MOST_DIAGNOSED = 9
#: Slices on either side that the networks see where voxels are nearly isotropic.
_MOST_NEIGHBOURS = 3


@dataclass(frozen=True, repr=False)
class Plan:
    """Scans as volumes of slices, with every choice that settings leave open made.

    Attributes
    ----------
    settings : Settings
        As given, but for what the scans contradict or cannot tell.
    volumes : tuple of Volume
        Slices in scaled intensities, read when they are asked for.
    axes : tuple of int or None
        Slice axis of each scan.
    neighbours : int
        Slices on either side given as extra inputs.
    blind_spot : int
        Side in pixels of stage 1's blind spot.
    noise : NoiseModel
        Level (scaled intensities; given or estimated) and correlation.
    diagnosis : Diagnosis
        All that the scans tell about their noise.
    places : tuple of PlaceMap or None
        How the noise's level varies over each volume; None: it doesn't.
    zeros : tuple of float
        Scaled intensity of each volume's true zero.
    spacing : float or None
        Distance of the slices as a multiple of the pixels'; None: not known.
    trained_on : tuple of Character
        What the scans, or some that stand for them, are like.
    contradiction : Contradiction or None
        A level that was told, and that the scans show not to be their noise's; what they show is taken.
    """

    settings: Settings
    volumes: tuple[Volume, ...]
    axes: tuple[int | None, ...]
    neighbours: int
    blind_spot: int
    noise: NoiseModel
    diagnosis: Diagnosis
    places: tuple[PlaceMap | None, ...]
    zeros: tuple[float, ...]
    spacing: float | None
    trained_on: tuple[Character, ...]
    contradiction: Contradiction | None = None

    def __repr__(self) -> str:
        """One line, without volumes and settings."""
        return f"Plan({self.slices} slices of {len(self.axes)} scan(s), {self.noise})"

    @property
    def rician_std(self) -> float | None:
        """Std of the complex noise whose bias is to be undone, scaled intensities."""
        return self.diagnosis.rician_std if self.settings.rician_bias else None

    @property
    def is_blind(self) -> bool:
        """Whether the noise's level isn't known, so that nothing may be built on it."""
        return _is_blind(self.diagnosis, self.settings)

    @cached_property
    def domain(self) -> Domain:
        """Where the noise has one level, and the networks work."""
        return domain_of(self.noise, self.diagnosis, self.zeros[0], told=self.settings.noise_std is not None)

    @cached_property
    def entered(self) -> list[EnteredVolume]:
        """The volumes there."""
        together = zip(self.volumes, self.zeros, self.places, strict=True)
        return [
            EnteredVolume(volume, domain_at(self.domain, zero, place), place)
            for volume, zero, place in together
        ]

    @property
    def shown(self) -> NoiseModel:
        """The noise that the scans show, whatever was told of it, in the domain."""
        return self.domain.of_noise(self.diagnosis.noise.raised_to(LEAST_STD))

    @property
    def known(self) -> Known:
        """What the weights that come with the package are told of the noise."""
        return known_noise(self.domain, self.neighbours, self.spacing, self.diagnosis.coils)

    @property
    def most_axes(self) -> int:
        """Axes that the scans can be cut into slices along; see `model.known.most_axes`."""
        shapes = [volume.shape for volume in self.volumes]
        return most_axes(shapes, self.neighbours, self.spacing, self.noise.correlation)

    @property
    def is_clean(self) -> bool:
        """Whether there is too little noise to touch the scans."""
        given = self.settings.noise_std is not None
        return not given and self.diagnosis.is_clean(self.settings.clean_below_contrast)

    @property
    def slices(self) -> int:
        """Slices in all."""
        return sum(volume.shape[0] for volume in self.volumes)

    def fingerprint(self) -> str:
        """SHA-256 of the intensities and shapes; holds nothing of names or headers."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for volume in self.volumes:
            digest.update(str(volume.shape).encode())
            for number in range(volume.shape[0]):
                digest.update(np.ascontiguousarray(volume.slab(number, number + 1)).data)
                known = volume.known(number, number + 1)
                if known is not None:
                    digest.update(np.packbits(known).data)
        return digest.hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for people and programs, without the data."""
        return {
            "scans": len(self.axes),
            "volumes": len(self.volumes),
            "slices": self.slices,
            "slice_sizes": sorted({f"{volume.shape[1]}x{volume.shape[2]}" for volume in self.volumes}),
            "slice_axes": sorted({axis for axis in self.axes if axis is not None}),
            "neighbours": self.neighbours,
            "blind_spot": self.blind_spot,
            "blind": self.is_blind,
            "noise_std_of_range": round(self.noise.typical_std, 5),
            "rician_std_of_range": self.rician_std,
            "noise_correlation_px": list(self.noise.correlation.width_px),
            "contradiction": None if self.contradiction is None else self.contradiction.as_dict(),
            "settings": self.settings.model_dump(mode="json"),
        }


def make_plan(scans: Sequence[Scan], settings: Settings, noises: Sequence[Noise] | None = None) -> Plan:
    """Check the scans and make the choices that the settings leave open.

    Parameters
    ----------
    scans : sequence of Scan
        The data set.
    settings : Settings
        Wishes; None in a field leaves the choice to the data.
    noises : sequence of Noise, optional
        What is known of each scan's noise; None: looked for here.

    Raises
    ------
    InputError
        If there is no scan, or one that can't be denoised.
    SettingsError
        If the settings contradict each other or the scans.
    """
    _check_schedule(settings)
    if not scans:
        raise InputError("no scan was given; expected at least one")
    if noises is None:
        noises = [noise_of(scan, settings) for scan in scans]
    volumes: list[Volume] = []
    axes: list[int | None] = []
    for ready in (noise.ready for noise in noises):
        volumes += ready.volumes
        axes.append(ready.axis)
    fewest = min(volume.shape[0] for volume in volumes)
    chosen = _standing_for_all(len(noises))
    diagnosis = _middle([noises[number] for number in chosen], noises)
    against = _against_told(settings, noises, diagnosis)
    settings = _heard(settings, against)
    if _is_blind(diagnosis, settings):
        settings = _without_level(settings)
    neighbours = settings.data.neighbours
    if neighbours is None:
        independent = diagnosis.slices_independent
        neighbours = _neighbours_for(scans, axes, fewest) if independent else 0
    elif fewest < 2 * neighbours:
        raise SettingsError(
            f"data.neighbours is {neighbours}, but a volume has {fewest} slice(s) only; set data.neighbours=0"
        )
    noise = _noise_for(diagnosis, settings, _unit(noises))
    return Plan(
        settings,
        tuple(volumes),
        tuple(axes),
        neighbours,
        settings.stage1.blind_spot or blind_spot_for(noise.correlation.width_px),
        noise,
        diagnosis,
        _places(noise, noises),
        tuple(one.ready.intensities.zero for one in noises for _ in one.ready.volumes),
        spacing_of(scans[chosen[0]], axes[chosen[0]]),
        tuple(character_of(scans[number], noises[number]) for number in chosen),
        against,
    )


def _noise_for(diagnosis: Diagnosis, settings: Settings, unit: float) -> NoiseModel:
    """Return the noise that is worked with: as the scans show it, of the level that was told if one was."""
    noise = diagnosis.noise.raised_to(LEAST_STD)
    if settings.noise_std is None:
        return noise
    told = max(settings.noise_std / unit, LEAST_STD)
    if settings.noise_std_as_told:
        return NoiseModel((0.0,), (told,), noise.correlation, place=noise.place)
    # One number says nothing of how the level varies with brightness.
    return noise.times(told / noise.typical_std)


def heard(settings: Settings, noises: Sequence[Noise]) -> tuple[Settings, Contradiction | None]:
    """Return the settings with the level that is worked with, and what scans have against the one told.

    Parameters
    ----------
    settings : Settings
        As given.
    noises : sequence of Noise
        Of the scans, which are one data set.
    """
    if settings.noise_std is None and not settings.noise_std_as_told:
        return settings, None
    chosen = [noises[number] for number in _standing_for_all(len(noises))]
    against = _against_told(settings, noises, _middle(chosen, noises))
    return _heard(settings, against), against


def _against_told(settings: Settings, noises: Sequence[Noise], found: Diagnosis) -> Contradiction | None:
    if settings.noise_std is None and settings.noise_std_as_told:
        raise SettingsError(
            "noise_std_as_told: has an effect with noise_std only; give that too, or leave it out"
        )
    if settings.noise_std is None or settings.noise_std_as_told:
        return None
    return contradiction(settings.noise_std, _unit(noises), found, settings.clean_below_contrast)


def _heard(settings: Settings, against: Contradiction | None) -> Settings:
    return settings if against is None else settings.model_copy(update={"noise_std": against.taken})


def _unit(noises: Sequence[Noise]) -> float:
    """What one scaled intensity is in the scans' own units: the middle one's."""
    return 1 / float(np.median([1 / one.range for one in noises]))


def _neighbours_for(scans: Sequence[Scan], axes: Sequence[int | None], fewest: int) -> int:
    """Return the slices on either side that tell of a slice: three where they lie as near as its pixels do.

    Parameters
    ----------
    scans : sequence of Scan
        Whose slices have noise of their own.
    axes : sequence of int or None
        Across each one's slices.
    fewest : int
        Slices of the smallest volume.
    """
    if fewest < 3:
        return 0
    near = all(_is_nearly_isotropic(scan, axis) for scan, axis in zip(scans, axes, strict=True))
    return _MOST_NEIGHBOURS if near and fewest >= 2 * _MOST_NEIGHBOURS else 1


def _is_nearly_isotropic(scan: Scan, axis: int | None) -> bool:
    """Whether slices lie about as near to each other as the pixels in them; not where sizes are unknown."""
    spacing = spacing_of(scan, axis)
    return spacing is not None and spacing <= NEARLY


def _check_schedule(settings: Settings) -> None:
    """Raise an error for a stage of a training that has neither steps nor a time."""
    missing = [name for name in stage_names(settings) if name not in settings.schedule]
    if settings.trains and settings.minutes is None and missing:
        raise SettingsError(f"minutes is null and schedule has no {', '.join(missing)}; give either")


def _is_blind(diagnosis: Diagnosis, settings: Settings) -> bool:
    """Whether neither the scans nor the user say what the noise's level is."""
    return diagnosis.is_upper_bound and settings.noise_std is None


def _without_level(settings: Settings) -> Settings:
    """Return the settings for the stages as published, none of which needs the noise's level.

    A risk with twice the true level gives results that are worse than the input; blind-spot network,
    diffusion and distillation of symmetric pairs know nothing of it.
    """
    stage3 = settings.stage3.model_copy(update={"refine": False, "target": "srds"})
    return settings.model_copy(update={"stage3": stage3})


def blind_spot_for(width_px: tuple[float, float]) -> int:
    """Return the side in pixels of the blind spot that hides noise of that correlation."""
    return next(side for width, side in BLIND_SPOTS if max(width_px) <= width)


def noise_of(scan: Scan, settings: Settings) -> Noise:
    """Return the statement of a scan's noise, along the slice axis that the settings ask for.

    Raises
    ------
    InputError
        If it can't be denoised.
    """
    check_scan(scan)
    return diagnose(scan, settings.data.axis if scan.ndim > 2 else None)


def _places(noise: NoiseModel, noises: Sequence[Noise]) -> tuple[PlaceMap | None, ...]:
    """How the level varies over each volume of a data set: each scan's own map, if the one told by has any.

    Scans of bodies in one scanner differ in where their noise is strong, as bodies do.
    """
    if noise.place is None:
        return tuple(None for one in noises for _ in one.ready.volumes)
    return tuple(one.model.place for one in noises for _ in one.ready.volumes)


def _standing_for_all(count: int) -> list[int]:
    """Numbers of a few scans that stand for a data set."""
    places = np.linspace(0, count - 1, min(count, _MOST_DIAGNOSED)).round().astype(int)
    return [int(place) for place in np.unique(places)]


def _middle(some: Sequence[Noise], noises: Sequence[Noise]) -> Diagnosis:
    """Return the middle one of several scans' diagnoses.

    Together, one scan with less noise than the others would provide all of the calmest places.
    """
    middle = sorted((one.diagnosis for one in some), key=lambda one: one.std)[len(some) // 2]
    if middle.curve or len(noises) == 1:
        return middle
    # Images too small to tell by themselves.
    stacks = [stack for one in noises for stack in one.ready.measurable()]
    zeros = [one.ready.intensities.zero for one in noises for _ in one.ready.volumes]
    return diagnose_stacks(stacks, zeros)


def already_clean(noises: Sequence[Noise], settings: Settings) -> bool:
    """Whether every one of some scans has too little noise for denoising to do it any good.

    Parameters
    ----------
    noises : sequence of Noise
        Of the scans.
    settings : Settings
        `clean_below_contrast` is the limit. A given `noise_std` means that there is noise, unless the scans
        contradict it.
    """
    settings, _ = heard(settings, noises)
    if settings.noise_std is not None or settings.clean_below_contrast == 0:
        return False
    return all(one.diagnosis.is_clean(settings.clean_below_contrast) for one in noises)

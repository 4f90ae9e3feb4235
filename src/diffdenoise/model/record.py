"""What a model folder says about its model, as one typed record with bounds on every number and list."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from diffdenoise.config import StageName, Steps
from diffdenoise.errors import SettingsError
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.trust.character import PERCENTS, Character

#: Kind of record written here; a larger number is of a later version.
RECORD_FORMAT = 2
#: Places at most at which the loss of a stage is recorded.
MOST_LOSSES = 2000

_Level = Annotated[float, Field(gt=0, lt=1e6)]
_Lags = Annotated[tuple[Annotated[float, Field(ge=-2, le=2)], ...], Field(max_length=64)]
_Row = Annotated[tuple[Annotated[float, Field(ge=-2, le=2)], ...], Field(max_length=129)]
_Logs = Annotated[tuple[Annotated[float, Field(ge=-5, le=5)], ...], Field(min_length=1, max_length=32)]
_Grid = Annotated[tuple[_Logs, ...], Field(min_length=1, max_length=32)]
_Name = Annotated[str, Field(max_length=200)]
_Seconds = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=0, le=10**12)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CorrelationRecord(_Strict):
    """Autocorrelation of the noise 1, 2, ... pixels apart; see `Correlation`."""

    down: _Lags
    right: _Lags
    #: Of both axes; folders of before it was there say it by the product of one along each.
    plane: Annotated[tuple[_Row, ...], Field(max_length=65)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> CorrelationRecord:
        try:
            self.correlation()
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return self

    def correlation(self) -> Correlation:
        """Return it as the noise model's."""
        if self.plane is None:
            return Correlation.of_axes(self.down, self.right)
        return Correlation.of_plane(self.plane)


class NoiseRecord(_Strict):
    """The noise of the training data, in scaled intensities; see `NoiseModel`."""

    brightness: Annotated[
        tuple[Annotated[float, Field(gt=-1e6, lt=1e6)], ...], Field(min_length=1, max_length=64)
    ]
    stds: Annotated[tuple[_Level, ...], Field(min_length=1, max_length=64)]
    correlation: CorrelationRecord
    background: CorrelationRecord | None = None
    place: Annotated[tuple[_Grid, ...], Field(min_length=1, max_length=32)] | None = None
    typical: _Level | None = None

    @model_validator(mode="after")
    def _fits(self) -> NoiseRecord:
        if len(self.brightness) != len(self.stds):
            raise ValueError("brightness and stds differ in length")
        if any(later < one for one, later in zip(self.brightness, self.brightness[1:], strict=False)):
            raise ValueError("brightness falls")
        sizes = {(len(each), len(row)) for each in self.place or () for row in each}
        if len(sizes) > 1:
            raise ValueError("place is no grid")
        return self

    def model(self) -> NoiseModel:
        """Return it as a noise model."""
        background = None if self.background is None else self.background.correlation()
        place = None if self.place is None else PlaceMap(self.place)
        correlation = self.correlation.correlation()
        return NoiseModel(self.brightness, self.stds, correlation, background, place, self.typical)


class CharacterRecord(_Strict):
    """What a training scan is like; see `Character`."""

    modality: Annotated[str, Field(max_length=16)] | None
    noise_std: Annotated[float, Field(ge=0, lt=1e6)]
    rician: bool
    correlation_px: Annotated[float, Field(ge=0, lt=100)]
    zero: Annotated[float, Field(gt=-1e6, lt=1e6)]
    percentiles: Annotated[
        tuple[Annotated[float, Field(gt=-1e6, lt=1e6)], ...],
        Field(min_length=len(PERCENTS), max_length=len(PERCENTS)),
    ]
    slice_mm: Annotated[float, Field(ge=0, lt=1e6)] | None

    def character(self) -> Character:
        """Return it as what scans are compared by."""
        return Character(**self.model_dump())


class StageRecord(_Strict):
    """How the training of one stage went."""

    steps: Steps
    seconds: _Seconds = 0.0
    losses: Annotated[tuple[tuple[_Count, float], ...], Field(max_length=MOST_LOSSES)] = ()
    """Smoothed loss after so many steps."""


class ModelRecord(_Strict):
    """A model folder's `record.json`.

    Fields that say how the model is to be run come first; a later version adds optional ones.
    """

    format: Annotated[int, Field(ge=2, le=RECORD_FORMAT)] = RECORD_FORMAT
    """Kind of record; larger numbers than `RECORD_FORMAT` are of a later version."""
    neighbours: Annotated[int, Field(ge=0, le=3)]
    """Slices on either side that the student takes as extra inputs."""
    orientations: Literal[1, 2, 4, 8] = 1
    """Turned and mirrored copies that the student's output is averaged over."""
    axes: Literal[1, 3] = 1
    """Axes that volumes are cut into slices along; the results are averaged."""
    level: _Level
    """Std of the noise where the student works, in scaled intensities; see `noise.domain`."""
    rician_std: _Level | None = None
    """Std of the complex noise whose bias is to be undone, in scaled intensities."""
    coils: Annotated[int, Field(ge=1, le=64)] = 1
    """Whose sum of squares the magnitude is the root of; 1: Rician noise."""
    noise: NoiseRecord
    """Noise of the training data."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the training data's intensities; None: it learned from no scan."""
    trained_on: Annotated[tuple[CharacterRecord, ...], Field(max_length=9)] = ()
    """What the training scans, or some that stand for them, are like; empty: not known."""
    kept: Literal["trained", "start"] = "trained"
    """Which student it is: the trained one, or the one that training began with, which did better."""
    kept_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of what training changed in the weights that it began with."""
    data: Annotated[dict[_Name, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    """Plan of the training, for people; see `Plan.as_dict`."""
    weights: _Name | None = None
    """Name of the package's weights that the student's are, or that training began with."""
    synthetic_start: Annotated[tuple[StageName, ...], Field(max_length=3)] = ()
    """Stages whose networks began with the weights that come with the package."""
    residual_std: Annotated[dict[_Name, float | None], Field(max_length=9)] = Field(default_factory=dict)
    """By round: std of the noisy image minus the condition."""
    risks: Annotated[dict[_Name, tuple[float, float] | None], Field(max_length=9)] = Field(
        default_factory=dict
    )
    """By round: unbiased risks of teacher and student, where they were compared."""
    stages: Annotated[dict[_Name, StageRecord], Field(max_length=60)] = Field(default_factory=dict)
    """By stage: how its training went."""
    seconds: _Seconds = 0.0
    """Time that the training took."""
    device: _Name = ""
    """Where it ran."""
    precision: _Name = ""
    """In which precision."""
    versions: Annotated[dict[_Name, _Name], Field(max_length=20)] = Field(default_factory=dict)
    """Of this package, Python and libraries."""

    @classmethod
    def of_plain(cls, tree: dict[str, Any]) -> ModelRecord:
        """Return the record of plain lists, numbers and texts, checked as that of a file is."""
        return cls.model_validate_json(json.dumps(tree))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain lists, numbers and texts, as in the file."""
        tree: dict[str, Any] = self.model_dump(mode="json")
        for optional in ("background", "place", "typical"):
            if tree["noise"][optional] is None:
                del tree["noise"][optional]
        return tree


def thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return a curve of losses with no more places than a record takes, evenly chosen, the last included."""
    every = -(-len(curve) // MOST_LOSSES)
    return curve if every <= 1 else curve[::-1][::every][::-1]

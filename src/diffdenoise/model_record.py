"""What a model folder says about its model, as one typed record; nothing in it is believed unchecked.

A folder may come from anyone. Its record, settings and the header of its weights are read first, with bounds
on every number and list; only what fits the network that they describe is loaded at all.
"""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from diffdenoise._version import __version__
from diffdenoise.character import PERCENTS, Character
from diffdenoise.config import Settings, StageName, Steps
from diffdenoise.errors import ModelError, SettingsError
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.plain_files import NotPlainError, parse_json, read_plain

#: Files of a model folder.
STUDENT, SETTINGS, RECORD, CARD = "student.safetensors", "settings.yaml", "record.json", "README.md"
#: Kind of record written here; a larger number is of a later version.
RECORD_FORMAT = 1
#: Bytes of a record: losses of 54 stages (nine rounds) at 2000 places each take half of it.
MOST_RECORD_BYTES = 2**23
#: Bytes of the largest student's weights: 30 million of four bytes are under half of it.
MOST_WEIGHTS_BYTES = 2**29
#: Places at most at which the loss of a stage is recorded.
MOST_LOSSES = 2000
#: Bytes that the header of a weights file may take beside each tensor's name and shape.
_MOST_HEADER_BYTES = 2**17

_Level = Annotated[float, Field(gt=0, lt=1e6)]
_Lags = Annotated[tuple[Annotated[float, Field(ge=-2, le=2)], ...], Field(max_length=64)]
_Name = Annotated[str, Field(max_length=200)]
_Seconds = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=0, le=10**12)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CorrelationRecord(_Strict):
    """Autocorrelation of the noise 1, 2, ... pixels apart; see `Correlation`."""

    down: _Lags
    right: _Lags

    def correlation(self) -> Correlation:
        """Return it as the noise model's."""
        return Correlation(self.down, self.right)


class NoiseRecord(_Strict):
    """The noise of the training data, in scaled intensities; see `NoiseModel`."""

    brightness: Annotated[
        tuple[Annotated[float, Field(gt=-1e6, lt=1e6)], ...], Field(min_length=1, max_length=64)
    ]
    stds: Annotated[tuple[_Level, ...], Field(min_length=1, max_length=64)]
    correlation: CorrelationRecord
    background: CorrelationRecord | None = None

    @model_validator(mode="after")
    def _fits(self) -> NoiseRecord:
        if len(self.brightness) != len(self.stds):
            raise ValueError("brightness and stds differ in length")
        if any(later < one for one, later in zip(self.brightness, self.brightness[1:], strict=False)):
            raise ValueError("brightness falls")
        return self

    def model(self) -> NoiseModel:
        """Return it as a noise model."""
        background = None if self.background is None else self.background.correlation()
        return NoiseModel(self.brightness, self.stds, self.correlation.correlation(), background)


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

    format: Annotated[int, Field(ge=1, le=RECORD_FORMAT)] = RECORD_FORMAT
    """Kind of record; larger numbers than `RECORD_FORMAT` are of a later version."""
    neighbours: Annotated[int, Field(ge=0, le=3)]
    """Slices on either side that the student takes as extra inputs."""
    orientations: Literal[1, 4, 8] = 1
    """Turned and mirrored copies that the student's output is averaged over."""
    rician_std: _Level | None = None
    """Std of the complex noise whose bias is to be undone, in scaled intensities."""
    noise: NoiseRecord
    """Noise of the training data."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the training data's intensities."""
    trained_on: Annotated[tuple[CharacterRecord, ...], Field(max_length=9)] = ()
    """What the training scans, or some that stand for them, are like; empty: not known."""
    kept: Literal["trained", "start"] = "trained"
    """Which student it is: the trained one, or the one that training began with, which did better."""
    data: Annotated[dict[_Name, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    """Plan of the training, for people; see `Plan.as_dict`."""
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

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain lists, numbers and texts, as in the file."""
        tree: dict[str, Any] = self.model_dump(mode="json")
        if self.noise.background is None:
            del tree["noise"]["background"]
        return tree


def read_record(folder: Path) -> ModelRecord:
    """Read and check a model folder's record.

    Raises
    ------
    ModelError
        If it can't be read, is of a later version, or says what can't be.
    """
    content = read_model_file(folder, RECORD, MOST_RECORD_BYTES)
    try:
        return ModelRecord.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{folder / RECORD}: {_explain(error, content)}") from error


def read_settings(folder: Path) -> Settings:
    """Read and check a model folder's settings; raises `ModelError`."""
    try:
        return Settings.build(folder / SETTINGS, follow_link=False)
    except SettingsError as error:
        where = "" if str(folder / SETTINGS) in str(error) else f"{folder / SETTINGS}: "
        raise ModelError(f"{where}{error}") from error


def read_weights(folder: Path, expected: dict[str, tuple[int, ...]]) -> bytes:
    """Return the student's weights as the bytes of a safetensors file that holds just these tensors.

    Parameters
    ----------
    folder : path
        Model folder.
    expected : dict of str to tuple of int
        Shape of each tensor; all are float32.

    Raises
    ------
    ModelError
        If the file holds anything else.
    """
    path = folder / STUDENT
    numbers = sum(_product(shape) for shape in expected.values())
    content = read_model_file(folder, STUDENT, 4 * numbers + _MOST_HEADER_BYTES)
    # https://huggingface.co/docs/safetensors: eight bytes of length, the header as JSON, the numbers.
    length = int.from_bytes(content[:8], "little")
    damaged = ModelError(f"{path}: is damaged or incomplete; get the model again or train anew")
    if not 2 <= length <= min(_MOST_HEADER_BYTES, len(content) - 8):
        raise damaged
    try:
        header = parse_json(content[8 : 8 + length])
    except ValueError as error:
        raise damaged from error
    if not isinstance(header, dict):
        raise damaged
    header.pop("__metadata__", None)
    found = {name: _shape_of(entry) for name, entry in header.items()}
    if found != expected:
        name = min(found.keys() ^ expected.keys() or {key for key in expected if found[key] != expected[key]})
        raise ModelError(
            f"{path}: does not fit the model's settings (tensor {reprlib.repr(name)}); get the model "
            "again or train anew"
        )
    if len(content) != 8 + length + 4 * numbers:
        raise damaged
    return content


def read_model_file(folder: Path, name: str, most_bytes: int) -> bytes:
    """Return the content of a file of a model folder.

    Raises
    ------
    ModelError
        If it is missing, larger, a link, or no regular file.
    """
    path = folder / name
    try:
        return read_plain(path, most_bytes)
    except NotPlainError as error:
        raise ModelError(f"{path}: {error}; get the model again or train anew") from error
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); get the model again or train anew"
        ) from error


def thinned(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return a curve of losses with no more places than a record takes, evenly chosen, the last included."""
    every = -(-len(curve) // MOST_LOSSES)
    return curve if every <= 1 else curve[::-1][::every][::-1]


def _shape_of(entry: Any) -> tuple[int, ...] | None:
    """Shape of a float32 tensor in a safetensors header; None for anything else."""
    if not isinstance(entry, dict) or entry.get("dtype") != "F32" or not isinstance(entry.get("shape"), list):
        return None
    shape = entry["shape"]
    return tuple(shape) if all(type(side) is int for side in shape) else None


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _explain(error: ValidationError, content: bytes) -> str:
    """What is wrong with a record, in words; of a later version's, that it is one."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "is no JSON; get the model again or train anew"
    try:
        tree = parse_json(content)
        kind, version = tree.get("format", RECORD_FORMAT), tree.get("versions", {}).get("diffdenoise", "?")
    except (ValueError, AttributeError):
        kind, version = RECORD_FORMAT, "?"
    if type(kind) is int and kind > RECORD_FORMAT:
        return (
            f"is of a later version ({reprlib.repr(version)}) than this ({__version__}); upgrade diffdenoise"
        )
    where = ".".join(str(part) for part in first["loc"])[:100] or "the record"
    return (
        f"{where}: {first['msg'].removeprefix('Value error, ')} (found {reprlib.repr(first.get('input'))}); "
        "get the model again or train anew"
    )

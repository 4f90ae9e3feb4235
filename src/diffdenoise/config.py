"""All settings, one frozen class a stage; unknown keys are refused.

The same schema serves the command line (`--config`, `--set stage2.jointly_blind=false`), Python and
the model folder (`settings.yaml`). Maths functions take plain arguments, never these objects.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeGuard

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from diffdenoise.errors import SettingsError, option
from diffdenoise.plain_files import NotPlainError, parse_yaml, read_plain

#: Names of stages in a schedule.
_ROUND = ("diffusion", "targets", "student", "refine")
_LATER = tuple(f"{name}-{turn}" for turn in range(2, 10) for name in _ROUND)
_STAGE_NAME = re.compile(f"blind-spot|({'|'.join(_ROUND)})(-[2-9])?")

#: The stages that train a network each, as their settings are called.
StageName: TypeAlias = Literal["stage1", "stage2", "stage3"]
STAGES: tuple[StageName, ...] = ("stage1", "stage2", "stage3")
#: Widths of the networks whose starting weights come with the package.
_START_WIDTHS: dict[StageName, int] = {"stage1": 16, "stage2": 32, "stage3": 32}
#: Channels at most: eight times the widest default; a student of these has 30 million weights.
MOST_WIDTH = 256
#: Minutes of a training that is told no time.
USUAL_MINUTES = 10.0
#: Steps of a stage at most: a year of a thousand a second is more.
MOST_STEPS = 10**10
#: The published method: none of what was added to it but `stage2.jointly_blind`.
RECIPES = {"paper": {"iterations": 3, "stage3": {"target": "srds", "refine": False, "orientations": 1}}}
#: Bytes of a settings file; nine rounds of all stages take a tenth of it.
MOST_SETTINGS_BYTES = 2**16


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Steps(_Frozen):
    """How long one stage trains, in optimiser steps.

    The learning rate is constant, then falls along a half cosine. A run inside a time budget
    measures its own speed, and writes here what it did; given back, these numbers repeat it.
    """

    steps: int = Field(ge=0, le=MOST_STEPS)
    """Optimiser steps in all. For "targets": slices whose target is computed. 0 leaves "targets" and
    "student" out."""
    decay_start: int | None = Field(default=None, ge=0, le=MOST_STEPS)
    """Step at which the learning rate begins to fall; None: after 60 % of the steps."""
    decay_steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    """Steps that a whole decay to zero takes; None: all that are left."""


class Data(_Frozen):
    """Which pixels a training step sees."""

    axis: int | None = Field(default=None, ge=0, le=2)
    """Array axis along which a volume is cut into slices; None: chosen from the voxel sizes."""
    neighbours: int | None = Field(default=None, ge=0, le=3)
    """Slices on either side given as extra inputs; None: for volumes whose slices have noise of their own
    1, or 3 where these lie at most 1.25 times as far apart as pixels; else 0."""
    patch: int = Field(default=64, ge=16, le=4096, multiple_of=8)
    """Side of a training patch in pixels."""
    batch: int = Field(default=16, ge=1, le=4096)
    """Patches in a step."""


class Stage1(_Frozen):
    """Blind-spot network: predicts a pixel's mean and variance from its neighbourhood."""

    width: int = Field(default=16, ge=4, le=MOST_WIDTH)
    """Channels at full resolution in each of the four half-plane branches."""
    blind_spot: Literal[1, 3, 5, 7, 9] | None = None
    """Side in pixels of the square that the network doesn't see; None: from the noise's correlation."""
    filled_patches: float = Field(default=0.5, ge=0, le=1)
    """Share of patches in which some pixels are replaced by interpolated ones, as in stage 2."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak learning rate of AdamW."""


class Stage2(_Frozen):
    """Conditional diffusion model of the noisy image given stage 1's output."""

    width: int = Field(default=32, ge=4, le=MOST_WIDTH)
    """Channels at full resolution."""
    jointly_blind: bool = True
    """Hide random pixels from the condition and learn on these alone. False: as in the paper, where
    the model learns to give the noise back."""
    hidden_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of pixels hidden at a time when jointly blind."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate of AdamW."""


class Sampling(_Frozen):
    """Stabilised reverse diffusion sampling."""

    pairs: int = Field(default=1, ge=1, le=1000)
    """Symmetric pairs (+e, -e) averaged for one output. The paper has 1."""
    nodes: int = Field(default=9, ge=1, le=1000)
    """Noise levels of the deterministic Heun sampler; each but the last takes two calls of the network."""
    sigma_min: float = Field(default=0.02, gt=0)
    """Lowest diffusion noise level, as a multiple of the residual's std."""
    sigma_max: float = Field(default=20.0, gt=0)
    """Highest diffusion noise level, as a multiple of the residual's std."""

    @model_validator(mode="after")
    def _falling(self) -> Sampling:
        if self.sigma_min >= self.sigma_max:
            raise ValueError("sigma_min must be less than sigma_max")
        return self


class Stage3(_Frozen):
    """Knowledge distillation: the student that users run."""

    width: int = Field(default=32, ge=4, le=MOST_WIDTH)
    """Channels at full resolution."""
    target: Literal["srds", "fusion", "corrected"] = "fusion"
    """What the student learns: the symmetric pair's mean as in the paper; that with the noisy pixel
    given back; or the recorruption-corrected posterior mean of the diffusion network."""
    draws: int = Field(default=8, ge=1, le=1000)
    """Draws averaged for one "corrected" target."""
    alpha: float | None = Field(default=None, gt=0)
    """Recorruption strength in "corrected" targets and refinement: the added noise's std as a multiple
    of the scan's own. None: 0.5 where the noise has one level, and 1 where its level varies with
    brightness, is hence less sure, and counts for less at a larger strength."""
    orientations: Literal[1, 2, 4, 8] | None = None
    """Turned (2, 4) and mirrored (8) copies that the student denoises and averages; 1 is that many times
    faster, and a little worse. At most those of which the noise is like the scan's: 2 where it is correlated
    along a slant, 4 where along one axis more than along the other. None: as many as take no more than a
    seventh of the time budget."""
    refine: bool = True
    """After distillation, minimise an unbiased risk on the noisy scan itself, which undoes the
    teacher's bias. False: as in the paper."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW. None: 1e-3 from synthetic weights, but 2e-3 from random ones, and under
    wide noise, of which those weights know less."""


class Settings(_Frozen):
    """Everything that decides the weights, given the data."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of every random draw."""
    minutes: float | None = Field(default=None, gt=0)
    """Wall-clock budget in minutes for the stages whose steps `schedule` does not give. None, and no
    schedule: `denoise` learns nothing from the scan, and `train` takes 10."""
    start: Literal["synthetic", "random"] | None = None
    """What the networks' weights are at first: those that come with the package, learned on synthetic
    pictures and, the student's, on public scans; or random. None: synthetic for networks of the default
    widths."""
    iterations: int = Field(default=1, ge=1, le=9)
    """Rounds of stages 2 and 3; the student's output is the next round's condition. The paper: 3."""
    noise_std: float | None = Field(default=None, gt=0)
    """Std of the noise in the scan's own units, in the middle of the tissue; None: as the scan shows it."""
    noise_std_as_told: bool = False
    """Take `noise_std` as it is, everywhere. False: not if what the scan shows is surely 1.3 times more or
    less, which is said; and of noise that varies with brightness or place, as its level in the middle."""
    clean_below_contrast: float = Field(default=0.1, ge=0)
    """Scans with less noise than this share of what neighbouring tissues differ by (block means over 12
    pixels) are left as they are by `denoise`; 0: none is."""
    rician_bias: bool = True
    """Undo the bias of magnitude images where the background shows Rician noise."""
    data: Data = Data()
    """Patches and slices."""
    stage1: Stage1 = Stage1()
    """Blind-spot network."""
    stage2: Stage2 = Stage2()
    """Diffusion model."""
    sampling: Sampling = Sampling()
    """Sampler."""
    stage3: Stage3 = Stage3()
    """Student."""
    schedule: dict[str, Steps] = Field(default_factory=dict)
    """Steps by stage: "blind-spot", "diffusion", "targets" (slices), "student",
    "refine"; a later round's have its number behind: "diffusion-2". An absent stage gets its
    share of `minutes`."""

    @property
    def trains(self) -> bool:
        """Whether anything is to be learned from the scans."""
        return self.minutes is not None or bool(self.schedule)

    def for_training(self) -> Settings:
        """Return the settings with a time to train for, if they have none."""
        return self if self.trains else self.model_copy(update={"minutes": USUAL_MINUTES})

    @model_validator(mode="after")
    def _targets_have_learners(self) -> Settings:
        for turn in range(1, self.iterations + 1):
            targets, student = (self.schedule.get(round_name(name, turn)) for name in ("targets", "student"))
            without_targets = targets is not None and not targets.steps
            if student is not None and bool(student.steps) == without_targets:
                raise ValueError("targets and student can only be left out together, with 0 steps for both")
            if not self.stage3.refine and any(one and not one.steps for one in (targets, student)):
                raise ValueError("targets and student cannot be left out where stage3.refine is false")
        return self

    @model_validator(mode="after")
    def _start_fits(self) -> Settings:
        unknown = [stage for stage in STAGES if not self._has_start_width(stage)]
        if self.start == "synthetic" and unknown:
            stage = unknown[0]
            raise ValueError(
                f"start is synthetic, but {stage}.width is {getattr(self, stage).width}; synthetic weights"
                f" have {_START_WIDTHS[stage]}"
            )
        return self

    def _has_start_width(self, stage: StageName) -> bool:
        return bool(getattr(self, stage).width == _START_WIDTHS[stage])

    def starts_synthetic(self, stage: StageName) -> bool:
        """Whether the network of a stage begins with the weights that come with the package."""
        return self.start != "random" and self._has_start_width(stage)

    @field_validator("schedule")
    @classmethod
    def _known_stages(cls, value: dict[str, Steps]) -> dict[str, Steps]:
        for key in value:
            if not _STAGE_NAME.fullmatch(key):
                near = difflib.get_close_matches(key, ["blind-spot", *_ROUND, *_LATER], n=1, cutoff=0.75)
                raise ValueError(
                    f"'{key}' is not a stage{f', did you mean {near[0]}' if near else ''}; stages are"
                    " blind-spot, diffusion, targets, student"
                    " and refine, all but the first with -2 to -9 behind for later rounds"
                )
            if not value[key].steps and key.partition("-")[0] not in ("targets", "student"):
                raise ValueError(f"{key} has 0 steps; only targets and student can be left out")
        return value

    @classmethod
    def build(
        cls,
        file: Path | None = None,
        assignments: list[str] | None = None,
        *,
        recipe: str | None = None,
        follow_link: bool = True,
        **overrides: Any,
    ) -> Settings:
        """Return settings of a recipe, YAML file, `key=value` assignments and keywords, later ones winning.

        Parameters
        ----------
        file : path, optional
            YAML file, such as the `settings.yaml` of a model folder.
        assignments : list of str, optional
            Dotted keys: `stage2.jointly_blind=false`, `schedule.student.steps=100`.
        recipe : str, optional
            One of `RECIPES`.
        follow_link : bool
            Whether `file` may be a link to a file.
        **overrides
            Top-level fields; None leaves a field as it is. `minutes` drops the file's schedule.

        Raises
        ------
        SettingsError
            If the file can't be read, a key is unknown or a value out of range.
        """
        if recipe not in (None, *RECIPES):
            raise SettingsError(f"recipe {reprlib.repr(recipe)}: is not known; expected {', '.join(RECIPES)}")
        tree: dict[str, Any] = {}
        _merge(tree, RECIPES[recipe] if recipe is not None else {})
        _merge(tree, _load_yaml(file, follow=follow_link) if file is not None else {})
        if overrides.get("minutes") is not None:
            # Asked for a time, the file's step counts would say otherwise.
            tree.pop("schedule", None)
        for text in assignments or []:
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                raise SettingsError(f"{_assigned(text)}: expected key=value, such as stage3.draws=4")
            _assign(tree, key.strip(), value)
        tree.update({key: value for key, value in overrides.items() if value is not None})
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error

    def to_yaml(self) -> str:
        """Return the settings as YAML that `build` reads back to an equal object."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def _merge(tree: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Put what a tree says over another; what is below is new, so that nothing else changes with it."""
    for key, value in later.items():
        own = tree.get(key)
        tree[key] = _merge(own if isinstance(own, dict) else {}, value) if isinstance(value, dict) else value
    return tree


def round_name(stage: str, turn: int) -> str:
    """Name of a stage in a round: "diffusion", "diffusion-2"."""
    return stage if turn == 1 else f"{stage}-{turn}"


def stage_names(settings: Settings) -> list[str]:
    """Return the names of all stages that a run goes through, in order."""
    last = ["refine"] * settings.stage3.refine
    turns = range(1, settings.iterations + 1)
    a_round = ["diffusion", "targets", "student", *last]
    return ["blind-spot", *(round_name(stage, turn) for turn in turns for stage in a_round)]


def _is_group(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def known_keys(group: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting but those of a schedule: "seed", "stage3.draws"."""
    for name, field in group.model_fields.items():
        inner = field.annotation
        if _is_group(inner):
            yield from known_keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _explain(error: ValidationError) -> str:
    """Say which setting is wrong, and for one that isn't known, which was perhaps meant."""
    errors = error.errors()
    # A misspelt name says more than that the right one is missing.
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    where = ".".join(str(part) for part in first["loc"])[:100] or "settings"
    if first["type"] == "extra_forbidden":
        inner = first.get("input")
        key = f"{where}.{next(iter(inner))}" if isinstance(inner, dict) and len(inner) == 1 else where
        return f"setting {where}: there is no such setting{did_you_mean(key)}"
    found = reprlib.repr(first.get("input"))
    return f"setting {where}: {first['msg'].removeprefix('Value error, ')} (found {found})"


def did_you_mean(key: str) -> str:
    """Return "; did you mean stage3.draws?" for a dotted key that is nearly that of a setting."""
    groups = [name for name, field in Settings.model_fields.items() if _is_group(field.annotation)]
    known = [*known_keys(), *groups]
    group = key.rpartition(".")[0]
    if group.startswith("schedule."):
        known = [f"{group}.{name}" for name in Steps.model_fields]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    last = key.rpartition(".")[2]
    if not near:
        # The right name in the wrong group, or in none.
        near = [each for each in known if each.rpartition(".")[2] == last][:1]
    if not near:
        names = {each.rpartition(".")[2]: each for each in reversed(known)}
        near = [names[name] for name in difflib.get_close_matches(last, names, n=1, cutoff=0.75)]
    if near:
        return f"; did you mean {near[0]}?"
    listed = option("dry-run", command="diffdenoise train INPUT -o DIR", python="print(Settings().to_yaml())")
    return f"; {listed} lists all"


def _load_yaml(file: Path, *, follow: bool) -> dict[str, Any]:
    try:
        tree = parse_yaml(read_plain(file, MOST_SETTINGS_BYTES, follow=follow))
    except NotPlainError as error:
        raise SettingsError(f"{file}: {error}; expected a settings file") from error
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SettingsError(f"{file}: {error}; expected a settings file of 'key: value' lines") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{file}: holds a {type(tree).__name__}; expected 'key: value' lines")
    return tree


def _assigned(text: str) -> str:
    """What the value of a setting was given by."""
    return f"{option('set', python='assignments:')} {text}"


def _assign(tree: dict[str, Any], dotted: str, value: str) -> None:
    """Set tree["a"]["b"] = value for the key "a.b", the value read as YAML."""
    *parents, last = dotted.split(".")
    for part in parents:
        node = tree.setdefault(part, {})
        if not isinstance(node, dict):
            raise SettingsError(f"{_assigned(dotted)}: '{part}' is not a group of settings")
        tree = node
    try:
        tree[last] = parse_yaml(value)
    except ValueError as error:
        raise SettingsError(f"{_assigned(f'{dotted}={value}')}: the value {error}") from error

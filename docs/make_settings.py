"""Write settings.md beside this file from the schema of the settings: `python docs/make_settings.py`."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from diffdenoise.config import Settings, Steps

PAGE = Path(__file__).with_name("settings.md")

HEAD = """\
<!-- Written by docs/make_settings.py from src/diffdenoise/config.py; do not edit by hand. -->
# Settings

Everything that decides a model's weights, given the data. Three ways to set one, later ones winning:

1. a YAML file: `--config settings.yaml`; every model folder holds one that repeats its training;
2. one value: `--set stage3.draws=4`, as often as needed;
3. the options of `denoise` and `train`: `--minutes`, `--iterations`, `--seed`, `--noise-std`, `--axis`, and
   `--pairs`, which is `sampling.pairs`.

Names that are not listed here, and values out of range, are refused. In YAML, none is written `null`.
`diffdenoise train INPUT -o DIR --dry-run` prints all settings as they would be used.
"""

NAMES = {int: "whole number", float: "number", bool: "true or false", str: "text", types.NoneType: "none"}


def type_name(annotation: Any) -> str:
    """Return a type in words: "number or none"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(each) for each in arguments)
    if origin is dict:
        return f"{type_name(arguments[1])} by name"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return NAMES[annotation]


def limits(field: FieldInfo) -> str:
    """Return the range of a field: "at least 1, at most 9"."""
    words = {Ge: ("at least", "ge"), Gt: ("over", "gt"), Le: ("at most", "le"), Lt: ("under", "lt")}
    words[MultipleOf] = ("a multiple of", "multiple_of")
    found = []
    for each in field.metadata:
        if type(each) in words:
            word, attribute = words[type(each)]
            found.append(f"{word} {getattr(each, attribute):g}")
    return ", ".join(found)


def default_of(field: FieldInfo) -> str:
    """Return a default as it is written in YAML."""
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(value)}`"  # JSON is YAML


def rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield a table of a class's fields."""
    yield "| setting | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if _is_group(field):
            continue
        kind = ", ".join(filter(None, [type_name(field.annotation), limits(field)]))
        meaning = " ".join((field.description or "").split()).replace("|", r"\|")
        yield f"| `{prefix}{name}` | {kind} | {default_of(field)} | {meaning} |"


def _is_group(field: FieldInfo) -> bool:
    return inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)


def page() -> str:
    """Return the text of settings.md."""
    lines = [HEAD, "## General", "", *rows(Settings, "")]
    for name, field in Settings.model_fields.items():
        if _is_group(field):
            group: Any = field.annotation
            lines += ["", f"## {name}", "", inspect.cleandoc(group.__doc__), "", *rows(group, f"{name}.")]
    lines += ["", "## Steps", "", inspect.cleandoc(Steps.__doc__ or ""), ""]
    lines += [*rows(Steps, "schedule.STAGE.")]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""What `denoise` and `train` share: settings from options, and how to resume."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diffdenoise.cli.paths import require

if TYPE_CHECKING:
    from diffdenoise.config import Settings


def build_settings(
    config: Path | None,
    assignments: Sequence[str] | None,
    *,
    axis: int | None = None,
    pairs: int | None = None,
    minutes: float | None = None,
    iterations: int | None = None,
    seed: int | None = None,
    noise_std: float | None = None,
) -> Settings:
    """Return the settings that a command line asks for; an option wins over --set and --config.

    Raises
    ------
    InputError
        If the settings file doesn't exist.
    SettingsError
        If a setting is unknown or out of range.
    """
    # Imported here: pydantic takes a tenth of a second, which `info` and `--help` needn't spend.
    from diffdenoise.config import Settings

    require([config])
    given = list(assignments or [])
    if axis is not None:
        given.append(f"data.axis={axis}")
    if pairs is not None:
        given.append(f"sampling.pairs={pairs}")
    return Settings.build(
        config, given, minutes=minutes, iterations=iterations, seed=seed, noise_std=noise_std
    )


def resume_command(words: Sequence[str]) -> str:
    """Return the command line that goes on where the one in `words` was stopped."""
    return shlex.join(["diffdenoise", *(word for word in words if word != "--resume"), "--resume"])

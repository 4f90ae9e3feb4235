"""What `denoise` and `train` share: settings from options, and how to resume."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffdenoise.cli.options import RecipeName
from diffdenoise.cli.paths import require
from diffdenoise.errors import SettingsError

if TYPE_CHECKING:
    from diffdenoise.config import Settings


@dataclass(frozen=True)
class Wishes:
    """What a command line says of a training; None where it doesn't."""

    minutes: float | None
    iterations: int | None
    seed: int | None
    noise_std: float | None
    config: Path | None
    assignments: list[str] | None
    pairs: int | None = None
    save_model: Path | None = None
    recipe: RecipeName | None = None

    def settings(self, axis: int | None) -> Settings:
        """Return the settings that are asked for; an option wins over --set and --config.

        Raises
        ------
        InputError
            If the settings file doesn't exist.
        SettingsError
            If a setting is unknown or out of range.
        """
        # Imported here: pydantic takes a tenth of a second, which `--help` needn't spend.
        from diffdenoise.config import Settings

        require([self.config])
        given = list(self.assignments or [])
        if axis is not None:
            given.append(f"data.axis={axis}")
        if self.pairs is not None:
            given.append(f"sampling.pairs={self.pairs}")
        return Settings.build(
            self.config,
            given,
            recipe=None if self.recipe is None else self.recipe.value,
            minutes=self.minutes,
            iterations=self.iterations,
            seed=self.seed,
            noise_std=self.noise_std,
        )

    def of_denoising(self, axis: int | None) -> Settings:
        """Return the settings of a run that trains only if it is told for how long.

        Raises
        ------
        SettingsError
            If something is asked of a training that isn't to be.
        """
        settings = self.settings(axis)
        told = {"recipe": self.recipe, "iterations": self.iterations, "seed": self.seed, "pairs": self.pairs}
        names = [f"--{name}" for name, value in told.items() if value is not None]
        if names and not settings.trains:
            raise SettingsError(
                f"{', '.join(names)}: nothing is trained; add --minutes 10, or leave {names[0]} out"
            )
        return settings

    def none_with_a_model(self, axis: int | None) -> Settings:
        """Return settings without wishes; an error for one, as a trained model takes no notice of it."""
        given = {**vars(self), "set": self.assignments or None}
        given.pop("assignments")
        names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
        if names:
            plural = "s have" if len(names) > 1 else " has"
            raise SettingsError(
                f"{', '.join(names)}: the option{plural} no effect with a trained model; leave out"
                f" {'them' if len(names) > 1 else 'it'} or --model"
            )
        return self.settings(axis)


def resume_command(words: Sequence[str]) -> str:
    """Return the command line that goes on where the one in `words` was stopped."""
    return shlex.join(["diffdenoise", *(word for word in words if word != "--resume"), "--resume"])

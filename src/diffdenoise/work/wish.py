"""How a job of the queue is to be denoised: few options, each checked, and none that names a file."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffdenoise._version import __version__
from diffdenoise.config import Settings
from diffdenoise.errors import ModelError, SettingsError
from diffdenoise.model.named import NAMES
from diffdenoise.work.extras import Extras
from diffdenoise.work.order import Machine, Order

#: Minutes that a job may learn for, unless a server says otherwise.
MOST_MINUTES = 240.0
#: Seeds are those that NumPy takes on every system.
_MOST_SEED = 2**31 - 1
#: Names that a model may have: one folder, and no path.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Folder of models below the data folder; in a trained one, its settings.
MODELS, _SETTINGS = "models", "settings.yaml"


@dataclass(frozen=True)
class Wish:
    """How to denoise.

    Attributes
    ----------
    minutes : float or None
        Time to learn from the scan first; None: at once.
    model : str or None
        Name of the package's weights, or of a folder among the server's models.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    seed : int
        Of a training's draws; at once there are none.
    report : bool
        Whether a trust report is wanted.
    """

    minutes: float | None = None
    model: str | None = None
    strength: float = 1.0
    seed: int = 0
    report: bool = True

    def check(self, models: Path, most_minutes: float = MOST_MINUTES) -> None:
        """Raise an error for what no scan could put right.

        Raises
        ------
        DiffDenoiseError
            If a value is out of range, a model isn't there, or nothing can be trained here.
        """
        if self.minutes is not None and not (
            math.isfinite(self.minutes) and 0 < self.minutes <= most_minutes
        ):
            raise SettingsError(f"minutes {self.minutes}: expected more than 0, at most {most_minutes:g}")
        if not 0 <= self.seed <= _MOST_SEED:
            raise SettingsError(f"seed {self.seed}: expected 0 to {_MOST_SEED}")
        if self.minutes is not None and self.model is not None:
            raise SettingsError("minutes: with a model nothing is learned; leave out minutes, or the model")
        self.order(Path("in"), Path("out"), models).check()

    def order(self, source: Path, out: Path, models: Path, machine: Machine | None = None) -> Order:
        """Return what is to be done: results go to folders below `out`."""
        chosen = find_named(self.model, models)
        settings = (
            Settings() if self.minutes is None else Settings.build(minutes=self.minutes, seed=self.seed)
        )
        report = out / "report" if self.report else None
        return Order(
            (source,),
            out / "result",
            settings,
            as_folder=True,
            strength=self.strength,
            model=chosen,
            extras=Extras(residual=out / "residual", report=report),
            machine=machine or Machine(),
        )

    def as_json(self) -> str:
        """Return it as the queue keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_json(cls, tree: dict[str, Any]) -> Wish:
        """Return what the queue kept."""
        return cls(**tree)

    def key(self, content: str, models: Path) -> str:
        """Return the digest of all that a result depends on.

        Parameters
        ----------
        content : str
            Digest of what was sent.
        models : path
            Folder of the server's models.
        """
        decisive = self.order(Path("in"), Path("out"), models).decisive()
        return _digest([__version__, content, self.report, decisive])

    def request(self, content: str) -> str:
        """Return the digest of what was sent and asked for."""
        return _digest([content, self.as_json()])


def find_named(name: str | None, models: Path) -> Path | str | None:
    """Return the weights or the model folder of a name.

    Raises
    ------
    ModelError
        If there is none, or it is a path.
    """
    if name is None or name in NAMES:
        return name
    folder = models / name if _NAME.fullmatch(name) else None
    if folder is None or not (folder / _SETTINGS).is_file():
        known = ", ".join([*NAMES, *names_of(models)])
        raise ModelError(f"model: there is none of that name; expected one of {known}")
    return folder


def names_of(models: Path) -> list[str]:
    """Return the names of the server's own models."""
    if not models.is_dir():
        return []
    return sorted(each.name for each in models.iterdir() if is_model(each))


def is_model(folder: Path) -> bool:
    """Whether a folder is a model that can be named."""
    named = _NAME.fullmatch(folder.name) is not None and folder.name not in NAMES
    return named and (folder / _SETTINGS).is_file()


def _digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

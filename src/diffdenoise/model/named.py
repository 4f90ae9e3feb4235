"""Weights that come with the package, called by name where a model folder may stand."""

from __future__ import annotations

import difflib
from pathlib import Path

from diffdenoise.errors import ModelError
from diffdenoise.networks.known_noise import MAGNITUDE, STUDENT, Known
from diffdenoise.networks.shipped import Shipped, shipped

#: The names of those that denoise; the others are what stages of a training begin with.
GENERAL, MAGNITUDES = (
    next(one.name for one in shipped() if one.file == file) for file in (STUDENT, MAGNITUDE)
)
NAMES = (GENERAL, MAGNITUDES)


def find_model(model: str | Path) -> str | Path:
    """Return the name of weights that come with the package, or a model folder.

    Parameters
    ----------
    model : str or path
        A text that is a name stands for the package's weights; a path, also as a text with a slash
        ("./general"), for a folder.

    Raises
    ------
    ModelError
        If it is neither, or both.
    """
    if isinstance(model, Path):
        return model
    if model in NAMES:
        if Path(model).exists():
            # Which of them runs would hang on the folder that the caller happens to be in.
            raise ModelError(
                f"{model}: is a name of the package's weights, and a file or folder here has it too; write "
                f"./{model} for the folder, or rename it"
            )
        return model
    if Path(model).exists():
        return Path(model)
    if any(model == one.name for one in shipped()):
        raise ModelError(f"{model}: these weights are not run by themselves; expected {_listed()}")
    raise ModelError(
        f"{model}: no such model folder, and the package has no weights of that name; "
        f"expected a folder, {_listed()}{_nearest(Path(model))}"
    )


def name_for(known: Known) -> str:
    """Return the name of the weights that are set for a noise."""
    return GENERAL if known.zero is None else MAGNITUDES


def card_of(name: str) -> Shipped | None:
    """Return what is known of the package's weights of a name; None: there are none, or a file has it."""
    found = next((one for one in shipped() if one.name == name), None)
    return None if found is None or Path(name).exists() else found


def _listed() -> str:
    return " or ".join(NAMES)


def _nearest(missing: Path) -> str:
    """Return "; did you mean ...?" where a name, or a folder beside it, is nearly the same."""
    try:
        beside = [path.name for path in missing.parent.iterdir() if path.is_dir()]
    except OSError:
        beside = []
    known = [*NAMES, *beside] if missing.name == str(missing) else beside
    near = difflib.get_close_matches(missing.name, known, n=1)
    return f"; did you mean {missing.parent / near[0]}?" if near else ""

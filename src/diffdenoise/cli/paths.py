"""Check the paths on a command line before anything is read."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from diffdenoise.errors import InputError
from diffdenoise.scan.folder import check_name


def require(paths: Iterable[Path | None]) -> None:
    """Raise an error for the first path that doesn't exist, with a name that is nearly the same.

    Parameters
    ----------
    paths : iterable of path or None
        Files or folders; None (an option that wasn't given) is passed over. A pattern such as
        ``scans/*.nii.gz`` is left to whoever expands it.

    Raises
    ------
    InputError
        If a path doesn't exist.
    """
    for path in paths:
        if path is None:
            continue
        check_name(path, InputError)
        if path.exists() or glob.has_magic(str(path)):
            continue
        raise InputError(f"{path}: no such file or folder{_suggestion(path)}")


def model_or_weights(model: str) -> Path | str:
    """Return the model folder that is named, or the name if it is one of the package's weights.

    Raises
    ------
    ModelError
        If it names neither, or both.
    """
    check_name(Path(model), InputError)
    # Imported here: the card of the weights needn't be read for --help.
    from diffdenoise.model.named import find_model

    return find_model(model)


def _suggestion(missing: Path) -> str:
    """Return "; did you mean ...?" where the folder holds a name like it."""
    folder = missing.parent
    if not folder.is_dir():
        return f"; the folder {folder} does not exist either"
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(missing.name, names, n=1)
    return f"; did you mean {folder / near[0]}?" if near else "; check the name"


def ends_as_folder(words: Sequence[str], output: Path) -> bool:
    """Whether the output was named with a slash behind it, of which a path keeps nothing."""
    return any(word.endswith("/") and Path(word.partition("=")[2] or word) == output for word in words)

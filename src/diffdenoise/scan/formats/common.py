"""What formats that need a package of their own, or hold named arrays, have in common."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

from diffdenoise.errors import FormatError

#: Shorter sides are no image's: tables, times, vectors.
LEAST_SIDE = 8
_MOST_NAMED, _LONGEST_NAME = 5, 40


def import_extra(package: str, path: Path, title: str, extra: str) -> Any:
    """Return the package that a file needs, or raise `FormatError` saying which extra installs it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise FormatError(
            f"{path}: {title} needs a package that is not installed: pip install 'diffdenoise[{extra}]'"
        ) from error


def not_one_image(path: Path, names: Collection[str], what: str = "arrays that may be images") -> FormatError:
    """Return the error for a file that holds none or several, with the first names, cleaned and cut."""
    shown = [
        "".join(sign if sign.isprintable() else "?" for sign in name)[:_LONGEST_NAME]
        for name in sorted(names)[:_MOST_NAMED]
    ]
    more = ["..."] if len(names) > _MOST_NAMED else []
    listed = f" ({', '.join(shown + more)})" if shown else ""
    return FormatError(
        f"{path}: holds {len(names)} {what}{listed}; expected one; save the one to denoise by itself"
    )

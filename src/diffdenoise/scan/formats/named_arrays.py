"""Files that hold arrays by name: which one is the image, and how it is put back beside the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from diffdenoise.errors import FormatError, OutputError
from diffdenoise.scan.child import run_in_child
from diffdenoise.scan.format import Outgoing
from diffdenoise.scan.limits import most_unpacked

#: Shorter sides are no image's: tables, times, vectors.
_LEAST_SIDE = 8
_MOST_NAMED, _LONGEST_NAME = 5, 40
#: Bytes that a file takes beside its values, however few these are.
_OWN_BYTES = 2**20


@dataclass(frozen=True)
class Place:
    """Where an image is: its name, its shape there, and the file in which other arrays may lie beside it."""

    key: str
    shape: tuple[int, ...]
    file: Path = field(compare=False)


def rebuild(function: str, out: Outgoing, path: Path, order: Literal["C", "F"] = "C") -> None:
    """Write a file anew with other values in the place of its image, as another process puts it together.

    Parameters
    ----------
    function : str
        For `run_in_child`; returns the new file's bytes. Its facts are `path` (of the source, "" if there is
        none), `key`, `shape` and `dtype`.
    out : Outgoing
        Its source is a `Place`.
    path : path
        Where to write.
    order : {"C", "F"}
        In which values are handed over.

    Raises
    ------
    OutputError
        If the source is gone.
    """
    source = out.source(Place)
    if source is not None and not source.file.is_file():
        raise OutputError(f"{path}: {source.file} is gone; what lies beside the image comes from it")
    data = out.values
    facts = {
        "path": "" if source is None else str(source.file),
        "key": "image" if source is None else source.key,
        "shape": data.shape if source is None else source.shape,
        "dtype": data.dtype.str,
    }
    # What lies beside the image may be larger than it.
    most = _OWN_BYTES + 2 * data.nbytes + (0 if source is None else most_unpacked(source.file.stat().st_size))
    _, made = run_in_child(function, facts, data.tobytes(order), name=str(path), stated=most, held=most)
    if made is None:
        raise OutputError(f"{path}: was not made; write another format")
    path.write_bytes(made.tobytes())


def import_extra(package: str, path: Path, title: str, extra: str) -> Any:
    """Return the package that a file needs, or raise `FormatError` saying which extra installs it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise FormatError(
            f"{path}: {title} needs a package that is not installed: pip install 'diffdenoise[{extra}]'"
        ) from error


def has_sides(shape: Sequence[int]) -> bool:
    """Whether two sides of an array are long enough for an image."""
    return len(shape) >= 2 and sorted(shape)[-2] >= _LEAST_SIDE


def printable_name(name: str) -> str:
    """Return an array's name for a message: on one line, and not too long."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)[:_LONGEST_NAME]


def not_one_image(path: Path, names: Collection[str], what: str = "arrays that may be images") -> FormatError:
    """Return the error for a file that holds none or several, with the first names, cleaned and cut."""
    shown = [printable_name(name) for name in sorted(names)[:_MOST_NAMED]]
    more = ["..."] if len(names) > _MOST_NAMED else []
    listed = f" ({', '.join(shown + more)})" if shown else ""
    return FormatError(
        f"{path}: holds {len(names)} {what}{listed}; expected one; save the one to denoise by itself"
    )

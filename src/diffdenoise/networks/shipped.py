"""The weights that come with the package: what they are, and that they are whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from diffdenoise.errors import ModelError

#: What stands beside the weights, made by `pretraining/card.py`.
_CARD = "card.json"


@dataclass(frozen=True)
class Shipped:
    """A file of weights.

    Attributes
    ----------
    name : str
        What users call it; the networks that training begins with have none of their own to run.
    file : str
        Its name in the package.
    sha256 : str
        Of its content.
    use, data, noise, limits : str
        In words: what it is for, learned from, knows, and does not.
    steps : int
        Of its training.
    """

    name: str
    file: str
    sha256: str
    use: str
    data: str
    noise: str
    limits: str
    steps: int

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, and its size in bytes."""
        size = len((files("diffdenoise") / "weights" / self.file).read_bytes())
        return {**self.__dict__, "bytes": size}


@cache
def shipped() -> tuple[Shipped, ...]:
    """Return what is known of all files of weights."""
    text = (files("diffdenoise") / "weights" / _CARD).read_text(encoding="utf-8")
    return tuple(Shipped(**entry) for entry in json.loads(text))


def read_shipped(file: str) -> bytes:
    """Return the content of a file of weights.

    Raises
    ------
    ModelError
        If it is not what its checksum says.
    """
    content = (files("diffdenoise") / "weights" / file).read_bytes()
    (card,) = (one for one in shipped() if one.file == file)
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ModelError(f"{file}: the package's weights are damaged; install diffdenoise again")
    return content

"""Import deepinv without torchvision, of which its losses use nothing.

torchvision's builds are tied to one build of torch each, so it is often not at hand for a CPU-only
torch: `pip install --no-deps deepinv einops natsort h5py requests` is enough for the losses.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

_PARTS = (
    "",
    ".utils",
    ".transforms",
    ".transforms.functional",
    ".datasets",
    ".datasets.folder",
    ".datasets.utils",
)


class _Empty(ModuleType):
    """A module that has every name, as a mock."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


def deepinv() -> Any:
    """Return the package."""
    # What looks for torchvision at its own import must have looked before the stand-in is there.
    with suppress(ImportError):
        import_module("torchmetrics")

    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        for part in _PARTS:
            name = f"torchvision{part}"
            module = _Empty(name)
            module.__spec__ = ModuleSpec(name, None, is_package=True)
            module.__path__ = []
            sys.modules[name] = module
    import deepinv

    return deepinv

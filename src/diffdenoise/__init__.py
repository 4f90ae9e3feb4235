"""Self-supervised denoising of medical images: trained on your noisy scans alone.

>>> import diffdenoise as dd
>>> denoised = dd.denoise(noisy_array)  # doctest: +SKIP
>>> model = dd.train(["scans/*.nii.gz"], "model")  # doctest: +SKIP
>>> model.denoise("scan.nii.gz").save("denoised.nii.gz")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diffdenoise._version import __version__

if TYPE_CHECKING:
    from diffdenoise.api import Model, denoise, evaluate, info, load, simulate, train
    from diffdenoise.config import Settings
    from diffdenoise.errors import DiffDenoiseError
    from diffdenoise.scan.convert_files import convert
    from diffdenoise.scan.scan import Scan
    from diffdenoise.work.result import Result

__all__ = [
    "DiffDenoiseError",
    "Model",
    "Result",
    "Scan",
    "Settings",
    "__version__",
    "convert",
    "denoise",
    "evaluate",
    "info",
    "load",
    "simulate",
    "train",
]

#: Where each public name lives; imported when first used, because torch takes seconds.
_HOMES = {
    "denoise": "diffdenoise.api",
    "evaluate": "diffdenoise.api",
    "load": "diffdenoise.api",
    "simulate": "diffdenoise.api",
    "train": "diffdenoise.api",
    "convert": "diffdenoise.scan.convert_files",
    "info": "diffdenoise.api",
    "DiffDenoiseError": "diffdenoise.errors",
    "Model": "diffdenoise.api",
    "Result": "diffdenoise.work.result",
    "Scan": "diffdenoise.scan.scan",
    "Settings": "diffdenoise.config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'diffdenoise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

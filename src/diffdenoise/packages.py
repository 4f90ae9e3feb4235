"""Packages that only some uses need: a clear word where one is not installed, before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from diffdenoise.errors import PackageError


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not loaded."""
    return find_spec(package) is not None


def check_torch() -> None:
    """Raise `PackageError` unless there is what training needs."""
    _check("torch", "training on scans", "train")


def check_matplotlib() -> None:
    """Raise `PackageError` unless there is what pictures need."""
    _check("matplotlib", "a picture", "pictures")


def check_serve() -> None:
    """Raise `PackageError` unless there is what a server needs."""
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        _check(package, "the server", "serve")


def _check(package: str, use: str, extra: str) -> None:
    if not is_installed(package):
        raise PackageError(
            f"{use} needs {package}, which is not installed: python -m pip install 'diffdenoise[{extra}]'"
        )

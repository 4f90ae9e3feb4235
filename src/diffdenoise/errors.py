"""Every error that a user can cause, as one tree.

::

    DiffDenoiseError
    ├── InputError          the scan given cannot be used
    │   ├── FormatError     not a format that is read here, or damaged
    │   ├── ShapeError      dimensions or sizes that do not fit
    │   └── IntensityError  values that cannot be denoised (NaN, no contrast, colour)
    ├── OutputError         the result cannot be written where it was asked for
    │   └── DiskFullError   there is no room for it
    ├── SettingsError       a setting is unknown or out of range
    ├── DeviceError         the compute device asked for is not there
    ├── ModelError          a model folder is missing, unfinished or does not fit
    └── DivergedError       training produced a loss that is not a number

A message is one line: what was found, what was expected, what to do. It names files as the user
named them and never holds header contents (they may identify a patient). An option in it is named by
`option`, as the caller would write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class _Caller:
    """Who reads the messages of this process: Python calls, unless a command runs."""

    is_command = False


@contextmanager
def told_to_a_command_line() -> Iterator[None]:
    """Name options in messages as flags, meanwhile."""
    before, _Caller.is_command = _Caller.is_command, True
    try:
        yield
    finally:
        _Caller.is_command = before


def option(name: str, value: str | None = None, *, command: str = "", python: str | None = None) -> str:
    """Return an option as whoever reads the message would write it.

    Parameters
    ----------
    name : str
        Of the flag, without its dashes.
    value : str, optional
        To give it; None: it takes none, or one of the caller's.
    command : str
        What comes before the flag.
    python : str, optional
        What a Python caller would do; None: give the argument of that name, or True.

    Returns
    -------
    str
        "--overwrite" or "--device cpu" on a command line; "overwrite=True" or "device='cpu'" in Python.
    """
    if _Caller.is_command:
        return " ".join(word for word in (command, f"--{name}", value) if word)
    if python is not None:
        return python
    return f"{name.replace('-', '_')}={True if value is None else value!r}"


class DiffDenoiseError(Exception):
    """Base of all errors that this package raises on purpose."""


class InputError(DiffDenoiseError):
    """The scan given cannot be used."""


class FormatError(InputError):
    """Not a file format that is read here, or a damaged file."""


class ShapeError(InputError):
    """Dimensions or sizes that do not fit."""


class IntensityError(InputError):
    """Values that cannot be denoised: NaN or infinity, no contrast, colour."""


class OutputError(DiffDenoiseError):
    """The result cannot be written where it was asked for."""


class DiskFullError(OutputError):
    """There is no room for the result."""


class SettingsError(DiffDenoiseError):
    """A setting is unknown or out of range."""


class PackageError(DiffDenoiseError):
    """A package is not installed that what was asked for needs."""


class DeviceError(DiffDenoiseError):
    """The compute device asked for is not there."""


class ModelError(DiffDenoiseError):
    """A model folder is missing, unfinished or does not fit the scan."""


class DivergedError(DiffDenoiseError):
    """Training produced a loss that is not a number."""

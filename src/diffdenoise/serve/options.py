"""What a server is told: by a file, and by options that win over it."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from diffdenoise.errors import SettingsError, option
from diffdenoise.plain_files import NotPlainError, parse_yaml, read_plain
from diffdenoise.work.wish import MOST_MINUTES

_MOST_BYTES = 2**20
#: Characters of a token: 16 of them, drawn at random, cannot be guessed.
_LEAST_TOKEN, _MOST_TOKEN = 16, 512
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Options:
    """How to serve; each field is a key of `serve.yaml`.

    Attributes
    ----------
    host : str
        Address to listen at.
    port : int
        TCP port; 0: any that is free.
    data : path or None
        Folder of queue, uploads and results; None: the user's data folder.
    workers : int
        Processes that denoise.
    threads : int or None
        CPU threads of each; None: the cores, shared.
    token_file : path or None
        File that holds what callers must know.
    names : tuple of str
        Host names that the server may be called by, beside its address.
    upload_mb : float
        Megabytes that one job may send.
    least_free_mb : float
        Megabytes that stay free on the disk.
    keep_days : float
        Days after which jobs that ended are deleted.
    most_minutes : float
        Minutes that a job may learn for.
    """

    host: str = "127.0.0.1"
    port: int = 8600
    data: Path | None = None
    workers: int = 1
    threads: int | None = None
    token_file: Path | None = None
    names: tuple[str, ...] = ()
    upload_mb: float = 4096.0
    least_free_mb: float = 512.0
    keep_days: float = 30.0
    most_minutes: float = MOST_MINUTES

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach it."""
        return is_local(self.host)

    @property
    def folder(self) -> Path:
        """The data folder."""
        if self.data is not None:
            return self.data
        given = os.environ.get("DIFFDENOISE_DATA_DIR")
        return Path(given) if given else _users_folder()

    def token(self) -> str | None:
        """Return what callers must know; None: they need know nothing.

        Raises
        ------
        SettingsError
            If others could reach it without, or the file holds no token.
        """
        if self.token_file is None:
            if not self.is_local:
                raise SettingsError(
                    f"host {self.host}: others can reach this address; name a file with a token "
                    f"({option('token-file', 'FILE')}), or leave the address out"
                )
            return None
        try:
            text = read_plain(self.token_file, _MOST_BYTES, follow=True).decode().strip()
        except (OSError, NotPlainError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.token_file}: cannot be read; expected a file with a token") from error
        if not (_LEAST_TOKEN <= len(text) <= _MOST_TOKEN and text.isascii() and text.isprintable()):
            raise SettingsError(
                f"{self.token_file}: expected one line of {_LEAST_TOKEN} to {_MOST_TOKEN} ASCII characters; "
                "make it by: openssl rand -hex 32"
            )
        return text

    def check(self) -> None:
        """Raise `SettingsError` for a value out of range."""
        least = {"workers": 1, "threads": 1, "port": 0, "upload_mb": 0, "least_free_mb": 0}
        for name, value in {**least, "keep_days": 0, "most_minutes": 0}.items():
            found = getattr(self, name)
            if found is not None and not value <= found < float("inf"):
                raise SettingsError(f"{name} {found}: expected {value} or more")
        if self.port > 65535:
            raise SettingsError(f"port {self.port}: expected 0 to 65535")


def is_local(host: str) -> bool:
    """Whether an address is this computer's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL


def read_options(file: Path | None, **given: Any) -> Options:
    """Return options of a file and of a command line, which wins; None: not given.

    Raises
    ------
    SettingsError
        If the file can't be read, or holds something else.
    """
    told = {} if file is None else _read(file)
    told |= {name: value for name, value in given.items() if value is not None}
    options = replace(Options(), **told)
    options.check()
    return options


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = parse_yaml(read_plain(file, _MOST_BYTES, follow=True))
    except (OSError, NotPlainError, ValueError) as error:
        raise SettingsError(
            f"{file}: cannot be read ({error}); expected YAML of a server's options"
        ) from error
    known = [field.name for field in fields(Options)]
    if not isinstance(tree, dict):
        raise SettingsError(f"{file}: expected lines such as 'port: 8600'")
    found = {}
    for name, value in tree.items():
        if name not in known:
            raise SettingsError(f"{file}: {name!r} is not known; expected some of {', '.join(known)}")
        found[name] = _typed(file, str(name), value)
    return found


def _typed(file: Path, name: str, value: Any) -> Any:
    """Return a value of the file as the option's type."""
    if name in ("data", "token_file", "host") and isinstance(value, str) and value:
        # Beside the file, wherever the server is started.
        return value if name == "host" else file.parent / Path(value).expanduser()
    if name == "names" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    kind = (int,) if name in ("port", "workers", "threads") else (int, float)
    if name not in ("data", "token_file", "host", "names") and type(value) in kind:
        return value
    raise SettingsError(f"{file}: {name}: found {value!r}, expected another kind of value")


def _users_folder() -> Path:
    """The user's own place for data, by the custom of the system."""
    home = Path.home()
    if sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "diffdenoise"

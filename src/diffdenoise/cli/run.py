"""How every command ends: exit code, and one line about what went wrong.

==== =======================================================================
code meaning
==== =======================================================================
0    done
1    a fault in this program
2    the user can put it right: wrong usage, or any `DiffDenoiseError`
130  stopped by Ctrl-C
==== =======================================================================
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from diffdenoise.cli.show import printable
from diffdenoise.errors import DiffDenoiseError, told_to_a_command_line

DONE, FAULT, USER_ERROR, INTERRUPTED = 0, 1, 2, 130

# What typer raises for a wrong command line. Newer versions carry their own copy of click, older
# ones use the click package, so the class is taken from the exception that both export.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

#: Shells for which typer has a completion script.
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


class Interrupted(Exception):  # noqa: N818 (not an error: the user asked for it)
    """Ctrl-C, with what the user may want to know then."""


class Commands(TyperGroup):
    """The group of all commands; turns every exception into one line and an exit code."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command; Ctrl-C becomes an exception that typer doesn't handle its own way."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("stopped") from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command in `args` and exit (or, not standing alone, return)."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        words = list(sys.argv[1:] if args is None else args)
        # Read from the raw words: they count even where the command line itself is wrong.
        as_json, debug = "--json" in words, "--debug" in words
        try:
            if any("\0" in word for word in words):
                raise typer.BadParameter("a word of the command holds a null byte; leave it out")
            complete_var = _completion_for(words) or complete_var
            with told_to_a_command_line(), _without_warnings(shown=debug):
                code = super().main(
                    words, prog_name, complete_var, False, windows_expand_args, obj=words, **extra
                )
        except Exception as error:
            if debug:
                traceback.print_exc()
            code, kind, message = _explain(error)
            report_error(message, kind, as_json)
        sys.exit(code if isinstance(code, int) else DONE)


@contextmanager
def _without_warnings(shown: bool) -> Iterator[None]:
    """Keep Python warnings of the libraries, each a line of somebody's source code, off the terminal.

    Filters are left alone, so that a warning made an error (``python -W error``) is one.
    """

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        if shown:
            sys.stderr.write(warnings.formatwarning(message, category, filename, lineno))

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _completion_for(words: Sequence[str]) -> str | None:
    """Have the completion script of the shell that is named printed: typer only takes the current shell.

    Returns
    -------
    str or None
        The environment variable that asks for it; None if no shell is named.
    """
    if len(words) < 2 or words[0] not in ("--show-completion", "--install-completion"):
        return None
    option, shell = words[:2]
    if option == "--install-completion" or len(words) > 2 or shell not in SHELLS:
        shells = f"one of {', '.join(SHELLS)}, or none" if option == "--show-completion" else "none"
        raise typer.BadParameter(f"{option} {shell}: expected {shells} (for the current shell)")
    name = "_DIFFDENOISE_COMPLETE"
    os.environ[name] = f"source_{shell}"
    return name


def _explain(error: Exception) -> tuple[int, str, str]:
    """Return the exit code, the error's kind and one line of text."""
    kind = type(error).__name__
    if isinstance(error, DiffDenoiseError):
        return USER_ERROR, kind, str(error)
    if isinstance(error, Interrupted):
        return INTERRUPTED, kind, str(error)
    if isinstance(error, _UsageError):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "diffdenoise"
        text = str(getattr(error, "format_message", error.__str__)()).rstrip(". ")
        return USER_ERROR, "UsageError", f"{text}; see {command} --help"
    # A library's words may quote a patient's data: they are for --debug.
    text = f"internal error: {kind}; run again with --debug and report it"
    return FAULT, "InternalError", text


def report_error(message: str, kind: str = "", as_json: bool = False) -> None:
    """Print one line: to stderr, or as JSON to stdout.

    Parameters
    ----------
    message : str
        An error's.
    kind : str
        Its name; in JSON only.
    as_json : bool
        Whether to print JSON.
    """
    # File names may hold line breaks or terminal codes; the message stays one harmless line.
    line = printable(" ".join(message.split()))
    if as_json:
        typer.echo(json.dumps({"error": line, "kind": kind}))
    else:
        typer.echo(f"diffdenoise: {line}", err=True)

"""`diffdenoise clean`: delete what runs that were killed left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.run import USER_ERROR, report_error
from diffdenoise.cli.show import print_json, printable
from diffdenoise.errors import InputError
from diffdenoise.work.leftovers import Leftover, find_leftovers


def clean(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to look, at all levels.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Delete what killed runs left: half-written files, locks, and the state of stopped trainings.

    A stopped training can't be gone on with afterwards. What belongs to a run that goes on, or to another
    computer, stays.
    """
    require([folder])
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; expected one to look for leftovers in")
    found: list[dict[str, Any]] = []
    failed: list[str] = []
    for one in find_leftovers(folder):
        row = {"path": str(one.path), "kind": one.kind, "bytes": one.bytes, "kept": one.kept}
        if one.kept is None and not dry_run and (problem := _delete(one)):
            row["kept"] = problem
            failed.append(f"{one.path}: {problem}")
        found.append(row)
        if not (quiet or as_json):
            typer.echo(_line(one, row["kept"], dry_run))
    if as_json:
        print_json({"folder": str(folder), "dry_run": dry_run, "found": found})
    elif not quiet and not found:
        typer.echo("nothing was left behind")
    if failed:
        for line in [] if as_json else failed:
            report_error(line)
        raise typer.Exit(USER_ERROR)


def _delete(one: Leftover) -> str | None:
    """Delete something; return why that can't be done."""
    try:
        one.delete()
    except OSError as error:
        return f"cannot be deleted ({error.strerror})"
    return None


def _line(one: Leftover, kept: Any, dry_run: bool) -> str:
    verb = "kept" if kept is not None else "would delete" if dry_run else "deleted"
    why = f" ({kept})" if kept is not None else ""
    return printable(f"{verb} {one.kind} {one.path}{why}")

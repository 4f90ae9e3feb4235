"""What commands print on standard output: rows for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def print_json(result: Mapping[str, Any]) -> None:
    """Print one JSON object; numbers that JSON doesn't have must have become None before."""
    typer.echo(json.dumps(result, indent=2, allow_nan=False, default=str))


def print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print "name  value" lines, names in one column; lines are never wrapped or cut."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {printable(value)}")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn by rich on a terminal, tab-separated lines otherwise."""
    if not sys.stdout.isatty():
        for row in [head, *rows]:
            typer.echo("\t".join(printable(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, name in enumerate(head):
        table.add_column(name, justify="left" if column == 0 else "right", overflow="fold")
    for row in rows:
        # Text, because a str would have brackets in file names read as markup.
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)


def printable(text: str) -> str:
    """Return text without control signs that a file name may hold."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with a few significant digits; "-" for None."""
    return "-" if value is None else f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Return a time as 8.2 s, 3 min 05 s or 2 h 04 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"

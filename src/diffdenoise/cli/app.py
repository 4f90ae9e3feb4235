"""The command `diffdenoise`: its commands in one list."""

from __future__ import annotations

from typing import Annotated

import typer

from diffdenoise._version import __version__
from diffdenoise.cli.clean import clean
from diffdenoise.cli.convert import convert
from diffdenoise.cli.denoise import denoise
from diffdenoise.cli.evaluate import evaluate
from diffdenoise.cli.export import export
from diffdenoise.cli.info import info
from diffdenoise.cli.models import models
from diffdenoise.cli.report import report
from diffdenoise.cli.run import Commands
from diffdenoise.cli.serve import serve
from diffdenoise.cli.simulate import simulate
from diffdenoise.cli.train import train

app = typer.Typer(
    name="diffdenoise",
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"diffdenoise {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Denoise medical images with a model trained on your noisy scans alone."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (denoise, train, info, models, export, convert, simulate, evaluate, report, serve, clean):
    app.command()(command)


def main() -> None:
    """Run the command line of this process and exit."""
    app(prog_name="diffdenoise")

"""`diffdenoise serve`: a page and an API for people and programs that have no command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.packages import check_serve


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="YAML file of these options and more.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen at (default 127.0.0.1: this computer only).")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port (default 8600; 0: any that is free).")] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of queue and scans (or DIFFDENOISE_DATA_DIR)."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that denoise (default 1).")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of each (default: shared cores).")] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the token that callers must know.")
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Serve a page and a REST API on this computer; with a token, to others too."""
    check_serve()
    require([config, token_file])
    # Imported here: without the extra it can't be, and no other command needs it.
    from diffdenoise.serve.options import read_options
    from diffdenoise.serve.run import serve as run

    found = read_options(
        config, host=host, port=port, data=data, workers=workers, threads=threads, token_file=token_file
    )
    run(found, lambda address: typer.echo(f"serving at {address}  (data in {found.folder}; Ctrl-C ends it)"))

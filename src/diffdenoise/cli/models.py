"""`diffdenoise models`: the weights that come with the package."""

from __future__ import annotations

from typing import Any

import typer

from diffdenoise.cli import options
from diffdenoise.cli.show import print_json, print_rows
from diffdenoise.networks.shipped import read_shipped, shipped


def models(as_json: options.Json = False, debug: options.Debug = False) -> None:
    """List the weights that come with the package: what they are for, learned from, and do not know.

    Those that fit a scan's noise are used without being named; `--model general` takes the ones of that name.
    A model of your own is a folder that `train` makes; `diffdenoise info` tells of it.
    """
    for one in shipped():
        read_shipped(one.file)
    found = [one.as_dict() for one in shipped()]
    if as_json:
        print_json({"models": found})
        return
    for number, entry in enumerate(found):
        if number:
            typer.echo()
        print_weights(entry)


def print_weights(entry: dict[str, Any]) -> None:
    """Print what is known of a file of weights, a property a line."""
    size = f"{entry['bytes'] / 1e6:.1f} MB, {entry['steps']} steps, SHA-256 {entry['sha256']}"
    rows = [(key, str(entry[key])) for key in ("name", "use", "data", "noise", "limits")]
    print_rows([*rows, ("file", f"{entry['file']}: {size}")])

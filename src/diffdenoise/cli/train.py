"""`diffdenoise train`: train a model on noisy scans, to be used on others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.progress import watch
from diffdenoise.cli.run import Interrupted
from diffdenoise.cli.show import duration, print_json, print_rows
from diffdenoise.cli.training import Wishes, resume_command
from diffdenoise.packages import check_torch
from diffdenoise.scan.find import read_scans
from diffdenoise.scan.folder import check_outside_stores

if TYPE_CHECKING:
    from diffdenoise.config import Settings
    from diffdenoise.scan.scan import Scan


def train(
    context: typer.Context,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Noisy scans: files, patterns and folders.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL_DIR", help="Model folder to make.")
    ],
    minutes: options.TrainMinutes = None,
    recipe: options.Recipe = None,
    iterations: options.Iterations = None,
    seed: options.Seed = None,
    noise_std: options.NoiseStd = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    resume: options.Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and all settings, and train nothing.")
    ] = False,
    axis: options.Axis = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a model on noisy scans alone; all inputs together are one data set."""
    began = time.monotonic()
    require(inputs)
    check_outside_stores(output)
    wishes = Wishes(minutes, iterations, seed, noise_std, config, assignments, recipe=recipe)
    settings, scans = wishes.settings(axis).for_training(), read_scans(inputs)
    if dry_run:
        _print_plan(scans, settings, as_json)
        return
    with watch(quiet, as_json) as progress, _told_how_to_go_on(output, context.obj):
        check_torch()
        from diffdenoise.method import train as method

        method.train(
            scans,
            settings,
            output,
            resume=resume,
            device=device.value,
            threads=threads,
            progress=progress,
            spent_s=time.monotonic() - began,
        )
    seconds = time.monotonic() - began
    if as_json:
        print_json({"model": str(output), "scans": [scan.name for scan in scans], "seconds": seconds})
    elif not quiet:
        _print_done(output, len(scans), seconds)


def _print_done(output: Path, scans: int, seconds: float) -> None:
    """Print what was made, and how to use it."""
    print_rows(
        [
            ("model", str(output)),
            ("trained on", f"{scans} scan{'s' if scans != 1 else ''}"),
            ("took", duration(seconds)),
            ("use it", f"diffdenoise denoise SCAN -o OUTPUT --model {output}"),
        ]
    )


def _print_plan(scans: Sequence[Scan], settings: Settings, as_json: bool) -> None:
    """Print what a training would do, and with which settings."""
    from diffdenoise.plan import make_plan

    plan = make_plan(scans, settings).as_dict()
    resolved = {"settings": plan.pop("settings"), "plan": plan}
    if as_json:
        print_json(resolved)
        return
    import yaml

    typer.echo(yaml.safe_dump(resolved, sort_keys=False), nl=False)


@contextmanager
def _told_how_to_go_on(output: Path, words: Sequence[str]) -> Iterator[None]:
    """Say, of a training that Ctrl-C stops, how it is gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        # A training ends with a model or is stopped: whatever lies in the folder is the work so far.
        if (output / "work" / "state.json").is_file() or (output / "record.json").is_file():
            raise Interrupted(f"stopped; go on with: {resume_command(words)}") from None
        raise Interrupted("stopped before anything was trained; nothing was written") from None

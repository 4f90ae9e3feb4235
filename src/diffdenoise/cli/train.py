"""`diffdenoise train`: train a model on noisy scans, to be used on others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.progress import watch
from diffdenoise.cli.run import Interrupted
from diffdenoise.cli.show import duration, print_json, print_rows
from diffdenoise.cli.training import Wishes, resume_command
from diffdenoise.scan.find import read_scans
from diffdenoise.scan.folder import check_outside_stores


def train(
    context: typer.Context,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Noisy scans: files, patterns and folders.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL_DIR", help="Model folder to make.")
    ],
    minutes: options.Minutes = None,
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
    settings = Wishes(minutes, iterations, seed, noise_std, config, assignments).settings(axis)
    scans = read_scans(inputs)
    if dry_run:
        from diffdenoise.plan import make_plan

        plan = make_plan(scans, settings).as_dict()
        resolved = {"settings": plan.pop("settings"), "plan": plan}
        if as_json:
            print_json(resolved)
        else:
            import yaml

            typer.echo(yaml.safe_dump(resolved, sort_keys=False), nl=False)
        return
    # Imported here: torch takes seconds to load, and most mistakes show before it is needed.
    from diffdenoise.method import train as method

    try:
        with watch(quiet, as_json) as progress:
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
    except KeyboardInterrupt:
        # train() returns a model or stops: whatever lies in the folder is the work so far.
        if (output / "work" / "state.json").is_file() or (output / "record.json").is_file():
            raise Interrupted(f"stopped; go on with: {resume_command(context.obj)}") from None
        raise Interrupted("stopped before anything was trained; nothing was written") from None
    seconds = time.monotonic() - began
    if as_json:
        print_json({"model": str(output), "scans": [scan.name for scan in scans], "seconds": seconds})
    elif not quiet:
        print_rows(
            [
                ("model", str(output)),
                ("trained on", f"{len(scans)} scan{'s' if len(scans) != 1 else ''}"),
                ("took", duration(seconds)),
                ("use it", f"diffdenoise denoise SCAN -o OUTPUT --model {output}"),
            ]
        )

"""`diffdenoise simulate`: add noise of a known kind and level to a clean scan."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.show import number, print_json, print_rows
from diffdenoise.errors import FormatError
from diffdenoise.noise.simulate import Kind, parse_std
from diffdenoise.noise.simulate import simulate as add_noise
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.write import check_output, write_scan


class Noise(StrEnum):
    """Kinds of noise."""

    gaussian = "gaussian"
    rician = "rician"
    poisson = "poisson"


def simulate(
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", help="Scan to add noise to.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="NOISY", help="File to write.")],
    noise: Annotated[Noise, typer.Option(help="Kind of noise.")],
    std: Annotated[
        str,
        typer.Option(
            metavar="F|P%",
            help="Noise standard deviation: in the scan's units, or as a share of its intensity range"
            " (99.5th minus 0.5th percentile), such as 10%. Of poisson noise: at the foreground's mean.",
        ),
    ],
    correlation: Annotated[
        float,
        typer.Option(
            min=0, metavar="PX", help="Std in pixels of the kernel that correlates the noise; 0: white."
        ),
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same noise.")] = 0,
    axis: options.Axis = None,
    keep_type: Annotated[
        bool,
        typer.Option("--keep-type", help="Round and clip to the scan's own type instead of writing float32."),
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Add noise of a known kind and level to a clean scan."""
    require([clean])
    scan = read_scan(clean, str(clean))
    if scan.format == "dicom":
        raise FormatError(f"{clean}: noise is not added to DICOM; convert it first: diffdenoise convert")
    check_output(output, scan.format, overwrite, [clean])
    check_scan(scan)
    noise_std = parse_std(std, scan.data)
    kind: Kind = noise.value
    noisy = add_noise(scan, kind, noise_std, correlation, seed, axis=axis, keep_dtype=keep_type)
    write_scan(noisy, output, overwrite=overwrite)
    # Where the scan can't be negative or above its type's maximum, less noise is left than was asked for.
    added = float(np.std(noisy.data.astype(np.float64) - scan.data.astype(np.float64)))
    record = {
        "input": str(clean),
        "output": str(output),
        "noise": kind,
        "noise_std": noise_std,
        "noise_percent_of_range": 100 * noise_std / IntensityMap.fit(scan.data).range,
        "added_std": added,
        "correlation_px": correlation,
        "seed": seed,
        "dtype": str(noisy.stored_dtype),
    }
    if as_json:
        print_json(record)
    elif not quiet:
        _print(record)


def _print(record: dict[str, Any]) -> None:
    """Print what was added, a property a line."""
    correlated = f", correlated over {record['correlation_px']:g} px" if record["correlation_px"] else ""
    level = f"std {number(record['noise_std'])} ({record['noise_percent_of_range']:.3g} % of the range)"
    print_rows(
        [
            ("noisy", record["output"]),
            ("noise", f"{record['noise']}, {level}{correlated}"),
            ("added", f"std {number(record['added_std'])} over the whole image"),
            ("type", record["dtype"]),
        ]
    )

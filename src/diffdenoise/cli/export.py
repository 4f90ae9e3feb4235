"""`diffdenoise export`: a model for other programs, as one ONNX file or as a MONAI bundle."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import model_or_weights, require
from diffdenoise.cli.show import print_json, print_rows
from diffdenoise.config import Settings
from diffdenoise.errors import OutputError, SettingsError
from diffdenoise.scan.find import read_scans
from diffdenoise.scan.folder import check_outside_stores

if TYPE_CHECKING:
    from diffdenoise.model.trained import Model


class Kind(StrEnum):
    """What is written."""

    onnx = "onnx"
    monai = "monai"


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Model folder; or general or magnitude: the package's weights."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE.onnx|DIR", help="File to write; folder of a bundle."),
    ],
    kind: Annotated[
        Kind, typer.Option("--format", help="One ONNX file; or a MONAI bundle, a folder that runs it.")
    ] = Kind.onnx,
    scan: Annotated[
        Path | None,
        typer.Option(
            metavar="SCAN", help="With the package's weights: the scan whose noise they are set for."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write a model as an ONNX file that takes and gives a scan's own intensities, or as a MONAI bundle.

    Its inputs are "noisy" (n, channels, height, width), float32, each slice with those beside it (before,
    after, nearest first), and "low" and "high", the scan's 0.5th and 99.5th percentile; its output is
    "denoised" (n, 1, height, width). The noise is a constant: that of the scans that the model was trained
    on, or of SCAN.
    """
    if kind == Kind.onnx and output.suffix.lower() != ".onnx":
        raise OutputError(f"{output}: found suffix '{output.suffix}', expected .onnx")
    check_outside_stores(output)
    found = _found(model_or_weights(model), scan)
    (found.save_onnx if kind == Kind.onnx else found.save_bundle)(output, overwrite=overwrite)
    channels = 1 + 2 * found.details.neighbours
    if as_json:
        print_json({"output": str(output), "channels": channels, "orientations": found.details.orientations})
    elif not quiet:
        print_rows([("written", str(output)), ("channels", f"{channels}: a slice and those beside it")])


def _found(model: Path | str, scan: Path | None) -> Model:
    """A model folder's model, or the package's weights of a name, set for a scan's noise."""
    from diffdenoise.model.trained import Model

    if isinstance(model, Path) and scan is not None:
        raise SettingsError(
            "--scan: goes with the package's weights, which are set for a scan's noise; leave it out, or name"
            " them (general)"
        )
    if isinstance(model, Path):
        return Model.load(model, "cpu")
    if scan is None:
        raise SettingsError(f"--scan: {model} is set for a scan's noise; name one")
    require([scan])
    return _of_scan(scan, model)


def _of_scan(path: Path, weights: str) -> Model:
    """The package's weights, set for the noise of one scan."""
    from diffdenoise.model.instant import check_weights, instant_model
    from diffdenoise.plan import make_plan, noise_of

    scans = read_scans([path])
    if len(scans) != 1:
        raise SettingsError(f"--scan: {path} holds {len(scans)} scans; name one")
    noise = noise_of(scans[0], Settings())
    check_weights(weights, noise)
    plan = make_plan(scans, Settings(), [noise])
    if plan.is_clean:
        raise SettingsError(f"{path}: has too little noise to be denoised; name another scan")
    if plan.is_blind:
        raise SettingsError(f"{path}: how strong its noise is cannot be told; name another scan")
    return instant_model(plan, "cpu", weights=weights)

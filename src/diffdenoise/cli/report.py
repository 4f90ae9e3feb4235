"""`diffdenoise report`: what was lost or invented, told without a clean image, of anybody's result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.scans import read_checked, read_one
from diffdenoise.cli.show import duration, print_json, print_rows
from diffdenoise.page.group import write_group
from diffdenoise.work.asked import Asked, report_on


def report(
    noisy: Annotated[Path | None, typer.Argument(metavar="NOISY", help="Scan as it was acquired.")] = None,
    denoised: Annotated[
        Path | None, typer.Argument(metavar="DENOISED", help="The same scan denoised, by anybody.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.html", help="Page to write, and FILE.json beside it."),
    ] = None,
    model: options.UseModel = None,
    group: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Instead: one page on all reports whose JSON is in this folder."),
    ] = None,
    roi: Annotated[
        Path | None,
        typer.Option(metavar="MASK", help="Image that is nonzero in a region: its mean, and how sure it is."),
    ] = None,
    save_uncertainty: options.SaveUncertainty = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    axis: options.Axis = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Tell whether anatomy was removed or invented, without a clean image.

    Works on any denoiser's output. With --model, the model that made it (a folder, or "general"), lesions are
    planted and denoised again, and the error to expect is told.
    """
    if group is not None:
        if (noisy, denoised, model, roi, save_uncertainty) != (None,) * 5 or output is None:
            raise typer.BadParameter("--group takes a folder and -o FILE.html only")
        require([group])
        write_group(group, output, overwrite=overwrite)
        if not quiet:
            print_rows([("report", str(output))])
        return
    if noisy is None or denoised is None:
        raise typer.BadParameter("name the noisy scan, then the denoised one")
    if output is None and not as_json and save_uncertainty is None:
        raise typer.BadParameter("say where the page goes: -o FILE.html; or --json")
    require([noisy, denoised, roi])
    asked = Asked(output, save_uncertainty, model, device.value, threads, axis, seed, overwrite)
    asked.check([path for path in (noisy, denoised, roi) if path is not None])
    region = None if roi is None else read_one(roi)
    found = report_on(read_checked(noisy), read_checked(denoised), region, asked)
    if as_json:
        print_json({**found.as_dict(), "seconds": round(found.seconds, 2)})
    elif not quiet:
        _print(found.as_dict(), [("report", output), ("uncertainty", save_uncertainty)], found.seconds)


def _print(found: dict[str, Any], written: list[tuple[str, Path | None]], seconds: float) -> None:
    """Print the verdict, why, and where the rest is."""
    rows = [("verdict", found["verdict"])]
    rows += [("why", reason) for reason in found["reasons"]]
    missing = [each for each in found["sections"].values() if each["missing"]]
    rows += [("not judged", f"{each['title']}: {each['missing']}") for each in missing]
    rows += [(name, str(path)) for name, path in written if path is not None]
    print_rows([*rows, ("took", duration(seconds))])

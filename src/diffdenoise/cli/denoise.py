"""`diffdenoise denoise`: from a noisy scan to a denoised one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import ends_as_folder, model_or_weights, require
from diffdenoise.cli.progress import part_of, watch
from diffdenoise.cli.run import USER_ERROR, Interrupted, report_error
from diffdenoise.cli.show import duration, number, print_json, print_rows
from diffdenoise.cli.training import Wishes, resume_command
from diffdenoise.work.carry_out import Work
from diffdenoise.work.extras import Extras
from diffdenoise.work.order import Again, Dicom, Machine, Order
from diffdenoise.work.report import Report


def denoise(
    context: typer.Context,
    inputs: options.Inputs,
    output: options.Output,
    model: options.UseModel = None,
    force: options.Force = False,
    minutes: options.Minutes = None,
    recipe: options.Recipe = None,
    iterations: options.Iterations = None,
    pairs: options.Pairs = None,
    seed: options.Seed = None,
    noise_std: options.NoiseStd = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    save_model: options.SaveModel = None,
    resume: options.ResumeAll = False,
    retry_failed: options.RetryFailed = False,
    axis: options.Axis = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    series: options.SeriesUid = None,
    uid_root: options.UidRoot = None,
    private: options.PrivateOption = options.Private.keep,
    compress: options.CompressionOption = options.Compression.none,
    float32: options.Float = False,
    picture: options.Picture = None,
    mask: options.Mask = None,
    strength: options.Strength = 1.0,
    save_residual: options.SaveResidual = None,
    save_noise: options.SaveNoise = None,
    save_uncertainty: options.SaveUncertainty = None,
    report: options.TrustPage = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Denoise a scan: in seconds, after learning from it alone (--minutes), or with a model (--model)."""
    use = _checked(inputs, mask, model)
    training = Wishes(minutes, iterations, seed, noise_std, config, assignments, pairs, save_model, recipe)
    order = Order(
        tuple(inputs),
        output,
        training.of_denoising(axis) if not isinstance(use, Path) else training.none_with_a_model(axis),
        as_folder=ends_as_folder(context.obj, output),
        axis=axis,
        mask=mask,
        strength=strength,
        model=use,
        force=force,
        save_model=save_model,
        extras=Extras(picture, save_residual, save_noise, report, save_uncertainty, overwrite),
        float32=float32,
        again=Again(resume, retry_failed, overwrite),
        machine=Machine(device.value, threads),
        dicom=Dicom(series, uid_root, private.value, compress.value),
    )
    _carry_out(Work(order), context.obj, quiet=quiet, as_json=as_json)


def _checked(inputs: Sequence[Path], mask: Path | None, model: str | None) -> Path | str | None:
    """Check that what is named is there; return the model folder, or name of weights, that --model tells."""
    require([*inputs, mask])
    return None if model is None else model_or_weights(model)


def _carry_out(work: Work, words: Sequence[str], *, quiet: bool, as_json: bool) -> None:
    """Do it, say what came of it, and end with an exit code."""
    with work.hold():
        work.make_ready()
        try:
            with watch(quiet, as_json) as progress:
                report = work.run(progress, partial(part_of, progress))
        except KeyboardInterrupt:
            found = work.report.scans
            so_far = (
                f"{len(found)} of {len(work.jobs)} scans were written" if found else "nothing was written"
            )
            how_on = f"; go on with: {resume_command(words)}" if work.is_unfinished else ""
            raise Interrupted(f"stopped, {so_far}{how_on}") from None
    if as_json:
        _print_json(report, single=len(work.jobs) == 1)
    elif (report.scans or report.done_before) and not quiet:
        _print(report.as_dict(), report.scans)
    if report.failures:
        if not as_json:
            for each in report.failures:
                report_error(each.line)
        raise typer.Exit(USER_ERROR)


def _print_json(report: Report, *, single: bool) -> None:
    """Print one object; of a single scan, what is known of it at the top."""
    tree = report.as_dict()
    alone = report.scans[0] if single and report.scans else {}
    print_json(
        {**tree, **{key: value for key, value in alone.items() if key not in tree}, "scans": report.scans}
    )


def _print(report: dict[str, Any], found: Sequence[dict[str, Any]]) -> None:
    """Print where the result is, how long it took and what was removed."""
    if report["already_clean"]:
        typer.echo("already clean: there is too little noise to touch, so the values were left as they are")
        typer.echo("(to denoise all the same: --set clean_below_contrast=0)")
    done = "written" if all(scan["left_as_it_is"] for scan in found) else "denoised"
    rows = [(done if found else "output", report["output"])]
    if len(found) != 1:
        rows.append(("scans", str(len(found))))
    if "done_before" in report:
        rows.append(("done before", str(report["done_before"])))
    if report["model"] is not None:
        rows.append(("model", report["model"]))
    rows += [
        (name.replace("_", " "), report[name])
        for name in ("picture", "residual", "noise_map", "uncertainty", "report")
        if name in report
    ]
    rows.append(("took", duration(report["seconds"])))
    rows += [("passed over", f"{count} {reason}") for reason, count in report.get("passed_over", {}).items()]
    for scan in found:
        which = f"  {scan['input']}" if len(found) > 1 else ""
        noise = _amount(scan["noise_std"], scan["noise_percent_of_range"])
        levels = scan["noise_std_by_brightness"]
        if levels and len(levels) > 1:
            noise += f", from {number(min(levels), 3)} to {number(max(levels), 3)} by brightness"
        removed = _amount(scan["residual_std"], scan["residual_percent_of_range"])
        rows += [("noise level", noise + which), ("residual", removed + which)]
        rows += [("note", notice + which) for notice in scan["notices"]]
        if "verdict" in scan:
            rows.append(("verdict", scan["verdict"] + which))
        if scan["left_as_it_is"]:
            rows += [("why", doubt + which) for doubt in scan["doubts"]]
    print_rows(rows)


def _amount(std: float | None, percent: float | None) -> str:
    """Return a noise level in words."""
    return "unknown" if std is None else f"std {number(std, 3)} ({number(percent, 2)} % of the range)"

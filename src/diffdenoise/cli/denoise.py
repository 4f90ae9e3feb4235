"""`diffdenoise denoise`: from a noisy scan to a denoised one."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffdenoise.cli import options
from diffdenoise.cli.batch import Batch, Failure, Result, check_works
from diffdenoise.cli.extras import Extras
from diffdenoise.cli.in_use import in_use
from diffdenoise.cli.jobs import batches_of, jobs_of, title_of
from diffdenoise.cli.paths import require
from diffdenoise.cli.progress import part_of, watch
from diffdenoise.cli.run import USER_ERROR, Interrupted, report_error
from diffdenoise.cli.show import duration, number, print_json, print_rows
from diffdenoise.cli.training import build_settings, resume_command
from diffdenoise.errors import OutputError, SettingsError
from diffdenoise.finish import check_strength, residual_std
from diffdenoise.scan.dicom.derive import Derivation, checked_uid_root
from diffdenoise.scan.folder import check_name, check_outside_stores
from diffdenoise.scan.read import read_scan

if TYPE_CHECKING:
    from diffdenoise.model import Model


def denoise(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="Noisy scans: files, DICOM series, or folders of them."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write; a folder for several scans.")
    ],
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Trained model to use, instead of training on INPUT.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="With --model: denoise a scan that isn't like those it was trained on."),
    ] = False,
    minutes: options.Minutes = None,
    iterations: options.Iterations = None,
    pairs: Annotated[
        int | None,
        typer.Option(help="Symmetric pairs averaged in sampling (default 1).", rich_help_panel="Training"),
    ] = None,
    seed: options.Seed = None,
    noise_std: options.NoiseStd = None,
    config: options.Config = None,
    assignments: options.Assignments = None,
    save_model: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the trained model here.", rich_help_panel="Training"),
    ] = None,
    resume: options.Resume = False,
    axis: options.Axis = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    series: options.SeriesUid = None,
    uid_root: options.UidRoot = None,
    private: options.PrivateOption = options.Private.keep,
    compress: options.CompressionOption = options.Compression.none,
    float32: options.Float = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Write a before/after/residual picture; of several scans, one each in this folder.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Image on INPUT's grid; where it is 0, nothing is changed."),
    ] = None,
    strength: Annotated[
        float, typer.Option(help="Share of the residual that is taken off, 0 (nothing) to 1 (all of it).")
    ] = 1.0,
    save_residual: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write noisy minus denoised values (DICOM's as NIfTI)."),
    ] = None,
    save_noise: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the noise's standard deviation at each voxel."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Denoise a scan: train on it alone, or use a trained model.

    Without --model this trains for --minutes on the scan itself: on files together, as one data set, on DICOM
    series each by itself. With --model it takes seconds a scan.
    """
    began = time.monotonic()
    require([*inputs, model, mask])
    for path in (output, picture, save_residual, save_noise):
        if path is not None:
            check_name(path)
    check_strength(strength)
    if force and model is None:
        raise SettingsError("--force: has an effect with --model only; leave it out, or name a model")
    inside = None if mask is None else read_scan(mask, str(mask))
    if model is not None:
        _refuse_training_options(
            minutes=minutes,
            iterations=iterations,
            pairs=pairs,
            noise_std=noise_std,
            config=config,
            set=assignments or None,
            save_model=save_model,
            resume=resume or None,
            seed=seed,
        )
    settings = build_settings(
        config,
        assignments,
        axis=axis,
        pairs=pairs,
        minutes=minutes,
        iterations=iterations,
        seed=seed,
        noise_std=noise_std,
    )
    jobs, skipped = jobs_of(inputs, output, series, as_folder=_ends_as_folder(context.obj, output))
    alone = len(jobs) == 1
    # A single scan that is unfit is refused by its check.
    failures = [Failure(job.name, job.unfit) for job in jobs if job.unfit is not None and not alone]
    jobs = [job for job in jobs if job.unfit is None or alone]
    if not jobs:
        raise OutputError(failures[0].line)
    learned_from = [[job] for job in jobs] if model is not None else batches_of(jobs)
    several = len(learned_from) > 1
    if save_model is not None:
        check_outside_stores(save_model)
    if save_model is not None and several:
        raise SettingsError(
            f"--save-model: {title_of(inputs)} holds {len(learned_from)} series, each with a model of its "
            "own; name one with --series"
        )
    work = str(output).rstrip("/")
    numbers = range(1, len(learned_from) + 1)
    works = [Path(f"{work}.work{f'-{number}' if several else ''}") for number in numbers]
    batches = [
        Batch(batch, save_model or place, alone, inside, strength)
        for batch, place in zip(learned_from, works, strict=True)
    ]
    how = Derivation(
        fingerprint=settings.model_dump_json() + fingerprint_of(model),
        method="network trained on noisy images alone",
        uid_root=None if uid_root is None else checked_uid_root(uid_root),
        private=private.value,
        compression=compress.value,
    )
    todo = [batch for batch in batches if not (resume and several and batch.is_done)]
    for batch in todo:
        # What a stopped run wrote of a batch is written again; it was not there before that run.
        again = overwrite or (resume and batch.work.is_dir())
        for job in batch.jobs:
            job.check(again, float32, how.compression)
    extras = Extras(picture, save_residual, save_noise, overwrite)
    extras.check(jobs)
    context.with_resource(in_use(output, jobs))
    if model is None and save_model is None:
        for batch in batches:
            check_name(batch.work)
        check_works(batches, resume=resume, overwrite=overwrite)
    trained = _load(model, device.value, threads)

    def results_of(batch: Batch) -> Iterable[Result | Failure]:
        if trained is not None:
            return batch.apply(trained, axis, progress, force=force)
        return batch.learn(
            settings,
            resume=resume and (batch.work.is_dir() or save_model is not None),
            keep=save_model is not None,
            device=device.value,
            threads=threads,
            progress=progress,
            began=began if batch is todo[0] else time.monotonic(),
        )

    found: list[dict[str, Any]] = []
    left = 0
    try:
        with watch(quiet, as_json) as progress:
            for place, batch in enumerate(todo):
                part_of(progress, place, len(todo))
                if several:
                    progress.say(f"{batch.title} ({batches.index(batch) + 1} of {len(batches)})")
                again = overwrite or (resume and batch.work.is_dir())
                written = 0
                for made in results_of(batch):
                    one = batch.write(made, how, float32=float32, overwrite=again)
                    if isinstance(one, Failure):
                        failures.append(one)
                        progress.say(f"not denoised: {one.line}")
                        continue
                    written += 1
                    measured = _measure(one, settings.noise_std)
                    extras.write(one, measured["noise_std"], alone=len(jobs) == 1)
                    found.append(measured)
                    left += one.left
                if written and model is None and save_model is None and batch.work.is_dir():
                    shutil.rmtree(batch.work)
    except KeyboardInterrupt:
        so_far = f"{len(found)} of {len(jobs)} scans were written" if found else "nothing was written"
        unfinished = model is None and (bool(found) or any(batch.work.is_dir() for batch in batches))
        how_on = f"; go on with: {resume_command(context.obj)}" if unfinished else ""
        raise Interrupted(f"stopped, {so_far}{how_on}") from None
    kept = model or save_model
    report = {
        "input": str(inputs[0]) if len(inputs) == 1 else [str(path) for path in inputs],
        "output": str(jobs[0].target if len(jobs) == 1 else output),
        "model": None if kept is None else str(kept),
        "already_clean": bool(found) and left == len(found),
        "seconds": time.monotonic() - began,
        **{
            name: str(path)
            for name, path in (("picture", picture), ("residual", save_residual), ("noise_map", save_noise))
            if path is not None
        },
        **({"passed_over": skipped} if skipped else {}),
        **({"failed": [{"scan": each.name, "reason": each.reason} for each in failures]} if failures else {}),
    }
    if as_json:
        single = (
            {key: value for key, value in found[0].items() if key not in report} if len(jobs) == 1 else {}
        )
        print_json({**report, **single, "scans": found})
    elif found and not quiet:
        _print(report, found)
    if failures:
        if not as_json:
            for each in failures:
                report_error(each.line)
        raise typer.Exit(USER_ERROR)


def _refuse_training_options(**given: object) -> None:
    """Raise an error if an option is given that a trained model takes no notice of."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if names:
        plural = "s have" if len(names) > 1 else " has"
        raise SettingsError(
            f"{', '.join(names)}: the option{plural} no effect with a trained model; leave out"
            f" {'them' if len(names) > 1 else 'it'} or --model"
        )


def _ends_as_folder(words: Sequence[str], output: Path) -> bool:
    """Whether the output was named with a slash behind it, of which a path keeps nothing."""
    return any(word.endswith("/") and Path(word.partition("=")[2] or word) == output for word in words)


def fingerprint_of(model: Path | None) -> str:
    """Digest of a trained model's weights; nothing for none."""
    if model is None:
        return ""
    from diffdenoise.model.folder import MOST_WEIGHTS_BYTES, STUDENT, read_model_file

    if not os.path.lexists(model / STUDENT):
        return ""
    return hashlib.sha256(read_model_file(model, STUDENT, MOST_WEIGHTS_BYTES)).hexdigest()


def _load(model: Path | None, device: str, threads: int | None) -> Model | None:
    """Read a trained model."""
    if model is None:
        return None
    # Imported here: torch takes seconds to load, and most mistakes show before it is needed.
    from diffdenoise.model import Model

    return Model.load(model, device, threads)


def _measure(one: Result, noise_std: float | None) -> dict[str, Any]:
    """Return the noise found and removed, in the scan's units and as shares of its range."""
    full = one.noise.range
    levels: list[float] | None = None
    if noise_std is None:
        levels = [std * full for std in one.noise.model.stds]
        noise_std = one.noise.std
    residual = residual_std(one.noisy, one.denoised, one.noise.ready.regions)
    return {
        "input": one.job.origin,
        "output": str(one.job.target),
        "notices": list(one.job.notices),
        "noise_std": noise_std,
        "noise_percent_of_range": None if noise_std is None else 100 * noise_std / full,
        "noise_std_by_brightness": levels,
        "residual_std": residual,
        "residual_percent_of_range": 100 * residual / full,
    }


def _print(report: dict[str, Any], found: Sequence[dict[str, Any]]) -> None:
    """Print where the result is, how long it took and what was removed."""
    if report["already_clean"]:
        typer.echo("already clean: there is too little noise to touch, so the values were left as they are")
        typer.echo("(to denoise all the same: --set clean_below=0)")
    rows = [("written" if report["already_clean"] else "denoised", report["output"])]
    if len(found) > 1:
        rows.append(("scans", str(len(found))))
    if report["model"] is not None:
        rows.append(("model", report["model"]))
    rows += [
        (name.replace("_", " "), report[name])
        for name in ("picture", "residual", "noise_map")
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
    print_rows(rows)


def _amount(std: float | None, percent: float | None) -> str:
    """Return a noise level in words."""
    return "unknown" if std is None else f"std {number(std, 3)} ({number(percent, 2)} % of the range)"

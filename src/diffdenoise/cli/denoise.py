"""`diffdenoise denoise`: from a noisy scan to a denoised one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.progress import watch
from diffdenoise.cli.run import Interrupted
from diffdenoise.cli.show import duration, number, print_json, print_rows
from diffdenoise.cli.training import build_settings, resume_command
from diffdenoise.errors import OutputError, SettingsError
from diffdenoise.noise.level import estimate_noise
from diffdenoise.plan import already_clean
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import find_files, read_scan
from diffdenoise.scan.registry import format_of
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis, to_stacks
from diffdenoise.scan.write import check_output, write_scan
from diffdenoise.trust.figure import check_picture, save_comparison
from diffdenoise.types import Progress

if TYPE_CHECKING:
    from diffdenoise.config import Settings
    from diffdenoise.model import Model


@dataclass(frozen=True)
class _Job:
    """One file to denoise: where it is, what messages call it, where its result goes."""

    source: Path
    name: str
    target: Path


def denoise(
    context: typer.Context,
    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="A noisy scan, or a folder of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write; a folder if INPUT is one.")],
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Trained model to use, instead of training on INPUT.")
    ] = None,
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
    float32: options.Float = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Write a before/after/residual picture (of a folder's first scan).",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Denoise a scan: train on it alone, or use a trained model.

    Without --model this trains for --minutes on the scan itself; with it, it takes seconds.
    """
    began = time.monotonic()
    require([input_, model])
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
    jobs = _jobs(input_, output)
    sources = [job.source for job in jobs]
    for job in jobs:
        check_output(job.target, format_of(job.source).name, overwrite, sources, float32=float32)
    if picture is not None:
        if any(picture == job.target for job in jobs):
            raise OutputError(f"{picture}: is also the output; give the picture another name")
        if picture.exists() and any(picture.samefile(source) for source in sources):
            raise OutputError(f"{picture}: is also the input; give the picture another name")
        check_picture(picture, overwrite)
    work = save_model or Path(f"{output}.work")
    if model is None and save_model is None:
        _check_work(work, resume, overwrite)
    scans = [read_scan(job.source, job.name) for job in jobs]
    axes = [_axis(scan, settings.data.axis, alone=len(scans) == 1) for scan in scans]
    clean = model is None and save_model is None and not resume and already_clean(scans, settings)

    written = 0
    trained: Model | None = None
    try:
        with watch(quiet, as_json) as progress:
            if clean:
                results = [scan.with_data(scan.data.astype(np.float64)) for scan in scans]
            elif model is not None:
                from diffdenoise.model import Model

                trained = Model.load(model, device.value, threads)
                if axis is None:
                    axes = [_axis(scan, trained.settings.data.axis, alone=False) for scan in scans]
            else:
                if save_model is None and not resume and work.exists():
                    shutil.rmtree(work)
                trained = _train(scans, settings, work, resume, device.value, threads, progress, began)
            if trained is not None:
                results = [
                    trained.denoise_scan(scan, axis=along, progress=progress)
                    for scan, along in zip(scans, axes, strict=True)
                ]
        for job, result in zip(jobs, results, strict=True):
            write_scan(result, job.target, float32=float32, overwrite=overwrite)
            written += 1
    except KeyboardInterrupt:
        so_far = f"{written} of {len(jobs)} files were written" if written else "nothing was written"
        how = f"; go on with: {resume_command(context.obj)}" if model is None and work.is_dir() else ""
        raise Interrupted(f"stopped, {so_far}{how}") from None
    if picture is not None:
        save_comparison(picture, scans[0], results[0], axis=axes[0], overwrite=overwrite)
    if trained is not None and model is None and save_model is None:
        shutil.rmtree(work)

    kept = model or save_model
    report = {
        "input": str(input_),
        "output": str(output),
        "model": None if kept is None else str(kept),
        "already_clean": clean,
        "seconds": time.monotonic() - began,
        **({"picture": str(picture)} if picture is not None else {}),
    }
    learned = None if model or trained is None else trained.noise.stds
    found = [
        _measure(job, scan, result, along, settings.noise_std, learned)
        for job, scan, result, along in zip(jobs, scans, results, axes, strict=True)
    ]
    if as_json:
        single = (
            {key: value for key, value in found[0].items() if key not in report} if len(jobs) == 1 else {}
        )
        print_json({**report, **single, "scans": found})
    elif not quiet:
        _print(report, found)


def _refuse_training_options(**given: object) -> None:
    """Raise an error if an option is given that a trained model takes no notice of."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if names:
        plural = "s have" if len(names) > 1 else " has"
        raise SettingsError(
            f"{', '.join(names)}: the option{plural} no effect with a trained model; leave out"
            f" {'them' if len(names) > 1 else 'it'} or --model"
        )


def _jobs(source: Path, output: Path) -> list[_Job]:
    """Return what to denoise; a folder's files keep their names below the output folder."""
    if not source.is_dir():
        return [_Job(source, source.name, output)]
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file, expected a folder because {source} is one")
    if output.resolve().is_relative_to(source.resolve()):
        raise OutputError(f"{output}: lies inside the input folder {source}; choose a folder elsewhere")
    names = [(path, path.relative_to(source)) for path in find_files([source])]
    return [_Job(path, name.as_posix(), output / name) for path, name in names]


def _axis(scan: Scan, axis: int | None, alone: bool) -> int | None:
    """Check a scan and return its slice axis; among volumes a single image needs none."""
    check_scan(scan)
    return choose_axis(scan, axis if alone or scan.data.ndim > 2 else None)


def _check_work(work: Path, resume: bool, overwrite: bool) -> None:
    """Raise an error if there is nothing to resume, or a stopped run would be lost."""
    if resume and not work.is_dir():
        raise OutputError(f"{work}: there is no stopped run to resume; leave out --resume")
    ours = work.is_dir() and ((work / "work").is_dir() or (work / "record.json").is_file())
    if work.exists() and not ours:
        raise OutputError(f"{work}: is not a stopped run; it is in the way; move it or name another output")
    if work.exists() and not resume and not overwrite:
        raise OutputError(
            f"{work}: holds a stopped run; go on with it by --resume, or delete it (--overwrite does)"
        )


def _train(
    scans: Sequence[Scan],
    settings: Settings,
    work: Path,
    resume: bool,
    device: str,
    threads: int | None,
    progress: Progress,
    began: float,
) -> Model:
    """Train in the work folder."""
    from diffdenoise import pipeline

    return pipeline.train(
        scans,
        settings,
        work,
        resume=resume,
        device=device,
        threads=threads,
        progress=progress,
        spent_s=time.monotonic() - began,
    )


def _measure(
    job: _Job,
    noisy: Scan,
    denoised: Scan,
    axis: int | None,
    noise_std: float | None,
    learned: Sequence[float] | None,
) -> dict[str, Any]:
    """Return the noise found and removed, in the scan's units and as shares of its range.

    `learned` are the levels at rising brightness that training found, as shares of the range.
    """
    scaling = IntensityMap.fit(noisy.data)
    levels: list[float] | None = None
    if noise_std is None and learned is not None:
        levels = [std * scaling.range for std in learned]
        noise_std = float(np.median(levels))
    elif noise_std is None:
        stacks = to_stacks(scaling.scale(noisy.data), axis)
        # 0 stands for "too few flat regions to tell".
        noise_std = estimate_noise(stacks).std * scaling.range or None
    residual = noisy.data.astype(np.float64) - denoised.data.astype(np.float64)
    residual_std = float(residual.std())
    return {
        "input": str(job.source),
        "output": str(job.target),
        "noise_std": noise_std,
        "noise_percent_of_range": None if noise_std is None else 100 * noise_std / scaling.range,
        "noise_std_by_brightness": levels,
        "residual_std": residual_std,
        "residual_percent_of_range": 100 * residual_std / scaling.range,
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
    if "picture" in report:
        rows.append(("picture", report["picture"]))
    rows.append(("took", duration(report["seconds"])))
    for scan in found:
        which = f"  {scan['output']}" if len(found) > 1 else ""
        noise = _amount(scan["noise_std"], scan["noise_percent_of_range"])
        levels = scan["noise_std_by_brightness"]
        if levels and len(levels) > 1:
            noise += f", from {number(min(levels), 3)} to {number(max(levels), 3)} by brightness"
        removed = _amount(scan["residual_std"], scan["residual_percent_of_range"])
        rows += [("noise level", noise + which), ("residual", removed + which)]
    print_rows(rows)


def _amount(std: float | None, percent: float | None) -> str:
    """Return a noise level in words."""
    return "unknown" if std is None else f"std {number(std, 3)} ({number(percent, 2)} % of the range)"

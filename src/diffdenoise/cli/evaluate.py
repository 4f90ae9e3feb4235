"""`diffdenoise evaluate`: PSNR, SSIM and RMSE against a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.scans import read_checked, read_one
from diffdenoise.cli.show import number, print_json, print_rows, print_table
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust import metrics
from diffdenoise.trust.figure import check_picture, save_comparison


def evaluate(
    denoised: Annotated[Path, typer.Argument(metavar="DENOISED", help="Scan to judge.")],
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="Scan taken as the truth.")],
    noisy: Annotated[Path | None, typer.Option(help="What DENOISED was made from; shows the gain.")] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Image that is nonzero inside the region to judge.")
    ] = None,
    axis: options.Axis = None,
    brief: Annotated[bool, typer.Option("--brief", help="Print the line of the whole only.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Write a picture of the slice that most was taken off (needs --noisy)."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare a denoised scan with a reference: PSNR, SSIM and RMSE, per slice and in all.

    The range in PSNR and SSIM is the 99.5th minus the 0.5th percentile of the reference.
    """
    require([denoised, reference, noisy, mask])
    if picture is not None:
        if noisy is None:
            raise typer.BadParameter("the picture shows the noisy scan too; give it with --noisy")
        check_picture(picture, overwrite)
    result, truth = read_checked(denoised), read_checked(reference)
    before = None if noisy is None else read_checked(noisy)
    inside = None if mask is None else read_one(mask)
    evaluation = metrics.evaluate(
        result.data,
        truth.data,
        noisy=None if before is None else before.data,
        mask=None if inside is None else inside.data,
        axis=choose_axis(truth, axis),
    )
    if picture is not None and before is not None:
        save_comparison(picture, before, result, truth, axis=axis, evaluation=evaluation, overwrite=overwrite)
    if as_json:
        files = {"denoised_file": str(denoised), "reference_file": str(reference)}
        extra = {"picture": str(picture)} if picture is not None else {}
        print_json({**files, **evaluation.as_dict(), **extra})
    elif not quiet:
        _print(evaluation, brief=brief)
        if picture is not None:
            print_rows([("picture", str(picture))])


def _print(evaluation: metrics.Evaluation, *, brief: bool) -> None:
    """Print the scores of each slice, unless these aren't wanted, and those of the whole."""
    gains = evaluation.noisy is not None
    head = ["slice", "PSNR dB", "SSIM", "RMSE"]
    if gains:
        head += ["noisy PSNR dB", "noisy SSIM", "noisy RMSE", "PSNR gain dB", "SSIM gain"]
    rows = [
        _row(str(index), scores, evaluation.noisy_slices[index] if gains else None)
        for index, scores in enumerate(evaluation.denoised_slices)
    ]
    if brief or len(rows) == 1:
        rows = []
    print_table(head, [*rows, _row("all", evaluation.denoised, evaluation.noisy)])
    typer.echo(
        f"range {number(evaluation.data_range)}: 99.5th minus 0.5th percentile of the reference;"
        f" {evaluation.voxels} voxels compared"
    )


def _row(name: str, scores: metrics.Scores, noisy: metrics.Scores | None) -> list[str]:
    row = [name, *_cells(scores)]
    if noisy is not None:
        row += [*_cells(noisy), f"{scores.psnr_db - noisy.psnr_db:+.2f}", f"{scores.ssim - noisy.ssim:+.4f}"]
    return row


def _cells(scores: metrics.Scores) -> list[str]:
    return [f"{scores.psnr_db:.2f}", f"{scores.ssim:.4f}", number(scores.rmse)]

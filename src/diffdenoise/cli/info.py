"""`diffdenoise info`: what a scan is, and how noisy, in a second or two (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from diffdenoise.cli import options
from diffdenoise.cli.info_model import print_model
from diffdenoise.cli.models import print_weights
from diffdenoise.cli.paths import require
from diffdenoise.cli.show import number, print_json, print_rows, print_table
from diffdenoise.errors import InputError, OutputError, SettingsError
from diffdenoise.model.folder import is_model_folder
from diffdenoise.model.named import card_of
from diffdenoise.noise.level import SLICES_DEPEND
from diffdenoise.scan.find import Findings, find_scans
from diffdenoise.scan.folder import is_store
from diffdenoise.trust.figure import check_picture
from diffdenoise.trust.noise_figure import save_noise_picture
from diffdenoise.work.facts import describe, facts_or_problem, look_at, model_facts, of_series


def info(
    input_: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="A scan, folder of scans, model folder, or name of weights."),
    ],
    axis: options.Axis = None,
    series: options.SeriesUid = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the noise: its level by brightness, its correlation."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Show geometry, type, intensities and noise level of a scan; of a model, what it was trained on."""
    only_scans_have = {"axis": axis, "series": series, "picture": picture}
    if _shows_no_scan(input_, only_scans_have, as_json=as_json, quiet=quiet):
        return
    findings = find_scans([input_], series)
    is_folder = input_.is_dir() and not is_store(input_)
    if len(findings.scans) > 1 or (is_folder and findings.scans[0].series is None):
        if picture is not None:
            what = "folder" if is_folder else "file"
            raise SettingsError(
                f"--picture: shows one scan, but the {what} {input_} holds several; name one, or a --series"
            )
        _show_folder(input_, findings, axis, as_json=as_json, quiet=quiet)
        return
    if picture is not None:
        check_picture(picture, overwrite)
        if picture.exists() and picture.samefile(input_):
            raise OutputError(f"{picture}: is the scan itself; give the picture another name")
    found = findings.scans[0]
    name = found.name if found.series is not None else str(found.paths[0])
    scan, noise = look_at(found, axis, name)
    facts: dict[str, Any] = {**describe(scan, noise), **of_series(found)}
    if picture is not None:
        save_noise_picture(picture, scan, noise, overwrite=overwrite)
    if findings.skipped:
        facts["passed_over"] = findings.skipped
    if as_json:
        print_json(facts)
    elif not quiet:
        _print_scan(facts)


def _shows_no_scan(input_: Path, of_scans: dict[str, Any], *, as_json: bool, quiet: bool) -> bool:
    """Show what a model folder, or weights of the package, are, if it is one; refuse options of scans."""
    card = card_of(str(input_))
    if card is None:
        require([input_])
        if not is_model_folder(input_):
            return False
    for name, given in of_scans.items():
        if given is not None:
            what = "a model folder" if card is None else "a name of weights"
            raise SettingsError(f"--{name}: is for scans, but {input_} is {what}; leave it out")
    facts = model_facts(input_) if card is None else card.as_dict()
    if as_json:
        print_json(facts)
    elif not quiet:
        (print_model if card is None else print_weights)(facts)
    return True


def _show_folder(input_: Path, findings: Findings, axis: int | None, *, as_json: bool, quiet: bool) -> None:
    """List a folder's scans to the end: which of them can't be used is what one asks here."""
    found = [facts_or_problem(one, axis) for one in findings.scans]
    usable = [one for one in found if "problem" not in one]
    if not usable:
        raise InputError(found[0]["problem"])
    summary = {**_summary(usable, len(found) - len(usable)), "passed_over": findings.skipped}
    if as_json:
        print_json({"input": str(input_), "scans": found, **summary})
    elif not quiet:
        _print_folder(found, summary)


def _by(sizes: Sequence[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


def _print_scan(scan: dict[str, Any]) -> None:
    """Print one scan, a property a line."""
    levels = scan["intensities"]
    slices = (
        "single image" if scan["slice_axis"] is None else f"{scan['slice_axis']} ({scan['slices']} slices)"
    )
    print_rows(
        [
            ("scan", scan["name"]),
            ("format", scan["format"]),
            *([("series UID", scan["series_uid"])] if scan.get("series_uid") else []),
            ("shape", _by(scan["shape"])),
            ("voxel size", f"{_by(scan['spacing_mm'])} mm" if scan["spacing_mm"] else "not in the file"),
            ("orientation", scan["orientation"] or "not in the file"),
            ("slice axis", slices),
            ("type", scan["dtype"]),
            (
                "intensities",
                f"min {number(levels['min'])}, 0.5 % {number(levels['percentile_0.5'])},"
                f" median {number(levels['median'])}, 99.5 % {number(levels['percentile_99.5'])},"
                f" max {number(levels['max'])}",
            ),
            *(
                [
                    (
                        "no data",
                        f"{scan['no_data_percent']:.2g} % of the voxels: constant or NaN, left as they are",
                    )
                ]
                if scan["no_data_percent"]
                else []
            ),
            ("noise level", _noise(scan)),
            *_noise_kind(scan),
            *(("note", notice) for notice in scan.get("notices", [])),
            *(("passed over", f"{count} {reason}") for reason, count in scan.get("passed_over", {}).items()),
        ]
    )


def _noise_kind(scan: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the noise is like, a line a property."""
    noise = scan["noise"]
    if noise is None or scan["already_clean"]:
        return []
    levels = [100 * std for std in noise["stds"]]
    rows = _against_tissue(noise)
    if noise["rician_std"] is not None:
        rows.append(
            (
                "noise kind",
                f"{_magnitude_of(noise['coils'])}, from complex noise of {100 * noise['rician_std']:.2g} %"
                " of the range in each part: its bias is undone",
            )
        )
    elif min(levels) < max(levels):
        rows.append(
            (
                "noise kind",
                f"depends on the brightness: {number(min(levels), 2)} to {number(max(levels), 2)} % of the"
                " range",
            )
        )
    else:
        rows.append(("noise kind", "of the same level at every brightness"))
    if scan["noise_map"] is not None:
        found = scan["noise_map"]
        rows.append(
            (
                "by place",
                f"{found['times']:.2g} times stronger in the {found['strong']} than in the {found['weak']};"
                " what is said is the level in the middle of the tissue",
            )
        )
    in_plane = [axis for axis in range(min(len(scan["shape"]), 3)) if axis != scan["slice_axis"]]
    finer = [
        f"about {factor:.2g} times along axis {axis}"
        for factor, axis in zip(noise["interpolation"], in_plane, strict=True)
        if factor is not None
    ]
    if finer:
        rows.append(("zero-filled", f"to a finer grid than acquired: {', '.join(finer)}"))
    if scan["slices"] > 2:
        between = noise["slice_correlation"]
        rows.append(
            (
                "slices",
                f"adjacent ones have noise of their own (correlation {between:.2f}) and help each other"
                if between < SLICES_DEPEND
                else f"adjacent ones are alike in their finest detail (correlation {between:.2f}): each is"
                " denoised by itself",
            )
        )
    return rows


def _against_tissue(noise: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is to be said of doubts, and of the noise beside the contrasts of tissue."""
    rows = []
    if noise["is_upper_bound"]:
        rows.append(
            ("", "at most: even the calmest places are full of anatomy, and I cannot tell noise from it;")
        )
        rows.append(("", "denoise takes the stages that need no level (give noise_std if you know it)"))
    if noise["share_of_contrast"] is not None:
        rows.append(
            (
                "in tissue",
                f"{noise['share_of_contrast']:.2g} times what neighbouring tissues differ by"
                f" ({100 * noise['tissue_contrast']:.2g} % of the range)",
            )
        )
    return rows


def _magnitude_of(coils: int) -> str:
    """What a magnitude image's noise is called."""
    return "Rician" if coils == 1 else f"noncentral chi of {coils} coils"


def _noise(scan: dict[str, Any]) -> str:
    """Return the noise level in words."""
    if scan["noise_std"] is None:
        return "unknown: too few flat regions to tell"
    if scan["already_clean"]:
        level = f"{scan['noise_percent_of_range']:.2g} % of the range"
        if scan["noise"]["is_upper_bound"]:
            return f"at most {level}, less than fine anatomy lets one tell: taken for clean"
        return f"{level}, little against what neighbouring tissues differ by: already clean"
    level = f"{number(scan['noise_std'], 3)} ({scan['noise_percent_of_range']:.2g} % of the range)"
    return f"{level}, {scan['noise_shape']}"


def _summary(usable: Sequence[dict[str, Any]], unusable: int) -> dict[str, Any]:
    """Return what holds for all scans of a folder."""
    noise = [scan["noise_percent_of_range"] for scan in usable if scan["noise_std"] is not None]
    return {
        "usable": len(usable),
        "unusable": unusable,
        "shapes": sorted({_by(scan["shape"]) for scan in usable}),
        "dtypes": sorted({scan["dtype"] for scan in usable}),
        "median_noise_percent_of_range": float(np.median(noise)) if noise else None,
    }


def _print_folder(scans: Sequence[dict[str, Any]], summary: dict[str, Any]) -> None:
    """Print a table of the scans and a line on all of them."""
    rows = [
        (scan["name"], scan["problem"], "", "", "", "")
        if "problem" in scan
        else (
            scan["name"],
            _by(scan["shape"]),
            _by(scan["spacing_mm"]) if scan["spacing_mm"] else "-",
            scan["orientation"] or "-",
            scan["dtype"],
            f"{number(scan['noise_percent_of_range'], 2)} %",
        )
        for scan in scans
    ]
    print_table(("scan", "shape", "voxel mm", "orientation", "type", "noise"), rows)
    typer.echo()
    print_rows(
        [
            *(
                ("series UID", f"{scan['series_uid']}  {scan['name']}")
                for scan in scans
                if scan.get("series_uid")
            ),
            *(("note", f"{notice}  {scan['name']}") for scan in scans for notice in scan.get("notices", [])),
            *(("passed over", f"{count} {reason}") for reason, count in summary["passed_over"].items()),
            ("usable", f"{summary['usable']} of {summary['usable'] + summary['unusable']} scans"),
            ("shapes", ", ".join(summary["shapes"])),
            ("types", ", ".join(summary["dtypes"])),
            ("noise level", f"median {number(summary['median_noise_percent_of_range'], 2)} % of the range"),
        ]
    )

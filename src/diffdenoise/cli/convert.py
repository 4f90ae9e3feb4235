"""`diffdenoise convert`: between DICOM and NIfTI."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import require
from diffdenoise.cli.show import print_json, print_rows
from diffdenoise.errors import FormatError, OutputError, SettingsError
from diffdenoise.scan.convert import on_grid_of, refuse_uneven, to_nifti
from diffdenoise.scan.dicom.derive import Derivation, checked_uid_root
from diffdenoise.scan.dicom.write import targets_of
from diffdenoise.scan.find import Found, find_scans
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.registry import format_of
from diffdenoise.scan.write import check_output, check_series_output, write_scan


def convert(
    input_: Annotated[Path, typer.Argument(metavar="INPUT", help="DICOM (file, folder, zip), or NIfTI.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="File to write; a folder for several series, or for DICOM."),
    ],
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="SERIES", help="The DICOM series that a NIfTI image came from, for the way back."
        ),
    ] = None,
    series: options.SeriesUid = None,
    uid_root: options.UidRoot = None,
    private: options.PrivateOption = options.Private.keep,
    compress: options.CompressionOption = options.Compression.none,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Turn DICOM series into NIfTI, or NIfTI back into the series that it came from.

    Every voxel stays at its place in space. From NIfTI a derived series is made: patient, study and all
    else that NIfTI doesn't hold are taken from the series named by --like.
    """
    require([input_, like])
    if like is not None:
        how = Derivation(
            action="Conversion from NIfTI",
            fingerprint=hashlib.sha256(input_.read_bytes()).hexdigest() if input_.is_file() else "",
            uid_root=None if uid_root is None else checked_uid_root(uid_root),
            private=private.value,
            compression=compress.value,
        )
        written = [_to_series(input_, like, output, series, how, overwrite)]
    else:
        written = _to_files(input_, output, series, overwrite)
    if as_json:
        print_json({"input": str(input_), "output": [str(path) for path in written]})
    elif not quiet:
        print_rows([("written", str(path)) for path in written])


def _to_files(source: Path, output: Path, series_uid: str | None, overwrite: bool) -> list[Path]:
    """Write each series as a NIfTI file."""
    findings = find_scans([source], series_uid)
    found = [one for one in findings.scans if one.series is not None]
    if not found:
        raise FormatError(
            f"{source}: holds no DICOM; expected DICOM to turn into NIfTI; for the way back name its series "
            "with --like"
        )
    targets = _targets(found, output)
    for target in targets:
        if format_of(target).name != "nifti":
            raise OutputError(f"{target}: is no NIfTI file name; expected .nii or .nii.gz")
        check_output(target, "array", overwrite, [path for one in found for path in one.paths])
    for one in found:
        if one.series is not None:
            refuse_uneven(one.series, one.name)
    for one, target in zip(found, targets, strict=True):
        write_scan(to_nifti(one.read()), target, overwrite=overwrite)
    return targets


def _targets(found: list[Found], output: Path) -> list[Path]:
    """The file for a single series; in a folder, files by the series' numbers."""
    if len(found) == 1 and not output.is_dir():
        return [output]
    if output.exists() and not output.is_dir():
        raise OutputError(
            f"{output}: is a file, expected a folder for {len(found)} series; or name one with --series"
        )
    names: list[Path] = []
    for one in found:
        number = one.series.header.series_number if one.series is not None else None
        stem = "series" if number is None else f"series-{number}"
        name, count = output / f"{stem}.nii.gz", 1
        while name in names:
            count += 1
            name = output / f"{stem}-{count}.nii.gz"
        names.append(name)
    return names


def _to_series(
    source: Path, like: Path, output: Path, series_uid: str | None, how: Derivation, overwrite: bool
) -> Path:
    """Write an image's values into a copy of a series."""
    found = [one for one in find_scans([like], series_uid).scans if one.series is not None]
    if len(found) != 1 or found[0].series is None:
        raise SettingsError(
            f"--like: {like} holds {len(found)} DICOM series; expected one; name it with --series"
        )
    series = found[0].series
    as_file = len(series.sources) == 1 and not output.is_dir()
    target = output if as_file or len(series.sources) > 1 else output / series.sources[0].name
    check_series_output(series, targets_of(series, target, as_file=len(series.sources) == 1), overwrite)
    scan = read_scan(source, str(source))
    if scan.format == "dicom":
        raise FormatError(f"{source}: is DICOM already; expected another format to bring into that of --like")
    template = found[0].read()
    write_scan(template.with_data(on_grid_of(scan, template)), target, overwrite=overwrite, derivation=how)
    return target

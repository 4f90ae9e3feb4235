"""`diffdenoise convert`: between DICOM and NIfTI."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from diffdenoise.cli import options
from diffdenoise.cli.paths import ends_as_folder, require
from diffdenoise.cli.show import print_json, print_rows
from diffdenoise.scan.convert_files import to_files, to_series
from diffdenoise.scan.dicom.derive import Derivation, checked_uid_root


def convert(
    context: typer.Context,
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
        written = [to_series(input_, like, output, series, how, overwrite)]
    else:
        as_folder = ends_as_folder(context.obj, output)
        written = to_files(input_, output, series, overwrite, as_folder=as_folder)
    if as_json:
        print_json({"input": str(input_), "output": [str(path) for path in written]})
    elif not quiet:
        print_rows([("written", str(path)) for path in written])

"""Write a scan in its own format, or say early why that can't be."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from diffdenoise.errors import FormatError, OutputError, option
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.dicom.write import check_compression, targets_of, write_series
from diffdenoise.scan.folder import STORE, check_name, check_outside_stores, is_store
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats.dicom_file import NOT_FROM_OTHERS
from diffdenoise.scan.registry import format_named, format_of, suffix_of
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Lazy


def check_output(
    path: str | Path,
    source_format: str,
    overwrite: bool,
    inputs: Sequence[str | Path] = (),
    *,
    float32: bool = False,
) -> None:
    """Raise an error if a result can't be written to `path`; leave nothing behind.

    To be called before the long work begins.

    Parameters
    ----------
    path : str or path
        Where the result shall go. Missing folders are made when it is written.
    source_format : str
        `Scan.format` of the input; the output is of the same format ("array": of any).
    overwrite : bool
        Whether a file that is there may be replaced.
    inputs : sequence of str or path
        Files that were read; none of them is ever replaced.
    float32 : bool
        Whether float32 values are to be stored.

    Raises
    ------
    OutputError
        If the suffix doesn't fit, the file exists or is an input, or the folder can't be written.
    """
    path = Path(path)
    check_name(path)
    fmt = _output_format(path, source_format)
    if float32 and not fmt.holds_float:
        raise OutputError(f"{path}: {fmt.title} holds integers only; leave out float, or convert the input")
    _check_places([path], fmt.suffixes[0], overwrite, inputs)


def check_series_output(
    series: Series,
    targets: Mapping[str, Path],
    overwrite: bool,
    *,
    float32: bool = False,
    compression: str = "none",
) -> None:
    """Raise an error if a derived DICOM series can't be written; see `check_output`.

    Parameters
    ----------
    series : Series
        The source.
    targets : dict of str to path
        Where each of its files goes; see `targets_of`.
    overwrite, float32
        See `check_output`.
    compression : str
        See `Derivation`.

    Raises
    ------
    OutputError
        As `check_output`; or if the source lacks an identifier that a derived image must refer to.
    """
    first = next(iter(targets.values()))
    if float32:
        raise OutputError(f"{first}: DICOM holds integers only; leave out float, or convert the input")
    if series.lacks is not None:
        raise OutputError(f"{first}: {cannot_derive(series.lacks)}")
    if compression != "none":
        check_compression(series, compression, first)
    _check_places(list(targets.values()), ".dcm", overwrite, [source.path for source in series.sources])


def cannot_derive(keyword: str) -> str:
    """Say that a source lacks an identifier that a derived image must refer to."""
    return (
        f"the source lacks {keyword}, so that no valid DICOM can be derived from it; convert it: "
        "diffdenoise convert"
    )


def _output_format(path: Path, source_format: str) -> Format:
    """Return the format of the output's suffix if it is that of the source; DICOM needs no suffix."""
    wanted = format_named(source_format)
    if wanted is not None and wanted.written_as is not None:
        wanted = wanted.written_as
    try:
        fmt = format_of(path)
    except FormatError as error:
        if wanted is None:
            raise OutputError(str(error)) from error
        if wanted.name == "dicom":
            return wanted
    else:
        if wanted is None and fmt.name == "dicom":
            raise OutputError(f"{path}: {NOT_FROM_OTHERS}")
        if wanted in (None, fmt):
            return fmt
    raise OutputError(
        f"{path}: has the wrong suffix for a {wanted.title} image; expected "
        f"{' or '.join(wanted.suffixes)}; rename the output"
    )


def _check_places(paths: Sequence[Path], suffix: str, overwrite: bool, inputs: Iterable[str | Path]) -> None:
    """Raise an error if something at one of the paths must stay, or its folder can't be written."""
    path = paths[0]
    try:
        given = {_identity(Path(each)) for each in inputs if Path(each).exists()}
        folders = set()
        for path in paths:
            check_outside_stores(path)
            _check_not_around(path, inputs)
            if path.is_dir() and not (suffix == STORE and _holds_store(path)):
                raise OutputError(
                    f"{path}: is a folder; expected a file name; add one such as /denoised{suffix}"
                )
            if path.exists() and _identity(path) in given:
                raise OutputError(
                    f"{path}: is the input itself; expected another name; inputs are never replaced"
                )
            # A dangling link is there too: lexists.
            if os.path.lexists(path) and not overwrite:
                raise OutputError(f"{path}: exists already; choose another name or use {option('overwrite')}")
            if path.parent not in folders:
                folders.add(path.parent)
                _check_folder(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _check_not_around(path: Path, inputs: Iterable[str | Path]) -> None:
    """Raise `OutputError` if a store that is to be replaced holds one of the inputs."""
    for given in inputs:
        if is_store(path) and path.resolve() in Path(given).resolve().parents:
            raise OutputError(f"{path}: holds the input {given}; choose another name")


def _holds_store(path: Path) -> bool:
    """Whether a folder is a Zarr store, which may be replaced, by what it must hold."""
    return is_store(path) and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def _identity(path: Path) -> tuple[int, int]:
    """What is the same for all names of one file, links included."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _check_folder(path: Path) -> None:
    """Raise `OutputError` if the file's folder, or its nearest parent that exists, can't be written."""
    folder = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not folder.is_dir():
        raise OutputError(f"{path}: {folder} is not a folder; choose another place")
    try:
        # Permission bits say too little (root, read-only disks), so a nameless file is tried.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written to {folder} ({error.strerror}); choose another place"
        ) from error


def write_scan(
    scan: Scan,
    path: str | Path,
    *,
    float32: bool = False,
    overwrite: bool = False,
    derivation: Derivation | None = None,
) -> None:
    """Write a scan, whole or not at all, in the format, dtype and geometry that it came in.

    Parameters
    ----------
    scan : Scan
        Values in the scan's own units; integers are rounded half to even and clipped.
    path : str or path
        Of the scan's own format; for a scan from an array, of any format. A folder for a DICOM series of
        several files, each of which is written whole or not at all.
    float32 : bool
        Store float32 instead of the scan's stored dtype.
    overwrite : bool
        Replace a file that is there.
    derivation : Derivation, optional
        How a derived DICOM series is named and described.

    Raises
    ------
    OutputError
        If it can't be written there; see `check_output`. Nothing is left behind.
    """
    path = Path(path)
    series = scan.header if isinstance(scan.header, Series) else None
    targets: dict[str, Path] = {}
    if series is not None:
        targets = targets_of(series, path, as_file=len(series.sources) == 1)
        check_series_output(series, targets, overwrite, float32=float32)
    else:
        check_output(path, scan.format, overwrite, float32=float32)
    axis = scan.voxels.axis if isinstance(scan.voxels, Lazy) else None if scan.ndim == 2 else 0
    if scan.dtype.kind == "f" and any(np.isinf(slab).any() for *_, slab in scan.voxels.slabs(axis)):
        raise OutputError(f"{path}: not written: the result holds infinity; denoise again")
    if series is not None:
        write_series(scan, targets, derivation or Derivation())
        return
    with atomic_path(path, suffix_of(path)) as temporary:
        format_of(path).write(scan, temporary, float32=float32)

"""Whole files from DICOM to NIfTI, and back into the series that they came from."""

from __future__ import annotations

from pathlib import Path

from diffdenoise.errors import FormatError, OutputError, SettingsError, ShapeError, option
from diffdenoise.scan.convert import on_grid_of, refuse_uneven, to_nifti
from diffdenoise.scan.dicom.derive import Derivation
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.dicom.write import targets_of
from diffdenoise.scan.find import Found, find_scans
from diffdenoise.scan.folder import check_name
from diffdenoise.scan.read import read_scan
from diffdenoise.scan.registry import format_of, suffix_of
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.write import check_output, check_series_output, write_scan
from diffdenoise.types import Array


def convert(
    source: str | Path,
    output: str | Path,
    *,
    like: str | Path | None = None,
    series_uid: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Turn DICOM series into NIfTI, or NIfTI back into the series that it came from.

    Every voxel stays at its place in space.

    Parameters
    ----------
    source : str or path
        A DICOM file, folder, DICOMDIR or zip; for the way back an image of another format.
    output : str or path
        File to write; a folder for several series, or for a DICOM series of several files.
    like : str or path, optional
        The DICOM series that `source` came from: patient, study and all else that NIfTI doesn't hold are
        taken from it.
    series_uid : str, optional
        The only series to take, of those at `source` or `like`.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of path
        The files, or the folder, written.

    Raises
    ------
    DiffDenoiseError
        See `to_files` and `to_series`.
    """
    source, output = Path(source), Path(output)
    if like is None:
        return to_files(source, output, series_uid, overwrite)
    how = Derivation(action="Conversion from NIfTI")
    return [to_series(source, Path(like), output, series_uid, how, overwrite)]


def to_files(
    source: Path, output: Path, series_uid: str | None, overwrite: bool, *, as_folder: bool = False
) -> list[Path]:
    """Write each DICOM series as a NIfTI file, and return the files.

    Parameters
    ----------
    source : path
        A file, folder, DICOMDIR or zip.
    output : path
        A .nii or .nii.gz file; a folder for several series.
    series_uid : str, optional
        The only series to take.
    overwrite : bool
        Whether files that exist may be replaced.
    as_folder : bool
        Whether `output` is a folder though it doesn't exist yet.

    Raises
    ------
    FormatError
        If there is no DICOM.
    ShapeError
        If slices aren't evenly spaced, which NIfTI can't hold.
    OutputError
        If a file can't be written there.
    """
    check_name(output)
    findings = find_scans([source], series_uid)
    found = [one for one in findings.scans if one.series is not None]
    if not found:
        raise FormatError(
            f"{source}: holds no DICOM; expected DICOM to turn into NIfTI; for the way back name its series "
            f"with {option('like', python='like')}"
        )
    targets = _targets(found, output, as_folder=as_folder)
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


def _targets(found: list[Found], output: Path, *, as_folder: bool) -> list[Path]:
    """The file for a single series; in a folder, files by the series' numbers."""
    if len(found) == 1 and not (as_folder or output.is_dir()):
        return [output]
    if not output.is_dir() and (output.exists() or suffix_of(output) is not None):
        raise OutputError(
            f"{output}: is a file, expected a folder for {len(found)} volumes; or name a series with "
            f"{option('series', python='series_uid')}"
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


def to_series(
    source: Path, like: Path, output: Path, series_uid: str | None, how: Derivation, overwrite: bool
) -> Path:
    """Write an image's values into a copy of a series, and return the file or folder.

    Parameters
    ----------
    source : path
        An image on the series' grid, perhaps turned.
    like : path
        Where the series is.
    output : path
        File or folder to write.
    series_uid : str, optional
        Which of several series is meant.
    how : Derivation
        What is said of the derived series.
    overwrite : bool
        Whether files that exist may be replaced.

    Raises
    ------
    SettingsError
        If `like` doesn't hold one series.
    ShapeError
        If the image isn't on its grid.
    OutputError
        If the result can't be written there.
    """
    check_name(output)
    found = [one for one in find_scans([like], series_uid).scans if one.series is not None]
    uids = {one.series.header.series_uid for one in found if one.series is not None}
    if len(uids) > 1 or not found:
        raise SettingsError(
            f"{option('like', python='like')}: {like} holds {len(found)} DICOM series; expected one; name "
            f"it with {option('series', python='series_uid')}"
        )
    scan = read_scan(source, str(source))
    if scan.format == "dicom":
        raise FormatError(
            f"{source}: is DICOM already; expected another format to bring into that of the series"
        )
    template, data = _on_one_of(found, scan)
    series: Series = template.header
    as_file = len(series.sources) == 1 and not output.is_dir()
    target = output if as_file or len(series.sources) > 1 else output / series.sources[0].name
    check_series_output(series, targets_of(series, target, as_file=len(series.sources) == 1), overwrite)
    write_scan(template.with_data(data), target, overwrite=overwrite, derivation=how)
    return target


def _on_one_of(found: list[Found], scan: Scan) -> tuple[Scan, Array]:
    """The volume of a series that an image lies on the grid of, and the image's values in its order."""
    template = found[0].read()
    for one in found[1:]:
        try:
            return template, on_grid_of(scan, template)
        except ShapeError:
            template = one.read()
    return template, on_grid_of(scan, template)

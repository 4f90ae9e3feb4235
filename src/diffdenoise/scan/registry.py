"""The formats that are read and written. A new one is a module and a line in `FORMATS`."""

from __future__ import annotations

from pathlib import Path

from diffdenoise.errors import FormatError
from diffdenoise.scan.format import Format
from diffdenoise.scan.formats import (
    dicom_file,
    hdf5_file,
    mat_file,
    metaimage,
    mgh,
    nifti,
    nrrd_file,
    numpy_file,
    png,
    tiff,
    volumes,
    zarr_file,
)

__all__ = ["FORMATS", "Format", "format_named", "format_of", "suffix_of", "suffixes"]

FORMATS: tuple[Format, ...] = (
    nifti.FORMAT,
    png.FORMAT,
    tiff.FORMAT,
    numpy_file.FORMAT,
    nrrd_file.FORMAT,
    nrrd_file.DETACHED,
    metaimage.FORMAT,
    hdf5_file.FORMAT,
    mat_file.FORMAT,
    mgh.FORMAT,
    *volumes.FORMATS,
    zarr_file.FORMAT,
    dicom_file.FORMAT,
)


def suffixes() -> str:
    """Return all suffixes that are read, for messages: ".nii, .nii.gz, .png"."""
    return ", ".join(suffix for fmt in FORMATS for suffix in fmt.suffixes)


def suffix_of(path: Path) -> str | None:
    """Return the lower-case suffix that names the format of `path`; None if no format has it."""
    name = path.name.lower()
    matching = [suffix for fmt in FORMATS for suffix in fmt.suffixes if name.endswith(suffix)]
    return max(matching, key=len, default=None)


def format_of(path: str | Path) -> Format:
    """Return the format that the file name's suffix stands for.

    Parameters
    ----------
    path : str or path
        File name; the file needn't exist.

    Raises
    ------
    FormatError
        If no format has this suffix.
    """
    path = Path(path)
    suffix = suffix_of(path)
    for fmt in FORMATS:
        if suffix in fmt.suffixes:
            return fmt
    found = f"suffix '{path.suffix}' is not known" if path.suffix else "has no suffix"
    raise FormatError(f"{path}: {found}; expected one of {suffixes()}; convert or rename the file")


def format_named(name: str) -> Format | None:
    """Return the format of this name; None for "array", a scan that came from no file."""
    return next((fmt for fmt in FORMATS if fmt.name == name), None)

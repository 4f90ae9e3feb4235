"""From what the user names (files, globs, folders, zips) to the scans that are there."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdenoise.errors import FormatError, InputError, option
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.dicom.read import passed_over, read_series
from diffdenoise.scan.dicom.series import Series, find_series
from diffdenoise.scan.dicom.sources import HEAD_BYTES, Source, is_dicom, is_zip
from diffdenoise.scan.folder import files_below, is_store
from diffdenoise.scan.formats.volumes import header_of_pair
from diffdenoise.scan.read import read_scan, unreadable
from diffdenoise.scan.registry import format_of, suffix_of, suffixes
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.sidecar import why_no_image


@dataclass(frozen=True)
class Found:
    """One scan that can be read.

    Attributes
    ----------
    name : str
        For messages, and for naming outputs where it is a single file: relative to the folder given.
    paths : tuple of path
        The files on disk that it is read from.
    series : Series or None
        What they are, if they are DICOM.
    """

    name: str
    paths: tuple[Path, ...]
    series: Series | None = None

    @property
    def format(self) -> str:
        """Name of its format in the registry; `FormatError` if its suffix has none."""
        return "dicom" if self.series is not None else format_of(self.paths[0]).name

    def read(self) -> Scan:
        """Read it; raises what `read_scan` and `read_series` raise."""
        return (
            read_scan(self.paths[0], self.name)
            if self.series is None
            else read_series(self.series, self.name)
        )


@dataclass(frozen=True)
class Findings:
    """All scans at the places given.

    Attributes
    ----------
    scans : tuple of Found
        Each once; DICOM series after other files.
    skipped : dict of str to int
        Why DICOM and NIfTI files were passed over, and how many for each reason.
    """

    scans: tuple[Found, ...]
    skipped: dict[str, int]


def find_scans(inputs: Sequence[str | Path], series_uid: str | None = None) -> Findings:
    """Return the scans that files, globs, folders, DICOMDIRs and zips stand for.

    Parameters
    ----------
    inputs : sequence of str or path
        Files are taken as they are; globs and folders (searched through all levels, sorted so that
        slice_2 comes before slice_10) leave out hidden files and files of no known format. DICOM is told by
        content, everything else by its suffix.
    series_uid : str, optional
        Take only the DICOM series with this SeriesInstanceUID.

    Raises
    ------
    InputError
        If something isn't there, can't be opened or holds no image, or is named by itself though it is phase.
    """
    images: dict[Path, Found] = {}
    dicom: list[Path | Source] = []
    skipped: Counter[str] = Counter()
    if not inputs:
        raise InputError("no input given; expected files, globs or folders")
    for given in inputs:
        for each in _expand(given, skipped):
            if isinstance(each, Found):
                images.setdefault(each.paths[0].resolve(), each)
            else:
                dicom.append(each)
    study = find_series(list(dict.fromkeys(dicom)))
    passed = dict(skipped + Counter(study.skipped))
    chosen = [one for one in study.series if series_uid in (None, one.header.series_uid)]
    if series_uid is not None and not chosen:
        raise InputError(
            f"series {series_uid}: is not among the {len(study.series)} found; diffdenoise info lists them"
        )
    others = [] if series_uid is not None else list(images.values())
    if not others and not chosen:
        raise InputError(f"{inputs[0]}: holds no image to denoise{passed_over(passed)}")
    return Findings((*others, *_named(chosen)), passed)


def read_scans(inputs: Sequence[str | Path]) -> list[Scan]:
    """Read and check all scans that files, globs, folders and zips stand for.

    Parameters
    ----------
    inputs : sequence of str or path
        As in `find_scans`. Files from a folder are named relative to it.

    Raises
    ------
    InputError
        If something isn't there, can't be read or can't be denoised; see `read_scan`, `check_scan`.
    """
    scans = []
    for found in find_scans(inputs).scans:
        scan = found.read()
        check_scan(scan)
        scans.append(scan)
    return scans


def _named(series: Sequence[Series]) -> Iterator[Found]:
    """Series with their names: that of a single file, with its part; else the title, numbered."""
    titles = Counter(one.title for one in series)
    count: Counter[str] = Counter()
    for one in series:
        paths = tuple(dict.fromkeys(source.path for source in one.sources))
        if len(one.sources) == 1:
            part = f", volume {one.part[0]} of {one.part[1]}" if one.part is not None else ""
            yield Found(f"{one.sources[0].name}{part}", paths, one)
            continue
        count[one.title] += 1
        number = f", {count[one.title]} of {titles[one.title]}" if titles[one.title] > 1 else ""
        yield Found(f"{one.title}{number}", paths, one)


def _expand(given: str | Path, skipped: Counter[str]) -> Iterator[Found | Source | Path]:
    """Yield the images of one file, folder or glob, DICOM files, and what DICOM is to be looked for in.

    What is passed over is counted; a file named by itself that is no image to denoise is refused.
    """
    path = Path(given)
    if not str(given) or "\0" in str(given):
        raise InputError(f"{str(given)!r}: can be no file's name; expected an image; check the name")
    try:
        if path.is_dir() and not is_store(path):
            yield from _images_in(path, skipped)
            return
        if path.exists() or not glob.has_magic(str(given)):
            path = header_of_pair(path)
            reason = why_no_image(path)
            if reason is not None:
                raise FormatError(
                    f"{path}: is no image to denoise ({reason}, by its name or the JSON beside it); "
                    "expected the magnitude; rename it if that is wrong"
                )
            yield _image(path)
            return
    except OSError as error:
        raise unreadable(path, error) from error
    names = glob.glob(str(given), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    paths = sorted((Path(name) for name in names), key=_natural)
    files = [path for path in paths if path.is_file() or is_store(path)]
    images = [path for path in files if suffix_of(path) is not None or _may_hold_dicom(path)]
    if not images:
        found = f"matches {len(names)} names but no image" if names else "matches nothing"
        raise InputError(
            f"{given}: {found}; expected DICOM, or files ending in {suffixes()}; check the pattern"
        )
    for image in _acquired(images, skipped):
        yield _image(image)


def _image(path: Path) -> Found | Path:
    """What a file by itself is."""
    return path if _may_hold_dicom(path) else Found(path.name, (path,))


def _may_hold_dicom(path: Path) -> bool:
    """Whether a file is DICOM, or a zip by content and name."""
    try:
        # A pipe would wait for ever for someone to write into it.
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        # Said by whoever reads it.
        return False
    return is_dicom(head) or (is_zip(head) and path.suffix.lower() == ".zip")


def _acquired(images: Iterable[Path], skipped: Counter[str]) -> Iterator[Path]:
    """Yield what isn't phase or the like, which is counted."""
    for path in images:
        reason = why_no_image(path)
        if reason is None:
            yield path
        else:
            skipped[reason] += 1


def _images_in(folder: Path, skipped: Counter[str]) -> Iterator[Found | Source]:
    """Yield a folder's images, named relative to it, DICOM files last; not what zips in it hold."""
    seen = files_below(folder)
    dicom, images = [], []
    for path in seen:
        if _may_hold_dicom(path):
            if path.suffix.lower() != ".zip":
                dicom.append(path)
        elif suffix_of(path) is not None and not _is_of_another(path):
            images.append(path)
    if not images and not dicom:
        if {"record.json", "settings.yaml"} <= {path.name for path in seen if path.parent == folder}:
            raise InputError(
                f"{folder}: is a model folder, expected images; use it with {option('model', python='model')}"
            )
        zips = any(path.suffix.lower() == ".zip" for path in seen)
        hint = "name the zip itself" if zips else "check the folder"
        raise InputError(f"{folder}: holds no image; expected DICOM, or files ending in {suffixes()}; {hint}")
    for path in _acquired(sorted(images, key=_natural), skipped):
        yield Found(path.relative_to(folder).as_posix(), (path,))
    for path in dicom:
        yield Source(path, path.relative_to(folder).as_posix())


def _is_of_another(path: Path) -> bool:
    """Whether a .mat file is what SPM writes beside an image: its orientation."""
    beside = (path.with_suffix(suffix) for suffix in (".hdr", ".nii"))
    return path.suffix.lower() == ".mat" and any(image.is_file() for image in beside)


def _natural(path: Path) -> list[tuple[list[str | int], str]]:
    """Sorting key in which numbers inside names count as numbers."""
    return [
        ([int(piece) if piece.isdecimal() else piece.casefold() for piece in re.split(r"(\d+)", part)], part)
        for part in path.parts
    ]

"""What `denoise` is to do: which scans, where results go, and which scans are learned from together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffdenoise.errors import InputError, OutputError
from diffdenoise.scan import bids
from diffdenoise.scan.convert import refuse_uneven, to_nifti
from diffdenoise.scan.dicom.derive import UNCHANGED, Derivation
from diffdenoise.scan.dicom.write import targets_of
from diffdenoise.scan.find import Found, find_scans
from diffdenoise.scan.folder import is_store
from diffdenoise.scan.format import Format
from diffdenoise.scan.registry import format_named, format_of, suffix_of
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.write import cannot_derive, check_output, check_series_output, write_scan

#: Formats other than DICOM that a series can be written in, geometry and all.
_WITH_GEOMETRY = ("nifti", "nrrd", "metaimage")
_MOST_LISTED = 4


@dataclass(frozen=True)
class Bids:
    """An image of a BIDS data set: the roots of source and derivative, and its path below the source's."""

    source: Path
    output: Path
    image: Path


@dataclass(frozen=True, eq=False)
class Job:
    """One scan to denoise.

    Attributes
    ----------
    found : Found
        The scan.
    target : path
        File to write; for a DICOM series of several files, the folder that they go to.
    files : dict of str to path
        Where each file of a DICOM series goes; empty where another format is written.
    bids : Bids or None
        Where it is in a BIDS data set.
    """

    found: Found
    target: Path
    files: dict[str, Path] = field(default_factory=dict)
    bids: Bids | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return self.found.name

    @property
    def origin(self) -> str:
        """The file that it is read from; of a series of files, what it is."""
        paths = self.found.paths
        return str(paths[0]) if len(paths) == 1 and not _is_in_zip(self.found) else self.found.name

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know of the series' geometry, or of the format."""
        if self.found.series is not None:
            return self.found.series.layout.notices
        other = _written_as(self.found)
        return (
            () if other is None else (f"is read but not written in its own format: written as {other.title}",)
        )

    @property
    def unfit(self) -> str | None:
        """Why no result can ever be made of it, whatever the settings; None if one can."""
        lacks = None if self.found.series is None or not self.files else self.found.series.lacks
        return None if lacks is None else cannot_derive(lacks)

    def check(self, overwrite: bool, float32: bool, compression: str = "none") -> None:
        """Raise `OutputError` if the result can't be written."""
        if self.bids is not None:
            bids.check_output(self.bids.output)
        if self.found.series is not None and not self.files:
            refuse_uneven(self.found.series, self.name)
            check_output(self.target, "array", overwrite, self.found.paths, float32=float32)
        elif self.found.series is not None:
            check_series_output(
                self.found.series, self.files, overwrite, float32=float32, compression=compression
            )
        else:
            check_output(self.target, self.found.format, overwrite, self.found.paths, float32=float32)

    def write(self, result: Scan, how: Derivation, *, float32: bool, overwrite: bool) -> None:
        """Write the result."""
        if self.found.series is not None and not self.files:
            result = to_nifti(result)
        write_scan(result, self.target, float32=float32, overwrite=overwrite, derivation=how)
        if self.bids is not None:
            bids.describe(self.bids.output, self.bids.source)
            unchanged = how.action == UNCHANGED
            bids.write_sidecars(self.bids.source, self.bids.image, self.bids.output, unchanged=unchanged)


def jobs_of(
    sources: Sequence[Path], output: Path, series_uid: str | None, *, as_folder: bool = False
) -> tuple[list[Job], dict[str, int]]:
    """Return what to denoise, and why files were passed over.

    Parameters
    ----------
    sources : sequence of path
        Files, folders, patterns, DICOMDIRs and zips; a BIDS data set by itself.
    output : path
        A file for a single scan (for a DICOM series, of NIfTI, NRRD or MetaImage too); else a folder, below
        which files keep their names.
    series_uid : str, optional
        The only DICOM series to take.
    as_folder : bool
        Whether `output` is a folder though it doesn't exist yet.
    """
    into = as_folder or (output.is_dir() and not is_store(output))
    for source in sources:
        if bids.is_bids(source):
            if len(sources) > 1:
                raise InputError(f"{source}: is a BIDS data set; give it by itself, to an output of its own")
            return _bids_jobs(source, output), bids.passed_over(source)
    findings = find_scans(sources, series_uid)
    single = len(sources) == 1 and _is_the_file(findings.scans, sources[0])
    named = None if into else suffix_of(output)
    if named is not None and (not single or _is_other(findings.scans[0], output)):
        return [_file_job(sources, output, findings.scans)], findings.skipped
    if single:
        found = findings.scans[0]
        own_name = sources[0].name if found.series is not None else written_name(found)
        target = output / own_name if into else output
        files = targets_of(found.series, target, as_file=True) if found.series is not None else {}
        return [Job(found, target, files)], findings.skipped
    _check_folders(sources, output)
    jobs = []
    for found in findings.scans:
        if found.series is None:
            jobs.append(Job(found, output / written_name(found)))
        else:
            files = targets_of(found.series, output, as_file=False)
            jobs.append(Job(found, next(iter(files.values())) if len(files) == 1 else output, files))
    _refuse_doubles(jobs)
    return jobs, findings.skipped


def _is_the_file(scans: Sequence[Found], source: Path) -> bool:
    """Whether there is only the file that was named: not what a folder, DICOMDIR or zip holds."""
    return (
        (not source.is_dir() or is_store(source))
        and len(scans) == 1
        # Of a pair of files, the header is read whichever was named.
        and (scans[0].series is None or scans[0].paths == (source,))
        and not _is_in_zip(scans[0])
    )


def title_of(sources: Sequence[Path]) -> str:
    """What was given, for messages."""
    return str(sources[0]) if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"


def _is_other(found: Found, output: Path) -> bool:
    """Whether a DICOM series is to be written in another format."""
    return found.series is not None and format_of(output).name != "dicom"


def _file_job(sources: Sequence[Path], output: Path, scans: Sequence[Found]) -> Job:
    """The only scan of what was given, as the file that was named."""
    if len(scans) > 1:
        listed = "; ".join(found.name for found in scans[:_MOST_LISTED])
        more = f" and {len(scans) - _MOST_LISTED} more" if len(scans) > _MOST_LISTED else ""
        raise OutputError(
            f"{output}: is a file's name, but {title_of(sources)} holds {len(scans)} scans ({listed}{more}); "
            "name a folder, or one scan"
        )
    found = scans[0]
    _check_outside(sources, output)
    if found.series is None:
        return Job(found, output)
    fmt = format_of(output)
    if fmt.name != "dicom":
        if fmt.name not in _WITH_GEOMETRY:
            raise OutputError(
                f"{output}: {fmt.title} doesn't hold the geometry of DICOM; expected NIfTI, NRRD or "
                "MetaImage, or a folder for DICOM"
            )
        return Job(found, output)
    if len(found.series.sources) > 1:
        raise OutputError(
            f"{output}: is a file's name, but the series has {len(found.series.sources)} files; name a folder"
        )
    return Job(found, output, targets_of(found.series, output, as_file=True))


def _refuse_doubles(jobs: Sequence[Job]) -> None:
    """Raise an error if two results would go to one file."""
    names: dict[Path, str] = {}
    for job in jobs:
        for target in job.files.values() or [job.target]:
            if target in names:
                raise OutputError(
                    f"{target}: would hold the results of both {names[target]} and {job.name}; denoise "
                    "one of them by itself"
                )
            names[target] = job.name


def _check_folders(sources: Sequence[Path], output: Path) -> None:
    if output.exists() and not output.is_dir():
        what = "it is a folder" if sources[0].is_dir() and len(sources) == 1 else "there are several images"
        raise OutputError(
            f"{output}: is a file, expected a folder for the results of {title_of(sources)}, as {what}"
        )
    _check_outside(sources, output)


def _check_outside(sources: Sequence[Path], output: Path) -> None:
    """Raise an error if results would lie among the inputs."""
    for source in sources:
        if source.is_dir() and not is_store(source) and output.resolve().is_relative_to(source.resolve()):
            raise OutputError(f"{output}: lies inside the input folder {source}; choose a place elsewhere")


def _bids_jobs(source: Path, output: Path) -> list[Job]:
    """Each image of a BIDS data set; the derivative may lie in the set's own folder for these."""
    if suffix_of(output) is not None and not output.is_dir():
        raise OutputError(f"{output}: is a file's name, expected a folder for the derivative of {source}")
    inside = source.resolve() / "derivatives"
    if not output.resolve().is_relative_to(inside) or output.resolve() == inside:
        _check_folders([source], output)
    jobs = [
        Job(
            Found(image.as_posix(), (source / image,)),
            output / bids.derived_name(image),
            bids=Bids(source, output, image),
        )
        for image in bids.images_of(source)
    ]
    _refuse_doubles(jobs)
    return jobs


def written_name(found: Found) -> str:
    """Return a file's name, with the suffix of the format that its result is written in."""
    suffix = suffix_of(Path(found.name))
    wanted = _written_as(found)
    if wanted is None or suffix is None:
        return found.name
    return found.name[: -len(suffix)] + wanted.suffixes[-1]


def _written_as(found: Found) -> Format | None:
    """The other format that a scan is written in, if it isn't its own."""
    own = format_named(found.format)
    return None if own is None else own.written_as


def batches_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return which scans make a data set of their own.

    Files other than DICOM are one data set; of a BIDS data set, those of one datatype, task and suffix. A
    DICOM volume has a contrast and a noise of its own, so each is learned from by itself, but those of one
    file, which were scanned together; single images, such as X-rays, are learned from with all others of
    their modality.
    """
    groups: dict[object, list[Job]] = {}
    for number, job in enumerate(jobs):
        series = job.found.series
        if job.bids is not None:
            key: object = bids.kind_of(job.bids.image)
        elif series is None:
            key = "files"
        elif series.is_flat:
            key = ("images", series.header.modality)
        elif series.part is not None:
            key = ("parts", series.header.series_uid, series.header.kind, series.sources)
        else:
            key = number
        groups.setdefault(key, []).append(job)
    return list(groups.values())


def _is_in_zip(found: Found) -> bool:
    return found.series is not None and found.series.sources[0].member is not None

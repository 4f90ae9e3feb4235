"""What `denoise` writes beside its results: pictures, residuals, maps and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdenoise.errors import OutputError
from diffdenoise.scan.convert import to_nifti
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.registry import FORMATS, format_named, suffix_of
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.voxels import Voxels
from diffdenoise.scan.write import check_output, write_scan
from diffdenoise.trust.figure import check_picture
from diffdenoise.work.evidence import check_report
from diffdenoise.work.jobs import Job
from diffdenoise.work.maps import noise_map_of, residual_of
from diffdenoise.work.result import Result

#: Endings of pictures, pages and figures.
_PICTURE, _PAGE, _FIGURES = ".png", ".html", ".json"
#: Endings of image files.
_SUFFIXES = tuple(suffix for one in FORMATS for suffix in one.suffixes)


@dataclass(frozen=True)
class Extras:
    """Files beside the results; for several scans each is a folder, in which files are named by the scan.

    Attributes
    ----------
    picture, residual, noise : path or None
        Before, after and residual as a PNG; noisy minus denoised values; std of the noise at each voxel.
    report, uncertainty : path or None
        The trust report as a page, with its figures as JSON beside it; expected error at each voxel.
    overwrite : bool
        Replace files that exist.
    """

    picture: Path | None = None
    residual: Path | None = None
    noise: Path | None = None
    report: Path | None = None
    uncertainty: Path | None = None
    overwrite: bool = False

    @property
    def wanted(self) -> tuple[Path | None, ...]:
        """As the user named them."""
        return self.picture, self.residual, self.noise, self.report, self.uncertainty

    def check(self, jobs: Sequence[Job], again: Callable[[Job], bool], *, alone: bool) -> None:
        """Raise `OutputError` if one can't be written, or would replace an input, output or other extra.

        Parameters
        ----------
        jobs : sequence of Job
            The scans.
        again : callable
            Whether what a run wrote of a scan may be written again.
        alone : bool
            Whether there is but one scan.
        """
        if not alone:
            self._check_folders()
        taken: dict[Path, str] = {}
        for job in jobs:
            for path in (*job.files.values(), job.target):
                taken[path.absolute()] = "the output"
        for job in jobs:
            overwrite = self.overwrite or again(job)
            for path, ending in self._paths(job, alone=alone):
                if path.absolute() in taken:
                    what = taken[path.absolute()]
                    raise OutputError(f"{path}: is also {what}; give it another name")
                taken[path.absolute()] = "written for another purpose"
                if path.exists() and any(path.samefile(one) for one in job.found.paths):
                    raise OutputError(f"{path}: is also the input; give it another name")
                self._check_file(path, ending, job, overwrite)

    def _check_file(self, path: Path, ending: str | None, job: Job, overwrite: bool) -> None:
        """Raise `OutputError` if a file can't be written; figures are checked with their page."""
        if ending == _PICTURE:
            check_picture(path, overwrite)
        elif ending == _PAGE:
            check_report(path, overwrite)
        elif ending is None:
            wanted = "nifti" if job.found.series is not None else job.found.format
            check_output(path, wanted, overwrite, job.found.paths, float32=True)

    def _check_folders(self) -> None:
        """Raise an error for a file's name where several scans need a folder."""
        for given, known in (
            (self.picture, (_PICTURE,)),
            (self.report, (_PAGE, ".htm")),
            *((each, _SUFFIXES) for each in (self.residual, self.noise, self.uncertainty)),
        ):
            if given is not None and not given.is_dir() and given.name.lower().endswith(known):
                raise OutputError(f"{given}: is a file's name, but there are several scans; name a folder")

    def files_of(self, job: Job, *, alone: bool) -> list[Path]:
        """Return what is to be written beside a scan's result."""
        return [path for path, _ in self._paths(job, alone=alone)]

    def _paths(self, job: Job, *, alone: bool) -> list[tuple[Path, str | None]]:
        """Files, and their endings where these aren't the scan's own."""
        pairs = (
            (self.picture, _PICTURE),
            (self.residual, None),
            (self.noise, None),
            (self.uncertainty, None),
            (self.report, _PAGE),
        )
        found = [(_place(each, job, alone, ending), ending) for each, ending in pairs if each]
        return found + [(path.with_suffix(_FIGURES), _FIGURES) for path, ending in found if ending == _PAGE]

    def write(self, job: Job, result: Result, *, alone: bool, again: bool) -> None:
        """Write what is asked for of a result.

        Parameters
        ----------
        job, result
            A scan, before and after.
        alone : bool
            Whether it is the only scan.
        again : bool
            Whether what an earlier run wrote of it may be replaced.
        """
        overwrite = self.overwrite or again
        if self.picture is not None:
            result.save_picture(_place(self.picture, job, alone, _PICTURE), overwrite=overwrite)
        if self.residual is not None:
            scan = with_values(result.noisy, residual_of(result.noisy, result.scan))
            write_scan(scan, _place(self.residual, job, alone, None), float32=True, overwrite=overwrite)
        if self.noise is not None:
            scan = with_values(result.noisy, noise_map_of(result.noisy, result.scan, result.noise))
            write_scan(scan, _place(self.noise, job, alone, None), float32=True, overwrite=overwrite)
        if self.report is None and self.uncertainty is None:
            return
        report = result.examine()
        result.record["verdict"] = report.verdict
        if self.uncertainty is not None:
            scan = with_values(result.noisy, report.uncertainty)
            write_scan(scan, _place(self.uncertainty, job, alone, None), float32=True, overwrite=overwrite)
        if self.report is not None:
            report.write(_place(self.report, job, alone, _PAGE), overwrite=overwrite)


def with_values(noisy: Scan, values: Voxels) -> Scan:
    """Values on a scan's grid, to be written in its format; those of DICOM as NIfTI."""
    scan = noisy.with_data(values)
    if not isinstance(scan.header, Series):
        return scan
    return to_nifti(noisy).with_data(values.whole().T if values.ndim == 2 else values)


def _place(given: Path, job: Job, alone: bool, kind: str | None) -> Path:
    """Where an extra of a scan goes: the file that was named, or one in that folder."""
    if alone and not given.is_dir():
        return given
    name = Path(job.found.name).as_posix().replace("/", "_")
    suffix = suffix_of(Path(name))
    stem = name if suffix is None else name[: -len(suffix)]
    own = format_named(job.found.format)
    if kind is not None:
        return given / f"{stem}{kind}"
    if job.found.series is not None or own is None:
        return given / f"{stem}.nii.gz"
    ending = suffix if own.written_as is None else None
    return given / f"{stem}{ending or (own.written_as or own).suffixes[-1]}"

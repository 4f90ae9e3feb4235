"""What `denoise` writes beside its results: pictures, residuals and noise maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdenoise.cli.batch import Result
from diffdenoise.cli.jobs import Job
from diffdenoise.errors import OutputError
from diffdenoise.scan.convert import to_nifti
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.registry import format_named, suffix_of
from diffdenoise.scan.voxels import Computed, Voxels, map_voxels
from diffdenoise.scan.write import check_output, write_scan
from diffdenoise.trust.figure import check_picture, save_comparison
from diffdenoise.types import Array


@dataclass(frozen=True)
class Extras:
    """Files beside the results; for several scans each is a folder, in which files are named by the scan.

    Attributes
    ----------
    picture, residual, noise : path or None
        Before, after and residual as a PNG; noisy minus denoised values; std of the noise at each voxel.
    overwrite : bool
        Replace files that exist.
    """

    picture: Path | None
    residual: Path | None
    noise: Path | None
    overwrite: bool

    def check(self, jobs: Sequence[Job]) -> None:
        """Raise `OutputError` if one can't be written, or would replace an input, output or other extra."""
        taken: dict[Path, str] = {}
        for job in jobs:
            for path in (*job.files.values(), job.target):
                taken[path.absolute()] = "the output"
        for job in jobs:
            for path, is_picture in self._paths(job, alone=len(jobs) == 1):
                if path.absolute() in taken:
                    what = taken[path.absolute()]
                    raise OutputError(f"{path}: is also {what}; give it another name")
                taken[path.absolute()] = "written for another purpose"
                if path.exists() and any(path.samefile(one) for one in job.found.paths):
                    raise OutputError(f"{path}: is also the input; give it another name")
                if is_picture:
                    check_picture(path, self.overwrite)
                else:
                    wanted = "nifti" if job.found.series is not None else job.found.format
                    check_output(path, wanted, self.overwrite, job.found.paths, float32=True)

    def _paths(self, job: Job, *, alone: bool) -> list[tuple[Path, bool]]:
        pairs = ((self.picture, True), (self.residual, False), (self.noise, False))
        return [(_place(each, job, alone, is_picture), is_picture) for each, is_picture in pairs if each]

    def write(self, one: Result, noise_std: float | None, *, alone: bool) -> None:
        """Write what is asked for of a result.

        Parameters
        ----------
        one : Result
            A scan before and after.
        noise_std : float or None
            Its noise's typical std, in the scan's units.
        alone : bool
            Whether it is the only scan.
        """
        if self.picture is not None:
            save_comparison(
                _place(self.picture, one.job, alone, True),
                one.noisy,
                one.denoised,
                axis=one.noise.axis,
                noise_std=noise_std,
                overwrite=self.overwrite,
            )
        if self.residual is not None:
            residual = map_voxels(_difference, np.float64, one.noisy.voxels, one.denoised.voxels)
            self._write(one, residual, _place(self.residual, one.job, alone, False))
        if self.noise is not None:
            self._write(one, noise_map(one), _place(self.noise, one.job, alone, False))

    def _write(self, one: Result, values: Voxels, path: Path) -> None:
        scan = one.noisy.with_data(values)
        if isinstance(scan.header, Series):
            like = to_nifti(one.noisy)
            scan = like.with_data(values.whole().T if values.ndim == 2 else values)
        write_scan(scan, path, float32=True, overwrite=self.overwrite)


def _difference(before: Array, after: Array) -> Array:
    return before.astype(np.float64) - after.astype(np.float64)


def noise_map(one: Result) -> Voxels:
    """Return the stated std of the noise at each voxel, in the scan's units; 0 where there is no data."""
    noise, ready = one.noise.model, one.noise.ready

    def levels_in(volume: int, first: int, last: int) -> Array:
        before, after = (
            each.voxels.slab(ready.axis, volume, first, last) for each in (one.noisy, one.denoised)
        )
        clean = np.nan_to_num(ready.intensities.scale(after))
        levels = np.interp(clean, noise.brightness, noise.stds) * ready.intensities.range
        nothing = ready.regions.no_data_in(volume, first, before)
        return levels if nothing is None else np.where(nothing, 0.0, levels)

    return Computed(one.noisy.shape, np.dtype(np.float64), ready.axis, levels_in)


def _place(given: Path, job: Job, alone: bool, is_picture: bool) -> Path:
    """Where an extra of a scan goes: the file that was named, or one in that folder."""
    if alone and not given.is_dir():
        return given
    name = Path(job.found.name).as_posix().replace("/", "_")
    suffix = suffix_of(Path(name))
    stem = name if suffix is None else name[: -len(suffix)]
    own = format_named(job.found.format)
    if is_picture:
        return given / f"{stem}.png"
    if job.found.series is not None or own is None:
        return given / f"{stem}.nii.gz"
    written = own if own.written_as is None else format_named(own.written_as)
    ending = suffix if own.written_as is None else None
    return given / f"{stem}{ending or (written or own).suffixes[-1]}"

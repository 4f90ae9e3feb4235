"""A trust report that somebody asks for, of two scans that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffdenoise.config import Settings
from diffdenoise.errors import OutputError, ShapeError
from diffdenoise.model.again import Again
from diffdenoise.model.named import find_model
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.plan import make_plan
from diffdenoise.scan.convert import on_grid_of
from diffdenoise.scan.dicom.series import Series
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.write import check_output, write_scan
from diffdenoise.work.evidence import Inquiry, TrustReport, check_report, examine_result
from diffdenoise.work.extras import with_values

#: Millimetres that affines may differ by through rounding.
_SAME_MM = 0.01


@dataclass(frozen=True)
class Asked:
    """What is wanted.

    Attributes
    ----------
    page, uncertainty : path or None
        Files to write.
    model : str, path or None
        That denoised the scan: a folder, or a name of the package's weights; None: not known.
    device : str
        To run it on.
    threads : int or None
        CPU threads.
    axis : int or None
        Array axis across the slices.
    seed : int
        Of all draws.
    overwrite : bool
        Whether files that are there may be replaced.
    """

    page: Path | None = None
    uncertainty: Path | None = None
    model: str | Path | None = None
    device: str = "auto"
    threads: int | None = None
    axis: int | None = None
    seed: int = 0
    overwrite: bool = False

    def check(self, inputs: Sequence[Path]) -> None:
        """Raise `OutputError` if a file can't be written, or would replace an input."""
        for path in inputs:
            if self.uncertainty is not None and self.uncertainty.exists() and self.uncertainty.samefile(path):
                raise OutputError(f"{self.uncertainty}: is also the input; give it another name")
        if self.page is not None:
            beside = check_report(self.page, self.overwrite)
            taken = {path.absolute() for path in (*inputs, self.page)}
            if beside.absolute() in taken:
                raise OutputError(f"{beside}: is needed for the figures; give the page another name")
        if self.model is not None:
            find_model(self.model)


def report_on(noisy: Scan, denoised: Scan, region: Scan | None, asked: Asked) -> TrustReport:
    """Examine a result, and write what is wanted of that.

    Parameters
    ----------
    noisy, denoised : Scan
        Before and after.
    region : Scan, optional
        Nonzero inside a region whose mean is wanted.
    asked : Asked
        What is wanted.

    Raises
    ------
    DiffDenoiseError
        If shapes or places in space differ, the model can't be read, or a file can't be written.
    """
    denoised = _on_grid(denoised, noisy)
    region = None if region is None else _on_grid(region, noisy)
    if region is not None and region.shape[:3] != noisy.shape[:3]:
        shapes = ("x".join(map(str, each.shape[:3])) for each in (region, noisy))
        raise ShapeError(
            "{}: found shape {}, expected the scan's {}; give a region on its grid".format(
                region.name, *shapes
            )
        )
    if asked.uncertainty is not None:
        wanted = "nifti" if isinstance(noisy.header, Series) else noisy.format
        check_output(asked.uncertainty, wanted, asked.overwrite, (), float32=True)
    noise = diagnose(noisy, asked.axis)
    roi = None
    if region is not None:
        inside = np.asarray(region.data) != 0
        roi = np.broadcast_to(inside.reshape(inside.shape + (1,) * (noisy.ndim - inside.ndim)), noisy.shape)
    again, training = _denoiser(noisy, noise, asked)
    inquiry = Inquiry(noisy, denoised, noise, again, {"training": training}, roi)
    report = examine_result(inquiry, asked.seed)
    if asked.page is not None:
        report.write(asked.page, overwrite=asked.overwrite)
    if asked.uncertainty is not None:
        scan = with_values(noisy, report.uncertainty)
        write_scan(scan, asked.uncertainty, float32=True, overwrite=asked.overwrite)
    return report


def _on_grid(scan: Scan, noisy: Scan) -> Scan:
    """A scan in the noisy one's order of voxels, where both say where these lie."""
    if scan.affine is None or noisy.affine is None or scan.ndim != noisy.ndim or scan.ndim < 3:
        return scan
    if scan.shape == noisy.shape and np.allclose(scan.affine, noisy.affine, atol=_SAME_MM):
        return scan
    return replace(noisy.with_data(on_grid_of(scan, noisy)), name=scan.name)


def _denoiser(noisy: Scan, noise: Noise, asked: Asked) -> tuple[Again | None, dict[str, object]]:
    """The model that was named, for this scan; and its record."""
    if asked.model is None:
        return None, {}
    # Imported here: without a model neither is needed.
    from diffdenoise.model import Model
    from diffdenoise.model.instant import check_weights, instant_model

    found = find_model(asked.model)
    if isinstance(found, Path):
        model = Model.load(found, asked.device, asked.threads)
        return Again(model, noise, own=False), model.record
    check_weights(found, noise)
    plan = make_plan([noisy], Settings(), [noise])
    model = instant_model(plan, asked.device, asked.threads, found)
    return Again(model, noise, own=True), model.record

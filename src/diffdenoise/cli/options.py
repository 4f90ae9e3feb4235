"""Options that several commands share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Private(StrEnum):
    """What becomes of private DICOM elements."""

    keep = "keep"
    drop = "drop"


class Compression(StrEnum):
    """How derived DICOM images are stored."""

    none = "none"
    jpeg_ls = "jpeg-ls"
    jpeg_2000 = "jpeg-2000"


_DICOM = "DICOM"
_TRAINING = "Training"
_GENERAL = "General"

Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="INPUT...", help="Noisy scans: files, DICOM series, or folders of them."),
]
Output = Annotated[Path, typer.Option("-o", "--output", help="File to write; a folder for several scans.")]
UseModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="DIR|NAME",
        help="Trained model to use; or general or magnitude, of the package's own weights.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="With --model: denoise a scan that isn't like those it was trained on."),
]
Pairs = Annotated[
    int | None,
    typer.Option(help="Symmetric pairs averaged in sampling (default 1).", rich_help_panel=_TRAINING),
]
SaveModel = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the trained model here.", rich_help_panel=_TRAINING),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.png",
        help="Write a before/after/residual picture; of several scans, one each in this folder.",
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Image on INPUT's grid; where it is 0, nothing is changed."),
]
Strength = Annotated[
    float, typer.Option(help="Share of the residual that is taken off, 0 (nothing) to 1 (all of it).")
]
SaveResidual = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write noisy minus denoised values (DICOM's as NIfTI)."),
]
SaveNoise = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the noise's standard deviation at each voxel."),
]
SaveUncertainty = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the error to expect at each voxel (DICOM's as NIfTI)."),
]
TrustPage = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help="Write a page that tells what was lost or invented, and its figures as JSON beside it.",
    ),
]
ResumeAll = Annotated[
    bool,
    typer.Option("--resume", help="Go on where a run was stopped; scans that are done and unchanged stay."),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="With --resume: try scans again that failed.")
]

Minutes = Annotated[
    float | None,
    typer.Option(
        help="Learn from the scan itself first, so many minutes (4 gained -0.37 to +0.62 dB in benchmarks).",
        rich_help_panel=_TRAINING,
    ),
]
TrainMinutes = Annotated[
    float | None,
    typer.Option(help="Time budget in minutes (default 10).", rich_help_panel=_TRAINING),
]


class RecipeName(StrEnum):
    """Settings that belong together."""

    paper = "paper"


Recipe = Annotated[
    RecipeName | None,
    typer.Option(
        help="The method as published, without what was added to it here (three rounds, no refinement).",
        rich_help_panel=_TRAINING,
    ),
]
Iterations = Annotated[
    int | None,
    typer.Option(
        help="Rounds of the method, each starting from the last one's result (default 1).",
        rich_help_panel=_TRAINING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of all random draws (default 0).", rich_help_panel=_TRAINING),
]
NoiseStd = Annotated[
    float | None,
    typer.Option(
        help="Noise std in the scan's own units (default, and where the scan contradicts it: as it shows).",
        rich_help_panel=_TRAINING,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="Settings file (YAML), such as the settings.yaml of a model.", rich_help_panel=_TRAINING
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One setting, such as stage3.draws=4; may be repeated.",
        rich_help_panel=_TRAINING,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with a training that was stopped.", rich_help_panel=_TRAINING),
]
Axis = Annotated[
    int | None,
    typer.Option(min=0, max=2, help="Array axis across the slices (default: from the voxel sizes)."),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads to use (default: all cores).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Float = Annotated[bool, typer.Option("--float", help="Write float32 instead of the input's type.")]
SeriesUid = Annotated[
    str | None,
    typer.Option(
        "--series", metavar="UID", help="Only the series with this SeriesInstanceUID.", rich_help_panel=_DICOM
    ),
]
UidRoot = Annotated[
    str | None,
    typer.Option(
        metavar="ROOT",
        help="Root of new UIDs, made from the source's, the settings and the result (default: random ones).",
        rich_help_panel=_DICOM,
    ),
]
PrivateOption = Annotated[
    Private, typer.Option("--private", help="What becomes of private elements.", rich_help_panel=_DICOM)
]
CompressionOption = Annotated[
    Compression,
    typer.Option("--compress", help="Compression of the result, lossless.", rich_help_panel=_DICOM),
]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Print nothing but errors.", rich_help_panel=_GENERAL)
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel=_GENERAL)
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", help="Show the traceback of an error, and warnings of libraries.", rich_help_panel=_GENERAL
    ),
]

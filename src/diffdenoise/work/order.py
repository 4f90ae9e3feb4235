"""What is wanted of a run: inputs, where results go, and how they are made."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diffdenoise.errors import SettingsError, option
from diffdenoise.packages import check_matplotlib, check_torch
from diffdenoise.scan.dicom.derive import Derivation, checked_uid_root
from diffdenoise.scan.folder import check_name
from diffdenoise.work.extras import Extras
from diffdenoise.work.finish import check_strength
from diffdenoise.work.journal import digest_of
from diffdenoise.work.result import METHOD, METHOD_AT_ONCE

if TYPE_CHECKING:
    from diffdenoise.config import Settings


@dataclass(frozen=True)
class Dicom:
    """Which DICOM series, and how the derived one is made.

    Attributes
    ----------
    series : str or None
        The only series to take, by its SeriesInstanceUID.
    uid_root, private, compression
        See `Derivation`.
    """

    series: str | None = None
    uid_root: str | None = None
    private: Literal["keep", "drop"] = "keep"
    compression: Literal["none", "jpeg-ls", "jpeg-2000"] = "none"


@dataclass(frozen=True)
class Again:
    """What becomes of what is there already.

    Attributes
    ----------
    resume : bool
        Go on where an earlier run stopped: what it finished is left as it is.
    retry_failed : bool
        Going on, try scans again that failed.
    overwrite : bool
        Replace files that exist.
    """

    resume: bool = False
    retry_failed: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Machine:
    """Where to compute.

    Attributes
    ----------
    device : str
        "auto", "cpu" or "cuda".
    threads : int or None
        CPU threads; None: as many as there are cores.
    """

    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class Order:
    """A wish to have scans denoised.

    Attributes
    ----------
    inputs : tuple of path
        Files, folders, patterns, DICOMDIRs and zips.
    output : path
        A file for a single scan; else a folder.
    settings : Settings
        Of a training.
    as_folder : bool
        Whether `output` is a folder though it doesn't exist yet.
    axis : int or None
        Slice axis asked for.
    mask : path or None
        Image that is 0 where nothing is to be changed.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    model : path, str or None
        Folder of a trained model to use, or name of the package's weights; None: learn from the inputs, or
        take those of the package's weights that fit the noise.
    force : bool
        Denoise scans that aren't like those that the model was trained on, too.
    save_model : path or None
        Where to keep the model that is trained.
    extras : Extras
        What else to write.
    float32 : bool
        Store float32 instead of the source's type.
    again : Again
        What becomes of what is there already.
    machine : Machine
        Where to compute.
    dicom : Dicom
        Which series, and how the derived one is made.
    """

    inputs: tuple[Path, ...]
    output: Path
    settings: Settings
    as_folder: bool = False
    axis: int | None = None
    mask: Path | None = None
    strength: float = 1.0
    model: Path | str | None = None
    force: bool = False
    save_model: Path | None = None
    extras: Extras = field(default_factory=Extras)
    float32: bool = False
    again: Again = Again()
    machine: Machine = Machine()
    dicom: Dicom = Dicom()

    @property
    def folder(self) -> Path | None:
        """Folder of the trained model to use."""
        return self.model if isinstance(self.model, Path) else None

    @property
    def weights(self) -> str | None:
        """Name of the package's weights to take."""
        return self.model if isinstance(self.model, str) else None

    @property
    def trains(self) -> bool:
        """Whether the inputs are learned from."""
        return self.folder is None and self.settings.trains

    def check(self) -> None:
        """Raise an error for what no input could put right.

        Raises
        ------
        SettingsError, OutputError
            If wishes contradict each other, or a name can be no file's.
        """
        for path in (self.output, *self.extras.wanted):
            if path is not None:
                check_name(path)
        check_strength(self.strength)
        if self.force and self.folder is None:
            raise SettingsError(
                f"{option('force')}: has an effect with {option('model', python='a model')} only; "
                "leave it out, or name a model"
            )
        if self.folder is None:
            # Imported here: the settings' schema takes a tenth of a second, which `--help` needn't spend.
            from diffdenoise.work.idle import check_at_once

            check_at_once(self.settings, self.weights)
        if self.trains:
            check_torch()
        if self.extras.picture is not None:
            check_matplotlib()
        if self.save_model is not None and not self.trains:
            raise SettingsError(
                f"{option('save-model', python='save_model')}: nothing is trained; add "
                f"{option('minutes', '10', python='minutes=10')}, or leave it out"
            )
        if self.again.retry_failed and not self.again.resume:
            raise SettingsError(
                f"{option('retry-failed')}: has an effect with {option('resume')} only; "
                "add that, or leave it out"
            )

    def derivation(self) -> Derivation:
        """What is said of derived DICOM series."""
        return Derivation(
            fingerprint=self.settings.model_dump_json() + self._weights(),
            method=METHOD if self.folder is not None or self.trains else METHOD_AT_ONCE,
            uid_root=None if self.dicom.uid_root is None else checked_uid_root(self.dicom.uid_root),
            private=self.dicom.private,
            compression=self.dicom.compression,
        )

    def decisive(self) -> list[Any]:
        """All wishes that a result depends on, for JSON."""
        mask = None if self.mask is None else digest_of(self.mask).hex()
        with_model = self.folder is not None
        return [
            self._weights() if with_model else [self.settings.model_dump(mode="json"), self._weights()],
            *(self.axis, mask, self.strength, self.force),
            *(self.float32, self.dicom.uid_root, self.dicom.private, self.dicom.compression),
            # Not where they lie: a folder may be moved.
            [path is not None for path in self.extras.wanted],
        ]

    def _weights(self) -> str:
        """Digest of the weights that are there before; nothing for those that are to be trained."""
        if self.folder is None and not self.trains:
            from diffdenoise.model.instant import start_digest

            return start_digest() + (self.weights or "")
        return weights_digest(self.folder)


def weights_digest(model: Path | None) -> str:
    """Digest of a trained model's weights; nothing for none."""
    if model is None:
        return ""
    from diffdenoise.model.folder import MOST_WEIGHTS_BYTES, STUDENT, read_model_file

    if not os.path.lexists(model / STUDENT):
        return ""
    return hashlib.sha256(read_model_file(model, STUDENT, MOST_WEIGHTS_BYTES)).hexdigest()

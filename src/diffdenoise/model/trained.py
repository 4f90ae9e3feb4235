"""A trained model: the student in memory, and its folder on disk."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from diffdenoise.config import Settings
from diffdenoise.errors import ModelError, OutputError
from diffdenoise.model.backends import choose_device, make_backend
from diffdenoise.model.bundle import about_model, check_bundle_place, write_bundle
from diffdenoise.model.denoiser import Denoiser
from diffdenoise.model.export import exported
from diffdenoise.model.folder import RECORD, check_model_folder, read_record, read_settings, read_weights
from diffdenoise.model.graph import Weights, shapes
from diffdenoise.model.known import LEAST_STD, domain_at, domain_of, most_axes, spacing_of
from diffdenoise.model.record import ModelRecord
from diffdenoise.noise.domain import Domain, entered
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.place import PlaceMap
from diffdenoise.noise.rician import bias_correction
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.scan.atomic import atomic_path
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.scan import Scan
from diffdenoise.trust.character import Character, character_of, differences
from diffdenoise.trust.result_check import check_result
from diffdenoise.types import Progress, Quiet


class Denoised(NamedTuple):
    """A scan that a model has denoised.

    Attributes
    ----------
    scan : Scan
        Real values in the scan's own units (float64).
    doubts : tuple of str
        What is wrong with the result, in words: see `trust.result_check`.
    """

    scan: Scan
    doubts: tuple[str, ...]


class Model:
    """A trained denoiser.

    Attributes
    ----------
    folder : Path
        Where it is stored.
    settings : Settings
        What it was trained with; its schedule repeats the training.
    details : ModelRecord
        Training record: versions, data fingerprint, noise, steps, seconds, losses.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        details: ModelRecord,
        weights: Weights,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.details = details
        self._weights = weights
        self._device = device
        self._threads = threads

    @cached_property
    def denoiser(self) -> Denoiser:
        """The student on its device; made when it is first needed."""
        backend = make_backend(self._weights, self._device, self._threads)
        details = self.details
        turns = self.noise.correlation.alike_turns()[: details.orientations]
        return Denoiser(backend, details.neighbours, self.settings.stage3.width, turns)

    @property
    def noise(self) -> NoiseModel:
        """The training data's noise as found, in scaled intensities."""
        return self.details.noise.model()

    @property
    def record(self) -> dict[str, Any]:
        """The training record as plain lists, numbers and texts."""
        return self.details.as_dict()

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto", threads: int | None = None) -> Self:
        """Read a model folder.

        Parameters
        ----------
        folder : str or path
            As written by training.
        device : {"auto", "cpu", "cuda"}
            Where it is to run.
        threads : int, optional
            CPU threads.

        Raises
        ------
        ModelError
            If the folder is missing, unfinished or damaged, or holds what a model folder doesn't.
        DeviceError
            If the device is absent.
        """
        folder = Path(folder)
        check_model_folder(folder)
        where = choose_device(device, threads)
        details, settings = read_record(folder), read_settings(folder)
        if settings.data.neighbours not in (None, details.neighbours):
            raise ModelError(
                f"{folder}: {RECORD} and settings.yaml disagree on the neighbours; get the model again"
            )
        # What the folder says is compared before anything of its size is made.
        weights = read_weights(folder, shapes(1 + 2 * details.neighbours, settings.stage3.width))
        return cls(folder, settings, details, weights, where, threads)

    def save_onnx(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model for other programs, as an ONNX file.

        It takes "noisy" (n, channels, h, w), float32: slices in the scan's own intensities, each with those
        beside it (before, after, nearest first), and of the whole scan the 0.5th and 99.5th percentile, "low"
        and "high". It gives "denoised" (n, 1, h, w) in the same intensities, of one orientation, a Rician
        bias included. The noise is that which the model was trained on.

        Parameters
        ----------
        path : str or path
            File to make.
        overwrite : bool
            Replace a file that is there.

        Returns
        -------
        path
            As given.

        Raises
        ------
        OutputError
            If it can't be written there.
        ModelError
            If the noise's level varies from place to place.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists already; choose another name or overwrite it")
        content = self._exported()
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
        return path

    def save_bundle(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model as a MONAI bundle: the file of `save_onnx`, with what runs and describes it.

        Parameters
        ----------
        path : str or path
            Folder to make.
        overwrite : bool
            Replace a bundle that is there.

        Returns
        -------
        path
            As given.

        Raises
        ------
        OutputError
            If it can't be written there.
        ModelError
            If the noise's level varies from place to place.
        """
        path = Path(path)
        check_bundle_place(path, overwrite)
        channels, axis = 1 + 2 * self.details.neighbours, self.settings.data.axis
        content, about = self._exported(), about_model(self.details)
        with atomic_path(path) as temporary:
            temporary.mkdir()
            write_bundle(temporary, content, channels, axis, about)
        return path

    def _exported(self) -> bytes:
        """The content of an ONNX file."""
        details = self.details
        domain = Domain(self.noise, details.level, None if details.rician_std is None else 0.0)
        about = {"trained_on": (details.fingerprint or "no scan")[:16], "kept_share": str(details.kept_share)}
        return exported(self._weights, domain, about)

    def __repr__(self) -> str:
        data = self.record.get("data", {})
        return (
            f"Model({str(self.folder)!r}, trained on {data.get('slices')} slices of "
            f"{' and '.join(data.get('slice_sizes', []))} pixels, "
            f"noise {self.noise.typical_std:.2%} of the range)"
        )

    def noise_of(self, scan: Scan, axis: int | None = None) -> Noise:
        """Return the statement of a scan's noise, along the axis asked for, or else that trained with.

        Raises
        ------
        InputError
            If it can't be denoised.
        """
        check_scan(scan)
        if axis is None and scan.ndim > 2:
            axis = self.settings.data.axis
        return diagnose(scan, axis)

    def denoise_scan(
        self,
        scan: Scan,
        noise: Noise,
        *,
        progress: Progress | None = None,
        force: bool = False,
        own: bool = False,
    ) -> Denoised:
        """Denoise one scan.

        Parameters
        ----------
        scan : Scan
            2-D, 3-D or 4-D.
        noise : Noise
            What is known of its noise, and the slices that it is cut into.
        progress : Progress, optional
            Told about each slice, and what is doubtful about the result.
        force : bool
            Denoise a scan that isn't like those trained on, too.
        own : bool
            Whether it is one of those, which needn't be asked.

        Returns
        -------
        Denoised
        """
        progress = progress or Quiet()
        ready = noise.ready
        neighbours, fewest = self.details.neighbours, min(count for count, _, _ in ready.shapes)
        if fewest < max(1, 2 * neighbours):
            raise ModelError(
                f"{scan.name}: has {fewest} slice(s), but the model takes "
                f"{neighbours} neighbour(s) on either side; train a model with data.neighbours=0"
            )
        foreign = [] if own else self.differences(character_of(scan, noise))
        if foreign and not force:
            raise ModelError(
                f"{scan.name}: is not like what {self.folder} was trained on: {'; '.join(foreign)}; train a "
                "model on scans like it, or force it"
            )
        domain, places = self.domain_for(noise, own)
        volumes = entered(ready.volumes, domain, places)
        axes = min(self.details.axes, self._most_axes(scan, noise))
        denoised = self.denoiser.denoise(volumes, domain.level, progress, axes)
        if not all(np.isfinite(one).all() for stack in denoised for one in stack):
            raise ModelError(f"{self.folder}: gave values that are no numbers; its weights are damaged")
        checked = check_result(ready.measurable(), denoised, noise.diagnosis, noise.factors)
        doubts = (*foreign, *([] if checked is None else checked.doubts))
        for doubt in doubts:
            progress.say(f"{scan.name}: look closer: {doubt}")
        magnitude = self.magnitude_of(noise, own)
        if magnitude is not None:
            factors = noise.factors
            undo = bias_correction(denoised, *magnitude, ready.intensities.zero, factors)
            for volume, stack in enumerate(denoised):
                for number in range(len(stack)):
                    factor = 1.0 if factors is None else factors[volume][number]
                    stack[number : number + 1] = undo(stack[number : number + 1], factor)
        return Denoised(scan.with_data(ready.restored(denoised)), doubts)

    def _most_axes(self, scan: Scan, noise: Noise) -> int:
        spacing = spacing_of(scan, noise.axis)
        return most_axes(noise.ready.shapes, self.details.neighbours, spacing, self.noise.correlation)

    def domain_for(self, noise: Noise, own: bool) -> tuple[Domain, list[PlaceMap | None]]:
        """Where a scan is denoised, and how its level varies over its volumes.

        The scan's own level and spectrum; what the training took for them only on the scans of the training.
        """
        zero, place = noise.ready.intensities.zero, noise.model.place
        if own:
            domain = domain_of(self.noise, noise.diagnosis, zero)
            domain = replace(domain, level=self.details.level)
            place = None if self.noise.place is None else place
            domain = domain_at(domain, zero, place)
        else:
            domain = domain_of(noise.model.raised_to(LEAST_STD), noise.diagnosis, zero)
        return domain, [place] * len(noise.ready.shapes)

    def magnitude_of(self, noise: Noise, own: bool) -> tuple[float, int] | None:
        """Std (scaled intensities) and coils of the noise whose bias is to be undone; None: there is none."""
        if self.details.rician_std is None or not noise.ready.regions.seen.least >= 0:
            return None
        # The scan's own level; that of the training only for the scans that it was found on.
        if noise.diagnosis.rician_std is not None:
            return noise.diagnosis.rician_std, noise.diagnosis.coils
        return (self.details.rician_std, self.details.coils) if own else None

    def differences(self, scan: Character) -> list[str]:
        """Return in words what tells a scan from those that this model was trained on."""
        known = [one.character() for one in self.details.trained_on]
        return differences(known, scan, self.details.neighbours)

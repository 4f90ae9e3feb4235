"""A trained model: the student in memory, and its folder on disk."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from diffdenoise.bars import watching
from diffdenoise.character import Character, character_of, differences
from diffdenoise.config import Settings
from diffdenoise.errors import InputError, ModelError
from diffdenoise.finish import check_strength, finish
from diffdenoise.images import read_images, warn
from diffdenoise.method.student import denoise_turned
from diffdenoise.model_record import RECORD, STUDENT, ModelRecord, read_record, read_settings, read_weights
from diffdenoise.networks.unet import UNet
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.rician import signal_of_denoised
from diffdenoise.noise.statement import Noise, diagnose
from diffdenoise.result import Result
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.prepared import Prepared
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.volume import in_memory
from diffdenoise.training.hardware import Hardware, choose_hardware
from diffdenoise.training.slices import Slices
from diffdenoise.trust.result_check import check_result
from diffdenoise.types import Progress, Quiet, Stack


def student_network(settings: Settings, neighbours: int) -> UNet:
    """Return an untrained student for slices with that many neighbours on either side."""
    return UNet(1 + 2 * neighbours, 1, settings.stage3.width)


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
        student: nn.Module,
        hardware: Hardware,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.details = details
        self._student = hardware.place(student).eval()
        self._hardware = hardware

    @property
    def noise(self) -> NoiseModel:
        """The training data's noise as found, in scaled intensities."""
        return self.details.noise.model()

    @property
    def record(self) -> dict[str, Any]:
        """The training record as plain lists, numbers and texts."""
        return self.details.as_dict()

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto", threads: int | None = None) -> Model:
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
        if not folder.is_dir():
            raise ModelError(f"{folder}: no such model folder; train one with: diffdenoise train")
        if not os.path.lexists(folder / RECORD):
            if (folder / "work").is_dir():
                raise ModelError(f"{folder}: its training has not finished; go on with --resume")
            raise ModelError(f"{folder}: is not a model folder; it has no {RECORD}")
        hardware = choose_hardware(device, threads)
        details, settings = read_record(folder), read_settings(folder)
        if settings.data.neighbours not in (None, details.neighbours):
            raise ModelError(
                f"{folder}: {RECORD} and settings.yaml disagree on the neighbours; get the model again"
            )
        # Shapes without memory: what the folder says is compared before anything of its size is made.
        with torch.device("meta"):
            planned = student_network(settings, details.neighbours).state_dict()
        content = read_weights(folder, {name: tuple(tensor.shape) for name, tensor in planned.items()})
        student = student_network(settings, details.neighbours)
        try:
            tensors = load(content)
            student.load_state_dict(tensors)
        except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder / STUDENT}: is damaged or incomplete; get the model again or train anew"
            ) from error
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ModelError(
                f"{folder / STUDENT}: holds NaN or infinite weights; get the model again or train anew"
            )
        return cls(folder, settings, details, student, hardware)

    def denoise(
        self,
        scan: Any,
        *,
        axis: int | None = None,
        progress: Progress | bool | None = None,
        mask: Any = None,
        strength: float = 1.0,
        force: bool = False,
        return_result: bool = False,
    ) -> Any:
        """Denoise images in whatever form they come.

        Parameters
        ----------
        scan : image, path, or sequence of these
            See `diffdenoise.denoise`.
        axis : int, optional
            Slice axis; by default the one trained with, or the one chosen from the voxel sizes.
        progress : bool or Progress, optional
            True: a bar. Or an object that is told about each slice.
        mask, strength, force, return_result
            See `diffdenoise.denoise`.

        Returns
        -------
        same kind as given, Result, or list
            See `diffdenoise.denoise`.

        Raises
        ------
        InputError
            If an image can't be denoised.
        ModelError
            If the model doesn't fit it.
        """
        check_strength(strength)
        images = read_images(scan)
        if mask is not None:
            images = images.with_mask(mask)
        results: dict[int, Result] = {}
        with watching(progress) as told:
            for image in images.flat:
                try:
                    results[id(image)] = self._result(image.scan, axis, strength, told, force)
                except (InputError, ModelError) as error:
                    if image.must:
                        raise
                    warn(f"left out: {error}")
        return images.give(results, as_results=return_result)

    def _result(
        self, scan: Scan, axis: int | None, strength: float, progress: Progress, force: bool
    ) -> Result:
        """Denoise one scan, and record what is known of it."""
        began = time.monotonic()
        noise = self.noise_of(scan, axis)
        denoised = self.denoise_scan(scan, noise, progress=progress, force=force)
        return finish(
            scan,
            denoised.scan,
            noise=noise,
            doubts=denoised.doubts,
            seconds=time.monotonic() - began,
            strength=strength,
            training=self.record,
        )

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
        if axis is None and scan.data.ndim > 2:
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
        noisy = ready.stacks
        neighbours = self.details.neighbours
        if min(len(stack) for stack in noisy) < max(1, 2 * neighbours):
            raise ModelError(
                f"{scan.name}: has {min(len(stack) for stack in noisy)} slice(s), but the model takes "
                f"{neighbours} neighbour(s) on either side; train a model with data.neighbours=0"
            )
        foreign = [] if own else self.differences(character_of(scan, noise))
        if foreign and not force:
            raise ModelError(
                f"{scan.name}: is not like what {self.folder} was trained on: {'; '.join(foreign)}; train a "
                "model on scans like it, or force it"
            )
        denoised = self._denoise_stacks(ready, neighbours, progress)
        checked = check_result(ready.measurable(), denoised, noise.diagnosis)
        doubts = (*foreign, *([] if checked is None else checked.doubts))
        for doubt in doubts:
            progress.say(f"{scan.name}: look closer: {doubt}")
        # The scan's own level; that of the training only for the scans that it was found on.
        rician_std = noise.diagnosis.rician_std or (self.details.rician_std if own else None)
        if self.details.rician_std is None:
            rician_std = None
        if rician_std is not None and float(scan.data.min()) >= 0:
            zero = ready.intensities.zero
            signal = signal_of_denoised([stack - zero for stack in denoised], rician_std)
            denoised = [stack + zero for stack in signal]
        if not all(np.isfinite(stack).all() for stack in denoised):
            raise ModelError(f"{self.folder}: gave values that are no numbers; its weights are damaged")
        return Denoised(scan.with_data(ready.restored(denoised)), doubts)

    def differences(self, scan: Character) -> list[str]:
        """Return in words what tells a scan from those that this model was trained on."""
        known = [one.character() for one in self.details.trained_on]
        return differences(known, scan, self.details.neighbours)

    @torch.no_grad()
    def _denoise_stacks(self, ready: Prepared, neighbours: int, progress: Progress) -> list[Stack]:
        slices = Slices(in_memory(ready.stacks, ready.known), neighbours)
        progress.start("denoising")
        flat = []
        for number in range(len(slices)):
            whole = slices.whole(number)
            if slices.is_empty(number):
                flat.append(whole[0, 0].numpy())
            else:
                item = whole.to(self._hardware.device, memory_format=torch.channels_last)
                with self._hardware.autocast():
                    output = denoise_turned(self._student, item, self.details.orientations)
                flat.append(output[0, 0].cpu().numpy())
            progress.advance(number + 1, len(slices), None, None)
        progress.finish()
        results = []
        for stack in ready.stacks:
            results.append(np.stack(flat[: len(stack)]))
            flat = flat[len(stack) :]
        return results

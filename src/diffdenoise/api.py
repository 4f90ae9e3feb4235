"""The method from Python: images, paths or lists of them in, the same kind out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diffdenoise import model as trained
from diffdenoise.bars import watching
from diffdenoise.config import Settings
from diffdenoise.errors import DivergedError, InputError, ModelError, SettingsError
from diffdenoise.groups import each_at_once, learned_together
from diffdenoise.images import checked, find, read_images, scan_of, warn
from diffdenoise.kinds import Kind, is_path, kind_of
from diffdenoise.model.folder import is_model_folder
from diffdenoise.model.named import card_of, find_model
from diffdenoise.noise import simulate as simulation
from diffdenoise.noise.statement import diagnose
from diffdenoise.packages import check_torch
from diffdenoise.scan.find import read_scans
from diffdenoise.scan.folder import check_outside_stores
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust import metrics
from diffdenoise.types import Progress
from diffdenoise.work.facts import Facts, describe, facts_or_problem, look_at, model_facts, of_series
from diffdenoise.work.finish import check_strength
from diffdenoise.work.idle import check_at_once
from diffdenoise.work.learn import apply_model
from diffdenoise.work.result import Result


def denoise(
    scan: Any,
    *,
    minutes: float | None = None,
    model: Model | str | Path | None = None,
    settings: Settings | None = None,
    mask: Any = None,
    strength: float = 1.0,
    force: bool = False,
    axis: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | bool | None = None,
    return_result: bool = False,
) -> Any:
    """Denoise an image: at once, by training on it alone, or with a trained model.

    Parameters
    ----------
    scan : image, path, or sequence of these
        2-D, 3-D or 4-D: a NumPy array, torch tensor, Scan, or nibabel, SimpleITK, ITK or ANTs image. A file,
        or a folder, DICOMDIR or zip of one DICOM series. A list, a folder of several images, or a glob.
    minutes : float, optional
        Wall-clock budget for training on the image; not with `model`. None: the weights that come with the
        package are taken, which takes seconds. Images given in one call are learned from together, as one
        data set within this time; DICOM volumes each by itself, for this time each.
    model : Model, str or path, optional
        A trained model or its folder; then it takes seconds. Or "general" or "magnitude": those of the
        package's weights, and not the ones that fit the noise.
    settings : Settings, optional
        Everything else; `minutes`, `axis` and `seed` win over it.
    mask : image or path, optional
        Nonzero where the image is to be denoised: the rest comes back as it was, and is not learned from. A
        list of as many for a list.
    strength : float
        Share of the residual that is taken off, 0 to 1.
    force : bool
        With `model`: denoise an image that isn't like those that it was trained on, too.
    axis : int, optional
        Slice axis of a volume.
    seed : int, optional
        Seed of every random draw.
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    threads : int, optional
        CPU threads.
    progress : bool or Progress, optional
        True: a bar for each stage, in notebooks as a widget. Or an object that is told of stages and steps.
    return_result : bool
        Whether images in memory come back as a `Result` too.

    Returns
    -------
    same kind as given, Result, or list
        An image in memory comes back as its own kind, with its geometry and dtype; integers are rounded and
        clipped. A path that stands for one scan gives a `Result`. Lists, folders of several images (of files
        other than DICOM: any folder) and globs give lists, of a folder's images without those that can't be
        denoised.

    Warns
    -----
    UserWarning
        If an image has less noise than `Settings.clean_below_contrast`, and comes back as it was. If it
        contradicts `Settings.noise_std`. If one of a folder is left out, with the reason.

    Raises
    ------
    DiffDenoiseError
        If an image, the settings, the device or the model don't fit.
    """
    check_strength(strength)
    named = find_model(model) if isinstance(model, str) else None
    weights = named if isinstance(named, str) else None
    if model is not None and weights is None:
        if minutes is not None or settings is not None or seed is not None:
            raise SettingsError(
                "minutes, settings and seed have no effect with a trained model; leave them out, or the model"
            )
        use = model if isinstance(model, Model) else load(model, device, threads)
        return use.denoise(
            scan,
            axis=axis,
            progress=progress,
            mask=mask,
            strength=strength,
            force=force,
            return_result=return_result,
        )
    began = time.monotonic()
    chosen = _settings(settings, minutes=minutes, seed=seed, axis=axis)
    if seed is not None and not chosen.trains:
        raise SettingsError("seed has an effect on a training only; add minutes=10, or leave it out")
    check_at_once(chosen, weights)
    if chosen.trains:
        check_torch()
    images = read_images(scan)
    if mask is not None:
        images = images.with_mask(mask)
    for image in images.flat:
        # Before the training: an axis that doesn't fit should not cost ten minutes.
        choose_axis(image.scan, axis)
    results: dict[int, Result] = {}
    with watching(progress) as told:
        for group in images.groups():
            try:
                make = learned_together if chosen.trains else partial(each_at_once, weights=weights)
                learned = make(group, chosen, strength, axis, device, threads, told, began)
                results.update((id(image), result) for image, result in zip(group, learned, strict=True))
            except (InputError, ModelError, DivergedError) as error:
                if any(image.must for image in group) or len(images.groups()) == 1:
                    raise
                warn(f"left out: {error}")
            began = time.monotonic()
    return images.give(results, as_results=return_result)


class Model(trained.Model):
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
                    results[id(image)] = apply_model(
                        self,
                        image.scan,
                        self.noise_of(image.scan, axis),
                        strength=strength,
                        force=force,
                        progress=told,
                    )
                except (InputError, ModelError) as error:
                    if image.must:
                        raise
                    warn(f"left out: {error}")
        return images.give(results, as_results=return_result)


def train(
    scans: Any,
    model_dir: str | Path,
    *,
    minutes: float | None = None,
    settings: Settings | None = None,
    seed: int | None = None,
    resume: bool = False,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | bool | None = None,
) -> Model:
    """Train a model on noisy scans alone.

    Parameters
    ----------
    scans : image, path, or sequence of these
        One data set, of images as `denoise` takes them.
    model_dir : str or path
        Folder to make; an unfinished run in it is continued with `resume`.
    minutes, settings, seed, device, threads, progress
        As in `denoise`.
    resume : bool
        Go on with the unfinished run in `model_dir`.

    Returns
    -------
    Model

    Raises
    ------
    DiffDenoiseError
        If scans, settings, device or folder don't fit.
    """
    began = time.monotonic()
    check_torch()
    from diffdenoise.method import train as method

    check_outside_stores(Path(model_dir))
    given = scans if isinstance(scans, Sequence) and not is_path(scans) else [scans]
    paths = [item for item in given if is_path(item)]
    others = [scan_of(item) for item in given if not is_path(item)]
    found = [*(read_scans(paths) if paths else []), *others]
    with watching(progress) as told:
        method.train(
            found,
            _settings(settings, minutes=minutes, seed=seed),
            Path(model_dir),
            resume=resume,
            device=device,
            threads=threads,
            progress=told,
            spent_s=time.monotonic() - began,
        )
    return load(model_dir, device, threads)


def load(model_dir: str | Path, device: str = "auto", threads: int | None = None) -> Model:
    """Return the model in a folder; see `Model.load`."""
    folder = find_model(model_dir)
    if isinstance(folder, str):
        raise ModelError(
            f"{folder}: the package's weights are set for each scan's noise; denoise takes the name as model"
        )
    return Model.load(folder, device, threads)


def info(scan: Any, *, axis: int | None = None) -> Any:
    """Return geometry, type, intensities and noise level of a scan, as `diffdenoise info --json` has them.

    Parameters
    ----------
    scan : image, path, or sequence of these
        As `diffdenoise.denoise` takes them; or a model folder, or a name of the package's weights.
    axis : int, optional
        Array axis across the slices; None: chosen from the voxel sizes.

    Returns
    -------
    dict, or list of dict
        Of a model folder its `record` and `settings`, and the noise that it was trained on; of weights what
        `diffdenoise models --json` says of them.
        A list for a list, a folder of several images, or a glob. An image of a folder that can't be denoised
        is described by its `name` and `problem`.

    Raises
    ------
    InputError, ModelError
        If a scan or model folder that was named isn't there, can't be read or can't be used.
    """
    if isinstance(scan, Sequence) and not is_path(scan):
        return [info(each, axis=axis) for each in scan]
    if not is_path(scan):
        held = checked(kind_of(scan).scan)
        return Facts(describe(held, diagnose(held, axis)))
    card = card_of(scan) if isinstance(scan, str) else None
    if card is not None:
        return card.as_dict()
    if is_model_folder(Path(scan)):
        return model_facts(Path(scan))
    findings, is_single = find(Path(scan))
    if is_single:
        return Facts({**describe(*look_at(findings[0], axis)), **of_series(findings[0])})
    return [facts_or_problem(found, axis) for found in findings]


def simulate(
    clean: Any,
    kind: simulation.Kind = "gaussian",
    std: float | str = "10%",
    *,
    correlation_px: float = 0.0,
    seed: int = 0,
    axis: int | None = None,
) -> Any:
    """Add noise of known kind and strength to an image; see `diffdenoise.noise.simulate.simulate`.

    Returns
    -------
    same kind as given, or Scan for a path
        Arrays and images hold floats, so that noise isn't clipped.
    """
    given = Kind(scan_of(clean), lambda scan: scan) if is_path(clean) else kind_of(clean)
    return given.back(simulation.simulate(given.scan, kind, std, correlation_px, seed, axis=axis))


def evaluate(
    denoised: Any,
    reference: Any,
    noisy: Any = None,
    mask: Any = None,
    axis: int | None = None,
) -> metrics.Evaluation:
    """Return PSNR, SSIM and RMSE against a reference; see `diffdenoise.trust.metrics.evaluate`.

    Takes arrays, results, images of other libraries as `denoise` does, and paths of one image each.
    """
    before, inside = (None if each is None else _values(each) for each in (noisy, mask))
    return metrics.evaluate(_values(denoised), _values(reference), before, inside, axis)


def _values(image: Any) -> ArrayLike:
    """An image's values; lists of numbers are arrays here."""
    if is_path(image) or not isinstance(image, Sequence):
        return scan_of(image).data
    return np.asarray(image)


def _settings(settings: Settings | None, *, axis: int | None = None, **wishes: Any) -> Settings:
    tree = {} if settings is None else settings.model_dump(mode="json")
    if wishes.get("minutes") is not None:
        # Asked for a time, given step counts would say otherwise.
        tree.pop("schedule", None)
    tree.update({key: value for key, value in wishes.items() if value is not None})
    if axis is not None:
        tree["data"] = {**tree.get("data", {}), "axis": axis}
    return Settings.build(**tree)

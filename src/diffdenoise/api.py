"""The method from Python: images, paths or lists of them in, the same kind out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diffdenoise.bars import watching
from diffdenoise.config import Settings
from diffdenoise.errors import DivergedError, InputError
from diffdenoise.finish import check_strength, finish
from diffdenoise.images import Image, read_images, scan_of, warn
from diffdenoise.kinds import Kind, is_path, kind_of
from diffdenoise.model import Denoised, Model
from diffdenoise.noise import simulate as simulation
from diffdenoise.noise.statement import diagnose
from diffdenoise.plan import already_clean
from diffdenoise.result import Result
from diffdenoise.scan.find import read_scans
from diffdenoise.scan.folder import check_outside_stores
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust import metrics
from diffdenoise.types import Progress


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
    """Denoise an image: train on it alone, or use a trained model.

    Parameters
    ----------
    scan : image, path, or sequence of these
        2-D, 3-D or 4-D: a NumPy array, torch tensor, Scan, or nibabel, SimpleITK, ITK or ANTs image. A file,
        or a folder, DICOMDIR or zip of one DICOM series. A list, a folder of several images, or a glob.
    minutes : float, optional
        Wall-clock budget for training (default 10); not with `model`. Images given in one call are learned
        from together, as one data set within this time; DICOM volumes each by itself, for this time each.
    model : Model, str or path, optional
        A trained model or its folder; then it takes seconds.
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
        If an image has less noise than `Settings.clean_below`, and comes back as it was. If one of a folder
        is left out, with the reason.

    Raises
    ------
    DiffDenoiseError
        If an image, the settings, the device or the model don't fit.
    """
    check_strength(strength)
    if model is not None:
        trained = model if isinstance(model, Model) else Model.load(model, device, threads)
        return trained.denoise(
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
                results.update(_learn(group, chosen, strength, axis, device, threads, told, began))
            except (InputError, DivergedError) as error:
                if any(image.must for image in group) or len(images.groups()) == 1:
                    raise
                warn(f"left out: {error}")
            began = time.monotonic()
    return images.give(results, as_results=return_result)


def _learn(
    group: Sequence[Image],
    settings: Settings,
    strength: float,
    axis: int | None,
    device: str,
    threads: int | None,
    progress: Progress,
    began: float,
) -> dict[int, Result]:
    """Train on scans alone, and denoise them; leave them as they are if they are clean."""
    scans = [image.scan for image in group]
    noises = [diagnose(scan, axis if scan.data.ndim > 2 else None) for scan in scans]
    plan: dict[str, Any] = {"strength": strength}
    if already_clean(noises, settings):
        for scan in scans:
            warn(
                f"{scan.name}: is already clean, and was left as it is; to denoise all the same, "
                "set clean_below to 0"
            )
        denoised = [Denoised(scan, ()) for scan in scans]
        plan["already_clean"] = True
    else:
        # Imported here: torch takes a second to load, and a trained model is run without.
        from diffdenoise.method import train as method

        with tempfile.TemporaryDirectory(prefix="diffdenoise-") as folder:
            trained = method.train(
                scans,
                settings,
                Path(folder) / "model",
                noises=noises,
                device=device,
                threads=threads,
                progress=progress,
                spent_s=time.monotonic() - began,
            )
            denoised = [
                trained.denoise_scan(scan, noise, progress=progress, own=True)
                for scan, noise in zip(scans, noises, strict=True)
            ]
        plan["training"] = trained.record
    seconds = time.monotonic() - began
    return {
        id(image): finish(
            image.scan,
            done.scan,
            noise=noise,
            seconds=seconds,
            doubts=done.doubts,
            **plan,
        )
        for image, done, noise in zip(group, denoised, noises, strict=True)
    }


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
    from diffdenoise.method import train as method

    check_outside_stores(Path(model_dir))
    given = scans if isinstance(scans, Sequence) and not is_path(scans) else [scans]
    paths = [item for item in given if is_path(item)]
    others = [scan_of(item) for item in given if not is_path(item)]
    found = [*(read_scans(paths) if paths else []), *others]
    with watching(progress) as told:
        return method.train(
            found,
            _settings(settings, minutes=minutes, seed=seed),
            Path(model_dir),
            resume=resume,
            device=device,
            threads=threads,
            progress=told,
            spent_s=time.monotonic() - began,
        )


def load(model_dir: str | Path, device: str = "auto", threads: int | None = None) -> Model:
    """Return the model in a folder; see `Model.load`."""
    return Model.load(model_dir, device, threads)


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

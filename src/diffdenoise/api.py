"""The method from Python: arrays, nibabel images or paths in, the same kind out."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from diffdenoise import pipeline
from diffdenoise.config import Settings
from diffdenoise.model import Model, same_kind
from diffdenoise.noise import simulate as noise
from diffdenoise.plan import already_clean
from diffdenoise.scan.check import check_scan
from diffdenoise.scan.find import read_scans
from diffdenoise.scan.formats.nifti import from_nibabel, to_nibabel
from diffdenoise.scan.read import from_array, read_scan
from diffdenoise.scan.scan import Scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust import metrics
from diffdenoise.types import Progress


def denoise(
    scan: Any,
    *,
    minutes: float | None = None,
    model: Model | str | Path | None = None,
    settings: Settings | None = None,
    axis: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Denoise an image: train on it alone, or use a trained model.

    Parameters
    ----------
    scan : numpy array, nibabel image, Scan, str or path
        2-D, 3-D or 4-D image.
    minutes : float, optional
        Wall-clock budget for training (default 10); not with `model`.
    model : Model, str or path, optional
        A trained model or its folder; then it takes seconds.
    settings : Settings, optional
        Everything else; `minutes`, `axis` and `seed` win over it.
    axis : int, optional
        Slice axis of a volume.
    seed : int, optional
        Seed of every random draw.
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    threads : int, optional
        CPU threads.
    progress : Progress, optional
        Told about stages and steps.

    Returns
    -------
    array, nibabel image or Scan
        The same kind as given; a Scan for a path. Integer arrays come back rounded and clipped.

    Warns
    -----
    UserWarning
        If the image has less noise than `Settings.clean_below`, and comes back as it was.

    Raises
    ------
    DiffDenoiseError
        If the image, the settings, the device or the model don't fit.
    """
    if model is not None:
        trained = model if isinstance(model, Model) else Model.load(model, device, threads)
        return trained.denoise(scan, axis=axis, progress=progress)
    began = time.monotonic()
    chosen = _settings(settings, minutes=minutes, seed=seed, axis=axis)

    def work(one: Scan) -> Scan:
        check_scan(one)
        # Before the training: an axis that doesn't fit should not cost ten minutes.
        choose_axis(one, axis)
        if already_clean([one], chosen):
            warnings.warn(
                f"{one.name}: is already clean, and was left as it is; to denoise all the same, "
                "set clean_below to 0",
                stacklevel=4,
            )
            return one.with_data(one.data.astype(np.float64))
        with tempfile.TemporaryDirectory(prefix="diffdenoise-") as folder:
            trained = pipeline.train(
                [one],
                chosen,
                Path(folder) / "model",
                device=device,
                threads=threads,
                progress=progress,
                spent_s=time.monotonic() - began,
            )
            return trained.denoise_scan(one, axis=axis, progress=progress)

    return same_kind(scan, work)


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
    progress: Progress | None = None,
) -> Model:
    """Train a model on noisy scans alone.

    Parameters
    ----------
    scans : path, array, nibabel image, Scan, or a sequence of these
        One data set. Paths may be files, folders or globs.
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
    given = scans if isinstance(scans, Sequence) and not isinstance(scans, str) else [scans]
    paths = [item for item in given if isinstance(item, str | Path)]
    others = [_as_scan(item) for item in given if not isinstance(item, str | Path)]
    found = [*(read_scans(paths) if paths else []), *others]
    return pipeline.train(
        found,
        _settings(settings, minutes=minutes, seed=seed),
        Path(model_dir),
        resume=resume,
        device=device,
        threads=threads,
        progress=progress,
        spent_s=time.monotonic() - began,
    )


def load(model_dir: str | Path, device: str = "auto", threads: int | None = None) -> Model:
    """Return the model in a folder; see `Model.load`."""
    return Model.load(model_dir, device, threads)


def simulate(
    clean: Any,
    kind: noise.Kind = "gaussian",
    std: float | str = "10%",
    *,
    correlation_px: float = 0.0,
    seed: int = 0,
    axis: int | None = None,
) -> Any:
    """Add noise of known kind and strength to an image; see `diffdenoise.noise.simulate.simulate`.

    Returns
    -------
    array, nibabel image or Scan
        The same kind as given; arrays and images hold floats, so that noise isn't clipped.
    """
    scan = read_scan(clean) if isinstance(clean, str | Path) else _as_scan(clean)
    noisy = noise.simulate(scan, kind, std, correlation_px, seed, axis=axis)
    if isinstance(clean, Scan | str | Path):
        return noisy
    return to_nibabel(noisy) if hasattr(clean, "affine") else noisy.data


def evaluate(
    denoised: ArrayLike,
    reference: ArrayLike,
    noisy: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    axis: int | None = None,
) -> metrics.Evaluation:
    """Return PSNR, SSIM and RMSE against a reference; see `diffdenoise.trust.metrics.evaluate`."""
    return metrics.evaluate(denoised, reference, noisy, mask, axis)


def _as_scan(item: Any) -> Scan:
    if isinstance(item, Scan):
        return item
    return (
        from_array(item) if hasattr(item, "__array__") and not hasattr(item, "affine") else from_nibabel(item)
    )


def _settings(settings: Settings | None, *, axis: int | None = None, **wishes: Any) -> Settings:
    tree = {} if settings is None else settings.model_dump(mode="json")
    if wishes.get("minutes") is not None:
        # Asked for a time, given step counts would say otherwise.
        tree.pop("schedule", None)
    tree.update({key: value for key, value in wishes.items() if value is not None})
    if axis is not None:
        tree["data"] = {**tree.get("data", {}), "axis": axis}
    return Settings.build(**tree)

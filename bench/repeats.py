"""Cases whose noise came with the scan: the same thing scanned again tells what it is.

M4Raw's repeats, stored in 8 bits, are divided by 255; all else is scaled to its own range.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import Data, MissingDataError
from bench.noise import Noise
from bench.observer import Insert, Phantom
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import read_scan
from diffdenoise.types import Stack

Volume = NDArray[np.float64]
_REAL = Noise("real")
#: Repeats of the low-contrast phantom, and the side of an image.
_REPEATS, _SIDE = 10, 256


def load_m4raw(folder: Path, seed: int) -> Data:
    """Repeat seed + 1 of three, against the gain-fitted mean of the two others."""
    if seed > 2:
        raise MissingDataError(f"there are three repeats: seeds 0 to 2, not {seed}")
    samples = _make_samples()
    folders = [folder / f"mri-lowfield-m4raw/2022061003_T20{number}.h5" for number in (1, 2, 3)]
    for each in folders:
        if not each.is_dir():
            raise MissingDataError(f"{each} is missing")
    repeats = [samples.read_repeat(each).astype(np.float64) for each in folders]
    repeats = repeats[seed:] + repeats[:seed]
    reference, noise_std = samples.make_reference(repeats)
    noisy, clean = repeats[0] / 255, reference / 255
    # The reference is the mean of two: its difference from a third has 3/2 of a repeat's variance.
    return _real(noisy, clean, noise_std / 255, np.sqrt(2 / 3))


def load_fmri(folder: Path, seed: int) -> Data:
    """Volume 10 x seed of a BOLD run against the mean of all others: short against long averages."""
    path = folder / "mri-fmri-repeats-studyforrest/bold_10slices_156vols_stored_values.nii.gz"
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    volumes = np.moveaxis(read_scan(path).data.astype(np.float64), (3, 2), (0, 1))
    volumes /= np.percentile(volumes, 99.5)
    number = 10 * seed % len(volumes)
    others = np.delete(volumes, number, axis=0)
    noise_std = float(others.std(axis=0).mean()) / np.sqrt(len(others))
    return _real(volumes[number], others.mean(axis=0), noise_std, np.sqrt(1 - 1 / len(volumes)))


def load_ulf(folder: Path, seed: int) -> Data:
    """One of two averages of a 0.055 T brain against the other, which is as noisy."""
    from scipy.io import loadmat

    path = folder / "mri-ulf-0.055T/SupplementaryFigure3A/0.055T_FLAIR_RF cage installed_2D kspace.mat"
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    if seed > 1:
        raise MissingDataError(f"there are two averages: seeds 0 and 1, not {seed}")
    kspace = np.moveaxis(loadmat(path)["ksp"], (3, 2), (0, 1))
    centred = np.fft.ifftshift(kspace, axes=(2, 3))
    images = np.abs(np.fft.fftshift(np.fft.ifft2(centred, axes=(2, 3)), axes=(2, 3)))
    images /= np.percentile(images, 99.5)
    noise_std = float((images[0] - images[1]).std() / np.sqrt(2))
    return _real(images[seed], images[1 - seed], noise_std, np.sqrt(1 / 2))


def _real(noisy: Volume, clean: Volume, reference_std: float, of_difference: float) -> Data:
    """Case of one scan and its reference; `of_difference` is the noise's share of their difference."""
    one, reference = noisy.astype(np.float32), clean.astype(np.float32)
    left = [((noisy - clean) * of_difference).astype(np.float32)]
    return Data([one], [reference], [one], None, _REAL, None, reference_std, differences=left)


def load_phantom(folder: Path, seed: int, dose: int) -> Data:
    """FDA's low-contrast phantom: trained on one repeat with and one without inserts, tested on nine each.

    The seed says which repeat is trained on. A repeat's reference is the mean of the others of its kind.
    """
    root = folder / "ct-lcd-repeats-fda"
    if seed >= _REPEATS:
        raise MissingDataError(f"there are ten repeats: seeds 0 to 9, not {seed}")
    kinds = [phantom_repeats(root / f"dose_{dose:03d}", kind) for kind in ("present", "absent")]
    scale = IntensityMap.fit(kinds[0][seed])
    noisy, clean, train, differences, present = [], [], [], [], []
    for kind, repeats in zip((True, False), kinds, strict=True):
        scaled = scale.scale(repeats).astype(np.float64)
        mean = scaled.mean(axis=0)
        train.append(scaled[seed].astype(np.float32)[None])
        gain = np.sqrt(_REPEATS / (_REPEATS - 1))
        differences.append((gain * (scaled - mean)).astype(np.float32))
        for number in range(_REPEATS):
            if number != seed:
                others = (_REPEATS * mean - scaled[number]) / (_REPEATS - 1)
                noisy.append(scaled[number].astype(np.float32)[None])
                clean.append(others.astype(np.float32)[None])
                present.append(kind)
    own = float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))
    phantom = Phantom(_inserts(root, scale.range), tuple(present), ((_SIDE - 1) / 2, (_SIDE - 1) / 2))
    scored = [(number, 0) for number in range(len(noisy))]
    reference_std = own / np.sqrt(_REPEATS - 1)
    return Data(
        noisy,
        clean,
        train,
        None,
        _REAL,
        None,
        reference_std,
        differences=differences,
        phantom=phantom,
        scored=scored,
    )


def phantom_repeats(folder: Path, kind: str) -> Stack:
    """Ten images in HU of the phantom at one dose, with inserts ("present") or without ("absent")."""
    paths = [
        folder / f"signal_{kind}" / f"signal_{kind}_{number:03d}.raw" for number in range(1, _REPEATS + 1)
    ]
    return np.stack([_raw(path, "<i2").astype(np.float32) for path in paths])


def _raw(path: Path, dtype: str) -> NDArray[np.generic]:
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    values = np.fromfile(path, dtype)
    if values.size != _SIDE**2:
        raise MissingDataError(f"{path}: expected {_SIDE}x{_SIDE} values, found {values.size}")
    return values.reshape(_SIDE, _SIDE)


def _inserts(root: Path, span: float) -> tuple[Insert, ...]:
    """Where the ground truth is brighter than the phantom's body, of 1000."""
    from scipy.ndimage import center_of_mass, label

    truth = _raw(root / "ground_truth.raw", "<u2").astype(np.float64)
    parts, count = label(truth > truth[_SIDE // 2, _SIDE // 2])
    found = []
    for number in range(1, count + 1):
        inside = parts == number
        contrast = float(truth[inside].max() - truth[_SIDE // 2, _SIDE // 2])
        row, column = center_of_mass(inside)
        diameter = 2 * float(np.sqrt(inside.sum() / np.pi))
        name = f"{contrast:.0f} HU, {diameter:.0f} px"
        found.append(Insert(float(row), float(column), diameter, contrast / span, name))
    return tuple(found)


def _make_samples() -> Any:
    """The script that made the shipped samples; it aligns the repeats and fits their gains."""
    path = Path(__file__).parent.parent / "samples" / "make_samples.py"
    spec = importlib.util.spec_from_file_location("make_samples", path)
    if spec is None or spec.loader is None:
        raise MissingDataError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""The benchmark's cases: clean references with known noise added, and real repeats.

Intensities are scaled so that the clean data's range (0.5th to 99.5th percentile) is 0 to 1; the real
repeats, stored in 8 bits, are divided by 255. DIR, the data folder, is laid out as in
docs/benchmarks.md; a case whose files are missing is skipped with a message.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diffdenoise.method.noise_draws import NoiseDraws
from diffdenoise.noise.correlation import Correlation
from diffdenoise.noise.model import NoiseModel
from diffdenoise.noise.simulate import gaussian, rician
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import read_scan
from diffdenoise.types import Stack

Kind = Literal["gaussian", "rician", "poisson-gaussian", "real"]
#: Slices that are scored, evenly spaced: enough for a mean, few enough for the slow methods.
MOST_SCORED = 16
#: Share of the Poisson-Gaussian noise's variance, at the intensity 1, that does not depend on the signal.
_GAUSSIAN_SHARE = 0.1
_MS = Path("mri-brain-ms-ljubljana/longitudinal/patient01")


class MissingDataError(Exception):
    """A case's files are not in the data folder."""


@dataclass(frozen=True)
class Noise:
    """Noise of a case.

    Attributes
    ----------
    kind : str
        "real" where it came with the scan.
    std : float
        In scaled intensities (Poisson-Gaussian: at the intensity 1). 0 for real noise.
    kernel_px : float
        Std of the Gaussian kernel that correlates it inside slices.
    """

    kind: Kind
    std: float = 0.0
    kernel_px: float = 0.0

    def add(self, clean: Stack, rng: np.random.Generator) -> Stack:
        """Noisy copy of a stack (slices, height, width)."""
        if self.kind == "rician":
            noisy = rician(clean.clip(0), self.std, rng=rng)
        elif self.kind == "poisson-gaussian":
            noisy = clean + _signal_std(clean, self.std) * rng.standard_normal(clean.shape)
        else:
            noisy = gaussian(clean, self.std, correlation_px=self.kernel_px, axis=0, rng=rng)
        return noisy.astype(np.float32)

    def add_to_patches(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Noisy copy of patches (batch, channels, height, width), each channel with its own noise."""
        device = clean.device
        if self.kind == "rician":
            real, imaginary = (torch.randn(clean.shape, generator=generator).to(device) for _ in range(2))
            return torch.hypot(clean.clamp_min(0) + self.std * real, self.std * imaginary)
        if self.kind == "poisson-gaussian":
            white = torch.randn(clean.shape, generator=generator).to(device)
            part = (1 - _GAUSSIAN_SHARE) * clean.clamp_min(0) + _GAUSSIAN_SHARE
            return clean + self.std * part.sqrt() * white
        draws = NoiseDraws(NoiseModel.constant(self.std, Correlation.gaussian(self.kernel_px)), device)
        flat = draws.unit((clean.shape[0] * clean.shape[1], 1, *clean.shape[2:]), generator)
        return clean + self.std * flat.view(clean.shape)

    def spectrum(self, shape: Sequence[int]) -> NDArray[np.float64]:
        """Power spectral density as BM3D and BM4D want it: mean of |FFT of the noise|^2."""
        delta = np.zeros(shape)
        delta[(0,) * len(shape)] = 1.0
        if self.kernel_px:
            from scipy.ndimage import gaussian_filter

            widths = [0.0] * (len(shape) - 2) + [self.kernel_px] * 2
            delta = gaussian_filter(delta, widths, mode="wrap")
            delta /= np.sqrt((delta**2).sum())
        power = self.std**2 * np.abs(np.fft.fftn(delta)) ** 2 * delta.size
        return np.asarray(power)


def _signal_std(clean: Stack, std: float) -> NDArray[np.float64]:
    part = (1 - _GAUSSIAN_SHARE) * clean.clip(0) + _GAUSSIAN_SHARE
    return np.asarray(std * np.sqrt(part))


@dataclass
class Data:
    """What a method is given, and what its result is held against.

    Attributes
    ----------
    noisy : list of float32 arrays (slices, height, width)
        Denoised and scored.
    clean : list of arrays, same shapes
        References; for real noise, the mean of other repeats.
    train : list of arrays
        Noisy stacks that may be learned from: `noisy` itself where there is one scan.
    train_clean : list of arrays or None
        Their references for the ceiling; None where no clean image exists.
    noise : Noise
    data_range : float or None
        Peak in PSNR and SSIM; None: the reference's own range.
    reference_std : float
        Std of the reference's own noise, scaled intensities.
    """

    noisy: list[Stack]
    clean: list[Stack]
    train: list[Stack]
    train_clean: list[Stack] | None
    noise: Noise
    data_range: float | None = 1.0
    reference_std: float = 0.0
    scored: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        places = [(s, k) for s, stack in enumerate(self.noisy) for k in range(len(stack))]
        chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_SCORED)).round().astype(int))
        self.scored = [places[index] for index in chosen]

    def reference(self) -> Stack:
        """Scored slices of the reference, (slices, height, width)."""
        return np.stack([self.clean[s][k] for s, k in self.scored])

    @property
    def told_std(self) -> float:
        """Level that is told to methods that need one: the true one, or a wavelet estimate of real noise."""
        if self.noise.kind == "poisson-gaussian":
            middle = float(np.median(np.concatenate([stack.ravel() for stack in self.clean])))
            return float(_signal_std(np.array([middle], np.float32), self.noise.std)[0])
        return self.noise.std or self.estimated_std

    @property
    def estimated_std(self) -> float:
        """Wavelet MAD over the scored slices (Donoho and Johnstone 1994), by scikit-image."""
        from skimage.restoration import estimate_sigma

        levels = [estimate_sigma(self.noisy[s][k]) for s, k in self.scored]  # type: ignore[no-untyped-call]
        return float(np.median(levels))


@dataclass(frozen=True)
class Case:
    """One line of the table: a title, and how its data are made from a folder and a seed."""

    title: str
    load: Callable[[Path, int], Data]


def _scaled(data: NDArray[np.generic]) -> Stack:
    return np.ascontiguousarray(IntensityMap.fit(data).scale(data), dtype=np.float32)


def _nifti(path: Path, axis: int = 2) -> Stack:
    """Slices along an array axis of a NIfTI file."""
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    return _scaled(np.moveaxis(read_scan(path).data, axis, 0))


def _dicom(paths: Sequence[Path]) -> list[NDArray[np.float64]]:
    try:
        from pydicom import dcmread
    except ModuleNotFoundError as error:
        raise MissingDataError("pydicom is not installed (pip install pydicom)") from error
    for path in paths:
        if not path.is_file():
            raise MissingDataError(f"{path} is missing")
    found = []
    for path in paths:
        item = dcmread(path)
        slope, intercept = float(item.get("RescaleSlope", 1)), float(item.get("RescaleIntercept", 0))
        found.append(item.pixel_array * slope + intercept)
    return found


def _one_scan(read: Callable[[Path], Stack], noise: Noise) -> Callable[[Path, int], Data]:
    def load(folder: Path, seed: int) -> Data:
        clean = [read(folder)]
        noisy = [noise.add(clean[0], np.random.default_rng(seed))]
        return Data(noisy, clean, noisy, clean, noise)

    return load


def _knee(folder: Path) -> Stack:
    return _scaled(_dicom([folder / "mri-knee-moveknee/MOVEKNEE.dcm"])[0])


def _ct(folder: Path) -> list[Stack]:
    """Six chest slices, 4 cm apart and more: each an image of its own."""
    numbers = ("000001", "000041", "000091", "000131", "000181", "000226")
    slices = _dicom([folder / f"ct-chest-fnndsc/{number}.dcm" for number in numbers])
    scaled = _scaled(np.stack(slices).clip(-1024, None))
    return [one[None] for one in scaled]


def _load_ct(folder: Path, seed: int) -> Data:
    noise = Noise("poisson-gaussian", 0.10)
    rng = np.random.default_rng(seed)
    clean = _ct(folder)
    noisy = [noise.add(one, rng) for one in clean]
    return Data(noisy, clean, noisy, clean, noise)


def _load_chest(folder: Path, seed: int) -> Data:
    """100 X-rays to train on, 32 others to test on; one a patient."""
    clean = _chest(folder)
    noise = Noise("gaussian", 0.05)
    rng = np.random.default_rng(seed)
    noisy = [noise.add(one, rng) for one in clean]
    return Data(noisy[100:], clean[100:], noisy[:100], clean[:100], noise)


def _load_m4raw(folder: Path, seed: int) -> Data:
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
    noisy = [(repeats[0] / 255).astype(np.float32)]
    clean = [(reference / 255).astype(np.float32)]
    return Data(noisy, clean, noisy, None, Noise("real"), None, noise_std / 255)


def _load_slabs(folder: Path, seed: int) -> Data:
    """Coronal T1 slabs of three people: a data set of volumes."""
    noise = Noise("gaussian", 0.10)
    rng = np.random.default_rng(seed)
    slabs = folder / "mri-brain-t1-slabs-antstutorial"
    clean = [_nifti(slabs / f"ilist{number}.nii.gz", axis=1) for number in (1, 15, 20)]
    noisy = [noise.add(one, rng) for one in clean]
    return Data(noisy, clean, noisy, clean, noise)


def _load_fmri(folder: Path, seed: int) -> Data:
    """Volume 10 x seed of a BOLD run against the mean of all others: short against long averages."""
    path = folder / "mri-fmri-repeats-studyforrest/bold_10slices_156vols_stored_values.nii.gz"
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    volumes = np.moveaxis(read_scan(path).data.astype(np.float64), (3, 2), (0, 1))
    volumes /= np.percentile(volumes, 99.5)
    number = 10 * seed % len(volumes)
    others = np.delete(volumes, number, axis=0)
    noise_std = float(others.std(axis=0).mean()) / np.sqrt(len(others))
    noisy, clean = ([one.astype(np.float32)] for one in (volumes[number], others.mean(axis=0)))
    return Data(noisy, clean, noisy, None, Noise("real"), None, noise_std)


def _load_ulf(folder: Path, seed: int) -> Data:
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
    noisy, clean = ([images[number].astype(np.float32)] for number in (seed, 1 - seed))
    return Data(noisy, clean, noisy, None, Noise("real"), None, noise_std)


def _make_samples() -> Any:
    """The script that made the shipped samples; it aligns the repeats and fits their gains."""
    path = Path(__file__).parent.parent / "samples" / "make_samples.py"
    spec = importlib.util.spec_from_file_location("make_samples", path)
    if spec is None or spec.loader is None:
        raise MissingDataError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _chest(folder: Path) -> list[Stack]:
    files = sorted((folder / "cxr-nih-chestxray8-512/dev").glob("*.png"))
    if len(files) < 132:
        raise MissingDataError(f"{folder / 'cxr-nih-chestxray8-512/dev'}: expected 132 PNG")
    return [_scaled(np.asarray(Image.open(file).convert("L"), np.float32))[None] for file in files[:132]]


def _file(path: Path | str) -> Callable[[Path], list[Stack]]:
    return lambda folder: [_nifti(folder / path)]


#: Clean references by name: their stacks from the data folder.
REFERENCES: dict[str, Callable[[Path], list[Stack]]] = {
    "MS T1W": _file(_MS / "study1_T1W.nii.gz"),
    "MS T2W": _file(_MS / "study1_T2W.nii.gz"),
    "MS FLAIR": _file(_MS / "study1_FLAIR.nii.gz"),
    "knee": lambda folder: [_knee(folder)],
    "chest X-rays": lambda folder: _chest(folder)[:16],
    "T1W average": _file("mri-brain-colin27-mricron/ch2.nii.gz"),
    "chest CT": _ct,
}
CASES = {
    "t1w-white": Case(
        "MS T1W, white Gaussian 10 %",
        _one_scan(lambda folder: _nifti(folder / _MS / "study1_T1W.nii.gz"), Noise("gaussian", 0.10)),
    ),
    "flair-wide": Case(
        "MS FLAIR, Gaussian 10 % correlated by 1.2 px",
        _one_scan(lambda folder: _nifti(folder / _MS / "study1_FLAIR.nii.gz"), Noise("gaussian", 0.10, 1.2)),
    ),
    "t2w-narrow": Case(
        "MS T2W, Gaussian 10 % correlated by 0.5 px",
        _one_scan(lambda folder: _nifti(folder / _MS / "study1_T2W.nii.gz"), Noise("gaussian", 0.10, 0.5)),
    ),
    "knee-white": Case("knee MR, white Gaussian 10 %", _one_scan(_knee, Noise("gaussian", 0.10))),
    "chest-white": Case("chest X-rays, white Gaussian 5 %, 100 to train, others to test", _load_chest),
    "colin-rician": Case(
        "T1W average of 27 scans, Rician 10 %",
        _one_scan(
            lambda folder: _nifti(folder / "mri-brain-colin27-mricron/ch2.nii.gz"), Noise("rician", 0.10)
        ),
    ),
    "ct-poisson": Case("chest CT, Poisson-Gaussian, 10 % in the brightest tissue", _load_ct),
    "m4raw-real": Case("real 0.3 T T2 (M4Raw), one repeat", _load_m4raw),
    "t1w-white-5": Case(
        "MS T1W, white Gaussian 5 %",
        _one_scan(lambda folder: _nifti(folder / _MS / "study1_T1W.nii.gz"), Noise("gaussian", 0.05)),
    ),
    "t1w-white-20": Case(
        "MS T1W, white Gaussian 20 %",
        _one_scan(lambda folder: _nifti(folder / _MS / "study1_T1W.nii.gz"), Noise("gaussian", 0.20)),
    ),
    "slabs-white": Case("T1 slabs of three people, white Gaussian 10 %, a data set", _load_slabs),
    "spine-white": Case(
        "spine T2, white Gaussian 10 %",
        _one_scan(
            lambda folder: _nifti(folder / "mri-spine-sct/testing/t2/t2.nii.gz"), Noise("gaussian", 0.10)
        ),
    ),
    "fmri-real": Case("real BOLD volume against the mean of 155 others", _load_fmri),
    "ulf-real": Case("real 0.055 T FLAIR, one average against the other", _load_ulf),
}
#: Cases whose noise came with the scan.
REAL = ("m4raw-real", "fmri-real", "ulf-real")
#: Cases of the main table; the rest are secondary.
MAIN = (
    "t1w-white",
    "flair-wide",
    "t2w-narrow",
    "knee-white",
    "chest-white",
    "colin-rician",
    "ct-poisson",
    "m4raw-real",
)

"""The benchmark's cases: clean references with known noise added, and real repeats.

Intensities are scaled so that the clean data's range (0.5th to 99.5th percentile) is 0 to 1. DIR, the data
folder, is laid out as in docs/benchmarks.md; a case whose files are missing is skipped with a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.data import Data, MissingDataError
from bench.noise import Colour, Noise
from bench.repeats import load_fmri, load_m4raw, load_phantom, load_ulf
from diffdenoise.scan.intensity import IntensityMap
from diffdenoise.scan.read import read_scan
from diffdenoise.types import Stack

_MS = Path("mri-brain-ms-ljubljana/longitudinal/patient01")
_COLIN = Path("mri-brain-colin27-mricron/ch2.nii.gz")
#: Slices of the T1W average in the cases where a part of it will do, so that slow peers can be run.
_SLAB = slice(70, 110)
#: Frequency in cycles a pixel up to which the zero-filled scan was acquired.
_CUT = 0.25

#: Clean stacks from the data folder.
Read = Callable[[Path], list[Stack]]


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


def dicom_values(paths: Sequence[Path]) -> list[NDArray[np.float64]]:
    """Values of DICOM files in their rescaled units."""
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


def _file(path: Path | str) -> Read:
    return lambda folder: [_nifti(folder / path)]


def _slab(folder: Path) -> list[Stack]:
    return [_nifti(folder / _COLIN)[_SLAB]]


def _zero_filled(folder: Path) -> list[Stack]:
    """The slab as if it had been acquired on half the grid and zero-filled in k-space."""
    stack = _slab(folder)[0]
    # Noise of that cut is what k-space lets through: see `Colour.cut`.
    inside = [np.abs(np.fft.fftfreq(size)) < _CUT for size in stack.shape[1:]]
    kept = np.fft.fft2(stack) * (inside[0][:, None] & inside[1])
    return [np.abs(np.fft.ifft2(kept)).astype(np.float32)]


def _knee(folder: Path) -> list[Stack]:
    return [_scaled(dicom_values([folder / "mri-knee-moveknee/MOVEKNEE.dcm"])[0])]


def _ct(folder: Path) -> list[Stack]:
    """Six chest slices, 4 cm apart and more: each an image of its own."""
    numbers = ("000001", "000041", "000091", "000131", "000181", "000226")
    return _ct_slices([folder / f"ct-chest-fnndsc/{number}.dcm" for number in numbers])


def _abdomen(folder: Path) -> list[Stack]:
    return _ct_slices([folder / f"ct-abdomen-dcmqi/0{number}.dcm" for number in (1, 2, 3)])


def _ct_slices(paths: Sequence[Path]) -> list[Stack]:
    scaled = _scaled(np.stack(dicom_values(paths)).clip(-1024, None))
    return [one[None] for one in scaled]


def _slabs(folder: Path) -> list[Stack]:
    """Coronal T1 slabs of three people."""
    root = folder / "mri-brain-t1-slabs-antstutorial"
    return [_nifti(root / f"ilist{number}.nii.gz", axis=1) for number in (1, 15, 20)]


def _chest(folder: Path) -> list[Stack]:
    files = sorted((folder / "cxr-nih-chestxray8-512/dev").glob("*.png"))
    if len(files) < 132:
        raise MissingDataError(f"{folder / 'cxr-nih-chestxray8-512/dev'}: expected 132 PNG")
    return [_scaled(np.asarray(Image.open(file).convert("L"), np.float32))[None] for file in files[:132]]


def _known(
    read: Read, noise: Noise, others: Sequence[Read] = (), spacing_mm: tuple[float, ...] | None = None
) -> Callable[[Path, int], Data]:
    """Load clean stacks and add noise; `others` are clean ones of other people, where they are there."""

    def load(folder: Path, seed: int) -> Data:
        rng = np.random.default_rng(seed)
        clean = read(folder)
        noisy = [noise.add(one, rng) for one in clean]
        found: list[Stack] = []
        for other in others:
            try:
                found += other(folder)
            except MissingDataError as missing:
                print(f"of other people: {missing}")
        return Data(noisy, clean, noisy, clean, noise, others=found, spacing_mm=spacing_mm)

    return load


def _load_chest(folder: Path, seed: int) -> Data:
    """100 X-rays to train on, 32 others to test on; one a patient."""
    clean = _chest(folder)
    noise = Noise("gaussian", 0.05)
    rng = np.random.default_rng(seed)
    noisy = [noise.add(one, rng) for one in clean]
    return Data(noisy[100:], clean[100:], noisy[:100], clean[:100], noise)


#: Other people's T1 and FLAIR or T2 heads.
_T1_OTHERS: tuple[Read, ...] = (_file(_COLIN), _slabs)
_T2_OTHERS: tuple[Read, ...] = (_file("mri-brain-t2-torchio/t2.nii.gz"),)
_MS_OTHERS: tuple[Read, ...] = (_file(_MS / "study1_T1W.nii.gz"), _slabs)
_WHITE = Noise("gaussian", 0.10)
#: Voxel sizes of the volumes with cubic voxels.
_CUBES = (1.0, 1.0, 1.0)

#: Clean references by name: their stacks from the data folder.
REFERENCES: dict[str, Read] = {
    "MS T1W": _file(_MS / "study1_T1W.nii.gz"),
    "MS T2W": _file(_MS / "study1_T2W.nii.gz"),
    "MS FLAIR": _file(_MS / "study1_FLAIR.nii.gz"),
    "knee": _knee,
    "chest X-rays": lambda folder: _chest(folder)[:16],
    "T1W average": _file(_COLIN),
    "chest CT": _ct,
}
CASES = {
    "t1w-white": Case(
        "MS T1W, white Gaussian 10 %", _known(_file(_MS / "study1_T1W.nii.gz"), _WHITE, _T1_OTHERS)
    ),
    "flair-wide": Case(
        "MS FLAIR, Gaussian 10 % correlated by 1.2 px",
        _known(_file(_MS / "study1_FLAIR.nii.gz"), Noise("gaussian", 0.10, Colour(1.2)), _T2_OTHERS),
    ),
    "t2w-narrow": Case(
        "MS T2W, Gaussian 10 % correlated by 0.5 px",
        _known(_file(_MS / "study1_T2W.nii.gz"), Noise("gaussian", 0.10, Colour(0.5)), _T2_OTHERS),
    ),
    "knee-white": Case("knee MR, white Gaussian 10 %", _known(_knee, _WHITE)),
    "chest-white": Case("chest X-rays, white Gaussian 5 %, 100 to train, others to test", _load_chest),
    "colin-rician": Case(
        "T1W average of 27 scans, Rician 10 %",
        _known(_file(_COLIN), Noise("rician", 0.10), _MS_OTHERS, _CUBES),
    ),
    "ct-poisson": Case(
        "chest CT, Poisson-Gaussian, 10 % in the brightest tissue",
        _known(_ct, Noise("poisson-gaussian", 0.10), (_abdomen,)),
    ),
    "ct-ramp": Case(
        "chest CT, ramp-filtered (band-pass) Gaussian 5 %",
        _known(_ct, Noise("gaussian", 0.05, Colour(ramp=True)), (_abdomen,)),
    ),
    "phantom-10": Case(
        "real CT repeats of FDA's low-contrast phantom, 10 % dose", partial(load_phantom, dose=10)
    ),
    "phantom-100": Case(
        "real CT repeats of FDA's low-contrast phantom, full dose", partial(load_phantom, dose=100)
    ),
    "m4raw-real": Case("real 0.3 T T2 (M4Raw), one repeat", load_m4raw),
    "slab-place": Case(
        "T1W average, 40 slices, white Gaussian 4 % rising in place to 12 %",
        _known(_slab, Noise("gaussian", 0.04, rises_to=3.0), _MS_OTHERS, _CUBES),
    ),
    "slab-coils": Case(
        "T1W average, 40 slices, noncentral chi of 8 coils, 10 %",
        _known(_slab, Noise("chi", 0.10, coils=8), _MS_OTHERS, _CUBES),
    ),
    "slab-zero-filled": Case(
        "T1W average, 40 slices, Rician 5 %, zero-filled to twice the grid",
        _known(_zero_filled, Noise("rician", 0.05, Colour(cut=_CUT)), _MS_OTHERS, _CUBES),
    ),
    "t1w-white-5": Case(
        "MS T1W, white Gaussian 5 %",
        _known(_file(_MS / "study1_T1W.nii.gz"), Noise("gaussian", 0.05), _T1_OTHERS),
    ),
    "t1w-white-20": Case(
        "MS T1W, white Gaussian 20 %",
        _known(_file(_MS / "study1_T1W.nii.gz"), Noise("gaussian", 0.20), _T1_OTHERS),
    ),
    "slabs-white": Case(
        "T1 slabs of three people, white Gaussian 10 %, a data set", _known(_slabs, _WHITE, spacing_mm=_CUBES)
    ),
    "spine-white": Case(
        "spine T2, white Gaussian 10 %",
        _known(_file("mri-spine-sct/testing/t2/t2.nii.gz"), _WHITE, spacing_mm=_CUBES),
    ),
    "fmri-real": Case("real BOLD volume against the mean of 155 others", load_fmri),
    "ulf-real": Case("real 0.055 T FLAIR, one average against the other", load_ulf),
}
#: Cases whose noise came with the scan.
REAL = ("phantom-10", "phantom-100", "m4raw-real", "fmri-real", "ulf-real")
#: Cases of the main table; the rest are secondary.
MAIN = tuple(name for name in CASES if name not in ("phantom-10", "fmri-real"))

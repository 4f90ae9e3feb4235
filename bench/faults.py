"""Faults planted in denoised images, for the calibration of the trust report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from diffdenoise.trust.places import disc, line
from diffdenoise.types import Stack

#: Contrasts in stds of the noise and diameters in pixels of lesions; lines: length, contrast, number a slice.
CONTRASTS, SIZES = (1.0, 1.5, 2.0, 3.0), (4, 6, 8, 12)
_LINE, _LINE_CONTRAST, _LINES = 30, 2.0, 8
#: Half the side of a lesion's square; pixels between two; least brightness of the clean image there.
_HALF, _APART, _TISSUE = 20, 44, 0.25


@dataclass(frozen=True)
class Scan:
    """A scan of the calibration: arrays (slices, height, width), and the std of the noise."""

    clean: Stack
    noisy: Stack
    denoised: Stack
    std: float


#: A fault makes of a scan the noisy and denoised images that are examined.
Fault = Callable[[Scan, np.random.Generator], tuple[Stack, Stack]]


@dataclass(frozen=True)
class Lesion:
    """Where a lesion is, and what it is."""

    slice: int
    row: int
    column: int
    contrast: float
    size: int


def _each(scan: Scan, work: Callable[[Stack], Stack]) -> tuple[Stack, Stack]:
    return scan.noisy, np.stack([work(one) for one in scan.denoised]).astype(np.float32)


def _blur(std_px: float) -> Fault:
    def fault(scan: Scan, _: np.random.Generator) -> tuple[Stack, Stack]:
        from scipy.ndimage import gaussian_filter

        return _each(scan, lambda one: gaussian_filter(one, std_px))

    return fault


def _median(scan: Scan, _: np.random.Generator) -> tuple[Stack, Stack]:
    from scipy.ndimage import median_filter

    return _each(scan, lambda one: median_filter(one, 3))


def _stripes(share: float) -> Fault:
    def fault(scan: Scan, rng: np.random.Generator) -> tuple[Stack, Stack]:
        period = rng.uniform(4, 12)
        wave = np.sin(2 * np.pi * np.arange(scan.clean.shape[1]) / period)[:, None]
        return scan.noisy, (scan.denoised + share * scan.std * wave).astype(np.float32)

    return fault


def _leak(share: float) -> Fault:
    return lambda scan, _: (scan.noisy, scan.denoised + np.float32(share) * (scan.noisy - scan.denoised))


def _ringing(scan: Scan, _: np.random.Generator) -> tuple[Stack, Stack]:
    def cut(one: Stack) -> Stack:
        inside = [np.abs(np.fft.fftfreq(size)) < 0.25 for size in one.shape]
        kept = np.fft.fft2(one) * (inside[0][:, None] & inside[1])
        return np.fft.ifft2(kept).real.astype(np.float32)

    return _each(scan, cut)


def _vessels(scan: Scan, rng: np.random.Generator) -> tuple[Stack, Stack]:
    """Thin lines that were there, and are gone."""
    noisy = scan.noisy.copy()
    middle = np.arange(-_HALF, _HALF + 1)
    rows, columns = np.meshgrid(middle, middle, indexing="ij")
    for number, row, column in _places(scan, rng, _LINES):
        image = line(rows, columns, _LINE, rng.uniform(0, np.pi))
        part = noisy[number, row - _HALF : row + _HALF + 1, column - _HALF : column + _HALF + 1]
        part += (_LINE_CONTRAST * scan.std * image).astype(np.float32)
    return noisy, scan.denoised


def _clean_input(scan: Scan, _: np.random.Generator) -> tuple[Stack, Stack]:
    """A scan without noise, smoothed all the same."""
    from scipy.ndimage import gaussian_filter

    return scan.clean, np.stack([gaussian_filter(one, 0.8) for one in scan.clean])


#: Faults by name; lesions apart.
FAULTS: dict[str, Fault] = {
    "blur of .7 px": _blur(0.7),
    "blur of 1 px": _blur(1.0),
    "median of 3 x 3": _median,
    "stripes of .15 std": _stripes(0.15),
    "stripes of .3 std": _stripes(0.3),
    "30 % of the noise leaked": _leak(0.3),
    "brightness + .5 std": lambda scan, _: (scan.noisy, scan.denoised + np.float32(0.5 * scan.std)),
    "brightness x 1.05": lambda scan, _: (scan.noisy, scan.denoised * np.float32(1.05)),
    "ringing": _ringing,
    "vessels smoothed away": _vessels,
    "clean input smoothed": _clean_input,
}


def lesions(scan: Scan, rng: np.random.Generator, erased: bool) -> tuple[Stack, Stack, list[Lesion]]:
    """Plant lesions that only the noisy image shows, or only the denoised one; and where they are."""
    noisy, denoised = scan.noisy.copy(), scan.denoised.copy()
    target = noisy if erased else denoised
    middle = np.arange(-_HALF, _HALF + 1)
    rows, columns = np.meshgrid(middle, middle, indexing="ij")
    kinds = [(contrast, size) for contrast in CONTRASTS for size in SIZES]
    start = int(rng.integers(len(kinds)))
    found: list[Lesion] = []
    for number, row, column in _places(scan, rng, 5):
        contrast, size = kinds[(start + len(found)) % len(kinds)]
        sign = 1 if rng.random() < 0.5 else -1
        image = sign * contrast * scan.std * disc(rows, columns, size)
        part = target[number, row - _HALF : row + _HALF + 1, column - _HALF : column + _HALF + 1]
        part += image.astype(np.float32)
        found.append(Lesion(number, row, column, contrast, size))
    return noisy, denoised, found


def _places(scan: Scan, rng: np.random.Generator, count: int) -> Iterator[tuple[int, int, int]]:
    """Places in tissue, apart from each other."""
    _, height, width = scan.clean.shape
    for number, one in enumerate(scan.clean):
        places = np.argwhere(one > _TISSUE)
        margin = _HALF + 2
        inside = (places >= margin).all(1) & (places < (height - margin, width - margin)).all(1)
        places = rng.permutation(places[inside])
        taken: list[tuple[int, int]] = []
        for row, column in places[:4000]:
            if len(taken) < count and all(np.hypot(row - r, column - c) > _APART for r, c in taken):
                taken.append((int(row), int(column)))
        yield from ((number, row, column) for row, column in taken)

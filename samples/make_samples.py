"""Make the sample scans again from the originals: `python samples/make_samples.py --data DIR`.

DIR holds the two data sets as they were downloaded (see README.md beside this file for where from):
`mri-lowfield-m4raw/2022061003_T20{1,2,3}.h5/*.png` and
`mri-ulf-0.055T/Figure6A/0.055T/0.055T_FLAIR.npz`. The same originals give the same files.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import fourier_shift, gaussian_filter
from skimage.registration import phase_cross_correlation

Volume = NDArray[np.float64]

HERE = Path(__file__).parent

# Nominal geometry in mm: field of view, and distance between slices. See README.md: the originals
# carry none.
M4RAW_FOV_MM, M4RAW_SLICE_MM = 240.0, 5.0
ULF_FOV_MM, ULF_SLICE_MM = 250.0, 10.0

# Stored unit of the reference: a 64th of a grey level is far below its noise (8 grey levels), and
# makes a smaller file than float32.
REFERENCE_STEP = 1 / 64
# Blur in pixels before shifts are measured, and parts of a pixel that they are measured in.
SHIFT_BLUR_PX, SHIFT_PARTS = 1.0, 100
# The PNGs are clipped at their 99th percentile, so gains are fitted where the mean of all repeats,
# blurred so that noise does not decide, is well below 255.
FIT_BLUR_PX, FIT_BELOW = 3.0, 180.0


def read_repeat(folder: Path) -> NDArray[np.uint8]:
    """Return one repeat as (slice, row, column), slices from the top of the head down."""
    files = sorted(folder.glob("*.png"))
    if not files:
        raise SystemExit(f"{folder}: found no PNG; expected the 18 slices of one repeat")
    return np.stack([np.asarray(Image.open(file)) for file in files])


def measure_shift(fixed: Volume, moving: Volume) -> NDArray[np.float64]:
    """Return the (row, column) shift in pixels that puts `moving` onto `fixed`: the slices' median."""
    shifts = [
        phase_cross_correlation(
            gaussian_filter(a, SHIFT_BLUR_PX), gaussian_filter(b, SHIFT_BLUR_PX), upsample_factor=SHIFT_PARTS
        )[0]
        for a, b in zip(fixed, moving, strict=True)
    ]
    return np.round(np.median(shifts, axis=0), 2)


def shift_slices(volume: Volume, shift: NDArray[np.float64]) -> Volume:
    """Shift every slice by a part of a pixel with Fourier phases, which keep the noise as it is.

    Where the original is clipped at 0 or 255 that rings; the result is clipped there again.
    """
    shifted = [np.fft.ifft2(fourier_shift(np.fft.fft2(each), shift)).real for each in volume]
    return np.clip(np.stack(shifted), 0.0, 255.0)


def fit_gain(fixed: Volume, moving: Volume, third: Volume, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Return gain and offset that put `moving` onto the scale of `fixed`.

    Least squares of one noisy image on another reads the gain 5 to 8 % low, because the noise of the
    regressor counts as its signal. The third repeat has the same anatomy and noise of its own, so
    that the ratio of covariances with it has no such bias (an instrumental variable).
    """
    a, b, c = fixed[inside], moving[inside], third[inside]
    gain = np.cov(a, c)[0, 1] / np.cov(b, c)[0, 1]
    return float(gain), float(a.mean() - gain * b.mean())


def make_reference(repeats: list[Volume]) -> tuple[Volume, float]:
    """Return the mean of repeats 2 and 3, put onto repeat 1 and its grey scale, and its noise's std."""
    first, *others = repeats
    shifts = [measure_shift(first, other) for other in others]
    second, third = (shift_slices(other, shift) for other, shift in zip(others, shifts, strict=True))
    for number, shift in enumerate(shifts, start=2):
        print(f"repeat {number}: shifted by {shift[0]:+.2f} rows and {shift[1]:+.2f} columns")
    reference, noise, gains = np.empty_like(first), np.empty_like(first), np.empty((len(first), 2))
    for index in range(len(first)):
        a, b, c = first[index], second[index], third[index]
        inside = gaussian_filter((a + b + c) / 3, FIT_BLUR_PX) < FIT_BELOW
        gain_b, offset_b = fit_gain(a, b, c, inside)
        gain_c, offset_c = fit_gain(a, c, b, inside)
        fitted_b, fitted_c = gain_b * b + offset_b, gain_c * c + offset_c
        reference[index] = (fitted_b + fitted_c) / 2
        noise[index] = (fitted_b - fitted_c) / 2
        gains[index] = gain_b, gain_c
    for number, column in zip((2, 3), gains.T, strict=True):
        print(f"repeat {number}: gains from {column.min():.3f} to {column.max():.3f}")
    low, high = np.percentile(reference, (0.5, 99.5))
    print(f"reference: noise of its own, std {noise.std():.2f} grey levels (half the repeats' difference);")
    print(f"a perfect result would score {20 * np.log10((high - low) / noise.std()):.1f} dB against it")
    return reference, float(noise.std())


def as_nifti(volume: NDArray[np.generic], fov_mm: float, slice_mm: float, about: str) -> nib.Nifti1Image:
    """Return (slice, row, column), top of the head first and nose up, as an image with geometry.

    The array's axes become left, posterior, superior (columns, rows, slices from below), and the
    middle of the volume lies at 0 mm.
    """
    data = np.ascontiguousarray(volume[::-1].transpose(2, 1, 0))
    pixel_mm = fov_mm / data.shape[0]
    affine = np.diag([-pixel_mm, -pixel_mm, slice_mm, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(data.shape) - 1) / 2)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header.set_dim_info(slice=2)
    image.header["descrip"] = about.encode()
    return image


def save(image: nib.Nifti1Image, path: Path) -> None:
    """Write a .nii.gz without the time of day in it."""
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=9, mtime=0))
    print(f"{path.name}: {image.shape} {image.get_data_dtype()}, {path.stat().st_size / 1e6:.2f} MB")


def make_m4raw(folder: Path, out: Path) -> None:
    """Write repeat 1 as it is, and the reference from the other two."""
    repeats = [read_repeat(folder / f"2022061003_T20{number}.h5") for number in (1, 2, 3)]
    geometry = M4RAW_FOV_MM, M4RAW_SLICE_MM
    save(
        as_nifti(repeats[0], *geometry, "M4Raw 0.3T T2w, repeat 1, CC BY 4.0"),
        out / "brain-t2-0.3T-repeat1.nii.gz",
    )
    reference, _ = make_reference([each.astype(np.float64) for each in repeats])
    stored = np.round(reference / REFERENCE_STEP).astype(np.int16)
    image = as_nifti(stored, *geometry, "M4Raw 0.3T T2w, mean of repeats 2+3, CC BY 4.0")
    image.header.set_slope_inter(REFERENCE_STEP, 0.0)
    save(image, out / "brain-t2-0.3T-reference.nii.gz")


def make_ulf(folder: Path, out: Path) -> None:
    """Write the magnitude image as it is."""
    file = folder / "Figure6A" / "0.055T" / "0.055T_FLAIR.npz"
    with np.load(file, allow_pickle=False) as archive:
        volume = archive["image"]  # (row, column, slice)
    image = as_nifti(volume.transpose(2, 0, 1), ULF_FOV_MM, ULF_SLICE_MM, "0.055T FLAIR-like brain, CC0")
    save(image, out / "brain-flair-0.055T.nii.gz")


def main() -> None:
    """Read the command line and write the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the originals")
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: beside this file)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    make_m4raw(arguments.data / "mri-lowfield-m4raw", arguments.out)
    make_ulf(arguments.data / "mri-ulf-0.055T", arguments.out)


if __name__ == "__main__":
    main()

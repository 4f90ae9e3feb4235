"""The shipped scans are what samples/README.md says they are."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from diffdenoise.scan.read import read_scan
from diffdenoise.scan.slices import choose_axis
from diffdenoise.trust.metrics import evaluate

SAMPLES = Path(__file__).parents[1] / "samples"
REPEAT = SAMPLES / "brain-t2-0.3T-repeat1.nii.gz"
REFERENCE = SAMPLES / "brain-t2-0.3T-reference.nii.gz"
FLAIR = SAMPLES / "brain-flair-0.055T.nii.gz"
README = (SAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "shape", "dtype", "spacing_mm"),
    [
        (REPEAT, (256, 256, 18), np.uint8, (0.9375, 0.9375, 5.0)),
        (REFERENCE, (256, 256, 18), np.int16, (0.9375, 0.9375, 5.0)),
        (FLAIR, (256, 256, 4), np.float32, (0.9765625, 0.9765625, 10.0)),
    ],
)
def test_a_sample_has_the_stated_shape_type_and_geometry(
    file: Path, shape: tuple[int, ...], dtype: type, spacing_mm: tuple[float, ...]
) -> None:
    scan = read_scan(file)
    assert scan.data.shape == shape
    assert scan.stored_dtype == dtype
    assert scan.spacing_mm == pytest.approx(spacing_mm)
    assert choose_axis(scan) == 2
    image = nib.load(file)
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    np.testing.assert_allclose(image.affine, image.header.get_qform())
    middle = image.affine @ [*((np.array(shape) - 1) / 2), 1]
    np.testing.assert_allclose(middle[:3], 0, atol=1e-4)


def test_all_samples_are_small() -> None:
    assert max(file.stat().st_size for file in SAMPLES.iterdir()) < 3e6


def test_the_reference_fits_the_repeat() -> None:
    noisy, reference = read_scan(REPEAT), read_scan(REFERENCE)
    assert noisy.affine is not None
    np.testing.assert_array_equal(noisy.affine, reference.affine)
    slices = zip(np.moveaxis(noisy.data, 2, 0), np.moveaxis(reference.data, 2, 0), strict=True)
    for index, (one, other) in enumerate(slices):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.93, f"slice {index}"
        # On the repeat's grey scale: the same mean, and less noise.
        assert one.mean() == pytest.approx(other.mean(), abs=1.5), f"slice {index}"
        assert other.std() < one.std(), f"slice {index}"


def test_the_noisy_scan_scores_what_the_readme_says() -> None:
    row = re.search(r"repeat 1, as it is \| ([\d.]+) dB \| ([\d.]+)", README)
    assert row is not None
    found = evaluate(read_scan(REPEAT).data, read_scan(REFERENCE).data, axis=2)
    assert f"{found.denoised.psnr_db:.2f}" == row[1]
    assert f"{found.denoised.ssim:.3f}" == row[2]
    assert f"{found.data_range:.0f} grey levels" in README


def test_the_head_is_the_right_way_up() -> None:
    # The eyes are the brightest round things in front, in the lower half of the scan.
    front_first = nib.as_closest_canonical(nib.load(REFERENCE)).get_fdata()[:, ::-1]
    eyes = front_first[:, :90, 3]
    middle, lowest, highest = front_first[..., 9], front_first[..., 0], front_first[..., -1]
    assert np.mean(eyes[60:120] > 200) > 0.04
    assert np.mean(eyes[140:200] > 200) > 0.04
    # The head is longer from front to back than wide, and narrow at the very top.
    inside = middle > 60
    assert np.ptp(np.nonzero(inside.any(axis=0))[0]) > np.ptp(np.nonzero(inside.any(axis=1))[0])
    assert np.mean(lowest > 60) > np.mean(highest > 60) > 0.05


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        (
            "LICENSE-m4raw.txt",
            ["Attribution 4.0 International", "licenses/by/4.0", "Lyu", "Changes made here"],
        ),
        ("LICENSE-ulf.txt", ["CC0 1.0 Universal", "Public License Fallback"]),
    ],
)
def test_every_licence_is_there_and_linked(name: str, phrases: list[str]) -> None:
    text = (SAMPLES / name).read_text(encoding="utf-8")
    assert [phrase for phrase in phrases if phrase not in text] == []
    assert f"({name})" in README


def test_every_sample_has_a_licence_and_a_line_in_the_readme() -> None:
    licences = "".join(file.read_text(encoding="utf-8") for file in SAMPLES.glob("LICENSE-*.txt"))
    for file in SAMPLES.glob("*.nii.gz"):
        assert f"| `{file.name}` |" in README
        assert f"{file.name}\n" in licences


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_undoes_shift_and_gain(script: ModuleType) -> None:
    """Three made-up repeats, moved and on other grey scales: the reference is the clean image again."""
    rng = np.random.default_rng(0)
    clean = np.stack([np.pad(_smooth(rng, 96), 16) for _ in range(3)])
    moved = [script.shift_slices(clean, shift) for shift in (np.array([0.4, -0.3]), np.array([-0.7, 0.2]))]
    repeats = [clean, 0.8 * moved[0] + 5, 1.1 * moved[1] - 2]
    noisy = [np.clip(each + rng.normal(0, 6, clean.shape), 0, 255) for each in repeats]
    reference, _ = script.make_reference(noisy)
    inside = np.s_[:, 30:-30, 30:-30]
    error = (reference - clean)[inside]
    assert abs(error.mean()) < 0.5
    assert error.std() < 6 * 0.8  # 6 / sqrt(2), gains apart
    slope = np.polyfit(clean[inside].ravel(), reference[inside].ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.02)


def _smooth(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a smooth random image with values of 40 to 160."""
    coarse = rng.uniform(40, 160, (8, 8)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)).clip(40, 160)


def test_the_script_writes_the_same_bytes_again(script: ModuleType, tmp_path: Path) -> None:
    volume = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 9, 8)
    for name in ("a.nii.gz", "b.nii.gz"):
        script.save(script.as_nifti(volume, 240.0, 5.0, "made up"), tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    # Columns, rows, and slices from below become the array's axes.
    data = nib.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_array_equal(data, volume[::-1].transpose(2, 1, 0))

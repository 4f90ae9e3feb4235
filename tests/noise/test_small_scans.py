"""What is read of scans with few calm places, in which anatomy has its part."""

from __future__ import annotations

import numpy as np
import pytest

from diffdenoise.noise.autocorrelation import estimate_correlation
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.simulate import rician
from diffdenoise.noise.statement import diagnose
from diffdenoise.scan.read import from_array
from tests.end_to_end.phantom import clean_phantom, noisy_phantom
from tests.noise.shapes import farthest, noise_of


def read(values: np.ndarray) -> tuple[Diagnosis, float]:
    """Diagnosis, and the level in the scan's units."""
    found = diagnose(from_array(values), 2)
    assert found.std is not None
    return found.diagnosis, found.std


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("kind", ["white", "level-varying", "rician"])
def test_white_noise_is_white_in_a_small_scan_of_fine_anatomy(kind: str, seed: int) -> None:
    found, _ = read(noisy_phantom(kind, seed))
    assert found.correlation.is_white
    assert found.noise.place is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_its_level_is_that_of_the_noise(seed: int) -> None:
    assert read(noisy_phantom("white", seed))[1] == pytest.approx(90, rel=0.05)


def test_correlated_noise_of_a_small_scan() -> None:
    found, std = read(noisy_phantom("correlated"))
    assert found.correlation.width_px == pytest.approx((0.7, 0.7), abs=0.1)
    assert found.noise.place is None
    # Anatomy is alike in the next slice, and the noise is not.
    assert found.slices_independent
    assert std == pytest.approx(90, rel=0.12)


@pytest.mark.parametrize("width_px", [0.0, 0.6, 0.8, 1.0, 1.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_stored_magnitudes_are_told_as_such_and_have_no_map(width_px: float, seed: int) -> None:
    clean = clean_phantom((128, 128, 10))
    noisy = rician(clean, 80.0, correlation_px=width_px, axis=2, rng=np.random.default_rng(seed))
    # Some are 0, and a rounding error below it once they are scaled.
    found, std = read(noisy.round().astype(np.int16))
    assert found.noise.place is None
    assert found.coils == 1
    assert found.rician_std is not None
    assert found.rician_std * std / found.std == pytest.approx(80, rel=0.04)


@pytest.mark.parametrize("shape", [(96, 96, 8), (128, 128, 10)])
def test_the_shape_of_band_pass_noise_is_told_by_what_patches_are_enough(shape: tuple[int, int, int]) -> None:
    clean = np.moveaxis(clean_phantom(shape) / 1000, 2, 0)
    noisy = (clean + 0.08 * noise_of("band-pass", clean.shape)).astype(np.float32)
    assert farthest(estimate_correlation([noisy], adjacent=True), "band-pass") < 0.06

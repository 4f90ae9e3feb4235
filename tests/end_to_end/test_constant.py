"""A constant image comes back with its own mean: denoising shifts no intensities, for no kind of noise.

With the weights that come with the package alone. What is asked for is a mean error below a hundredth of the
noise's std, from a signal of one std up.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffdenoise.config import Settings
from diffdenoise.model.denoiser import Denoiser, denoiser_of
from diffdenoise.networks.known_noise import Known
from diffdenoise.networks.start import load_student
from diffdenoise.networks.student import student_network
from diffdenoise.noise.rician import signal_of_denoised, signal_of_mean

STD, SIDE, DRAWS = 0.08, 384, 8
Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def denoisers() -> dict[bool, Denoiser]:
    """Told whether images are magnitudes of one coil, which are those that the weights know."""
    found = {}
    for magnitude in (False, True):
        student = student_network(Settings(), 1)
        load_student(student, Known(np.ones((16, 9)), STD, 1, 1.0, 0.0 if magnitude else None))
        found[magnitude] = denoiser_of(student, (0,), "cpu", 1)
    return found


def noisy(kind: str, signal: float, rng: np.random.Generator) -> Array:
    """Slice and neighbours (1, 3, side, side): magnitudes of as many coils as `kind` says, or Gaussian."""
    shape = (1, 3, SIDE, SIDE)
    if kind.isdigit():
        parts = STD * rng.standard_normal((2 * int(kind), *shape))
        parts[0] += signal
        return np.asarray(np.sqrt(np.square(parts).sum(0)), np.float32)
    return np.asarray(signal + STD * rng.standard_normal(shape), np.float32)


@pytest.mark.parametrize("kind", ["Gaussian", "1", "4"])
@pytest.mark.parametrize("snr", [1.0, 2.0, 5.0])
def test_a_constant_image_keeps_its_mean(denoisers: dict[bool, Denoiser], kind: str, snr: float) -> None:
    rng, errors, denoiser = np.random.default_rng(0), [], denoisers[kind == "1"]
    # The error of a draw itself is no bias of the denoiser's.
    for _ in range(DRAWS):
        scan = noisy(kind, snr * STD, rng)
        (denoised,) = denoiser.run(scan, STD)
        if kind.isdigit():
            (signal,) = signal_of_denoised([denoised], STD, int(kind))
            mean = np.array([scan[0, 0].mean(dtype=np.float64)])
            errors.append(float(signal.mean() - signal_of_mean(mean, STD, int(kind))[0]) / STD)
        else:
            errors.append(float(denoised.mean() - scan[:, 0].mean()) / STD)
    assert abs(np.mean(errors)) < 0.01

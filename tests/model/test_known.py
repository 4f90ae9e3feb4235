"""What the student is told of a scan's noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diffdenoise.model.known import domain_of, known_noise, most_axes, spacing_of, spectrum_of
from diffdenoise.noise.correlation import WHITE, Correlation
from diffdenoise.noise.diagnosis import Diagnosis
from diffdenoise.noise.domain import Domain
from diffdenoise.noise.model import NoiseModel
from diffdenoise.scan.read import from_array
from tests.conftest import make_volume

VARYING = NoiseModel((0.0, 0.5, 1.0), (0.04, 0.06, 0.09))
FLOOR = NoiseModel((0.0, 0.5, 1.0), (0.05, 0.075, 0.075))


def test_noise_that_varies_is_stabilised_at_its_typical_level() -> None:
    domain = domain_of(VARYING, Diagnosis(VARYING, 0.0, (), None), -0.1)
    assert domain.is_stabilised
    assert (domain.level, domain.zero) == (0.06, None)
    assert not domain_of(NoiseModel.constant(0.06), Diagnosis(VARYING, 0.0, (), None), -0.1).is_stabilised


def test_of_magnitudes_the_level_is_that_of_the_parts_and_the_true_zero_is_told() -> None:
    found = Diagnosis(FLOOR, 0.0, (), 0.08)
    domain = domain_of(FLOOR, found, -0.1)
    assert not domain.is_stabilised
    assert (domain.level, domain.zero) == (0.08, -0.1)
    # Of next to no noise, what can be learned of at all; and what the user says is believed.
    assert domain_of(NoiseModel.constant(0.001), replace(found, rician_std=1e-5), 0.0).level == 0.001
    assert domain_of(NoiseModel.constant(0.03), found, -0.1, told=True).level == 0.03


def test_what_is_known_is_that_of_the_domain() -> None:
    correlation = Correlation.gaussian(0.7)
    known = known_noise(Domain(replace(FLOOR, correlation=correlation), 0.08, -0.1), 3, 1.2)
    assert (known.level, known.neighbours, known.spacing, known.zero) == (0.08, 3, 1.2, -0.1)
    np.testing.assert_array_equal(known.power, spectrum_of(correlation))


@pytest.mark.parametrize(("spacing", "told"), [(0.2, 0.5), (3.0, 3.0), (20.0, 6.0), (None, None)])
def test_distances_that_the_weights_do_not_know_are_told_as_the_nearest_that_they_do(
    spacing: float | None, told: float | None
) -> None:
    assert known_noise(Domain(VARYING, 0.06), 1, spacing).spacing == told


@pytest.mark.parametrize("widths", [(0.0, 0.0), (1.2, 0.4), (0.5, 2.0)])
def test_a_spectrum_is_told_at_every_second_frequency_of_32(widths: tuple[float, float]) -> None:
    power = spectrum_of(Correlation.gaussian(*widths))
    assert power.shape == (16, 9)
    down, right = np.fft.fftfreq(16)[:, None], np.fft.rfftfreq(16)[None]
    kernels = [np.exp(-0.5 * (np.arange(-20, 21) / max(width, 1e-3)) ** 2) for width in widths]
    parts = [
        np.abs(np.sum(kernel * np.exp(-2j * np.pi * along[..., None] * np.arange(-20, 21)), -1)) ** 2
        / np.sum(kernel**2)
        for kernel, along in zip(kernels, (down, right), strict=True)
    ]
    # The farthest lags are cut off.
    np.testing.assert_allclose(power, parts[0] * parts[1], atol=0.02 * power.max())


def test_white_noise_is_told_as_ones() -> None:
    np.testing.assert_allclose(spectrum_of(WHITE), np.ones((16, 9)))


def test_the_distance_of_slices_is_in_the_smaller_side_of_their_pixels() -> None:
    scan = replace(from_array(make_volume()), spacing_mm=(0.8, 0.5, 2.0))
    assert spacing_of(scan, 2) == 4.0
    assert spacing_of(scan, 0) == 1.6
    assert spacing_of(scan, None) is None
    assert spacing_of(replace(scan, spacing_mm=None), 2) is None


@pytest.mark.parametrize(
    ("change", "axes"),
    [
        ({}, 3),
        ({"neighbours": 0}, 1),
        ({"spacing": None}, 1),
        ({"spacing": 1.3}, 1),
        ({"spacing": 0.7}, 1),
        ({"correlation": Correlation.gaussian(0.7)}, 1),
        ({"shapes": [(70, 64, 80), (70, 39, 80)]}, 1),
        ({"shapes": [(512, 512, 512)]}, 1),
    ],
)
def test_volumes_are_cut_along_all_axes_where_these_are_alike(change: dict[str, Any], axes: int) -> None:
    cubic = {"shapes": [(70, 64, 80)], "neighbours": 3, "spacing": 1.0, "correlation": WHITE}
    assert most_axes(**{**cubic, **change}) == axes


def test_magnitudes_of_several_coils_are_not_told_as_those_of_one() -> None:
    domain = Domain(NoiseModel.constant(0.1), 0.1, 0.05)
    assert known_noise(domain, 0, None).zero == 0.05
    assert known_noise(domain, 0, None, coils=4).zero is None
